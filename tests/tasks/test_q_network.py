"""Deep Q-learning: its tabular limit, targets of cut episodes, replays, members, bad options."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, rl
from jaxdl.data import Simulated
from jaxdl.errors import InputError, NonFinite
from jaxdl.rl.environments import Flippers
from jaxdl.tasks import q_network

KEY = jaxdl.root(6)
POLE = rl.environment("cart_pole", limit=12)
SMALL = {"replay": 64, "replay_batch": 16, "first_moves": 40}


@dataclasses.dataclass(frozen=True)
class OneHot(Flippers):
    """Flippers with one input per board."""

    def observe(self, state):
        return jax.nn.one_hot(self.index(state), self.states)


class Linear(nn.Module):
    """One weight per input and action, at first 0."""

    outputs: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs, use_bias=False, kernel_init=nn.initializers.zeros)(x)


def test_without_a_replay_and_with_one_hot_inputs_it_is_the_table():
    """Each update moves the value of the newest move only, as in a NumPy loop.

    No error is larger than 1, so the Huber loss is half of the square.
    """
    game = OneHot(game="box", size=2, limit=6)
    options = {"replay": 1, "replay_batch": 1, "first_moves": 1, "target_rate": 1.0}
    task = q_network(Linear(4), game, discount=0.9, double=False, delta=1.0, **options)
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.7)))
    batch = {"mask": jnp.ones(1)}
    state = net.init(KEY, batch)
    step = jax.jit(net.step)
    table = np.zeros((16, 4))
    cut = 0
    for _ in range(200):
        state, _ = step(state, batch, KEY)
        move = jax.tree.map(lambda x: np.asarray(x[0, 0]), state.extra["carry"]["replay"].items)
        s = int(move.observation.observation.argmax())
        after = int(move.next_observation.observation.argmax())
        value = 0.0 if move.terminated else 0.9 * table[after].max()
        cut += bool(move.truncated)
        table[s, move.action] += 0.7 * (move.reward + value - table[s, move.action])
        found = np.asarray(state.params["Dense_0"]["kernel"])
        np.testing.assert_allclose(found, table, rtol=1e-5, atol=1e-6)
    assert cut > 3
    assert table.max() > 0.9


def replay_of(state):
    """Returns the moves of the replay in their order, `[B, C, ...]` on the host."""
    ring = jax.device_get(state.extra["carry"]["replay"])
    return ring.items


def test_a_successor_is_never_the_first_observation_of_another_episode():
    task = q_network(models.MLP((8,), 2), POLE, **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
    state = net.init(KEY, {"mask": jnp.ones(2)})
    moves = replay_of(state)
    x = moves.observation.observation
    after = moves.next_observation.observation
    over = moves.terminated | moves.truncated
    used = 20  # 40 random moves in two environments
    assert over[:, : used - 1].sum() > 1
    same = (after[:, : used - 1] == x[:, 1:used]).all(-1)
    np.testing.assert_array_equal(same, ~over[:, : used - 1])


def test_a_cut_episode_keeps_the_value_after_it():
    """The target of a truncated move has the value of its successor; a terminated one has not."""
    pole = rl.environment("cart_pole", limit=1)
    task = q_network(models.MLP((), 2), pole, discount=0.5, delta=100.0, **SMALL)
    params, extra = task.init(KEY, {"mask": jnp.ones(4)})
    bias = jnp.array([3.0, 3.0])
    network = {"out": {"kernel": jnp.zeros((4, 2)), "bias": bias}}
    extra = {**extra, "target": {**extra["target"], "params": network}}
    (loss, count), (_, metrics) = task.loss(network, extra, {"mask": jnp.ones(4)}, KEY, train=True)
    moves = replay_of(jaxdl.State(jnp.zeros(()), network, (), extra))
    assert moves.truncated[:, :10].all()
    # Every target is 1 + 0.5 * 3 and every value is 3.
    assert float(loss / count) == pytest.approx(0.5 * (1 + 0.5 * 3 - 3) ** 2)
    assert float(metrics["value"][0] / metrics["value"][1]) == pytest.approx(3.0)


def test_members_share_nothing():
    """Initial weights, first states, random moves and draws from the replay all differ."""
    task = q_network(models.MLP((8,), 2), POLE, **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
    states = jaxdl.train(net, Simulated(5), key=jaxdl.root([0, 1]), steps=3, batch_size=4)
    one, two = (state.member(i) for state in [states] for i in (0, 1))
    assert (one.params["dense_0"]["kernel"] != two.params["dense_0"]["kernel"]).all()
    first, second = (replay_of(state) for state in (one, two))
    assert (first.action[:, :10] != second.action[:, :10]).any()
    assert (first.observation.observation[:, 0] != second.observation.observation[:, 0]).all()


def test_a_periodic_target_is_an_exact_copy():
    task = q_network(models.MLP((8,), 2), POLE, target_rate=1.0, target_every=3, **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
    batch = {"mask": jnp.ones(4)}
    state = net.init(KEY, batch)
    step = jax.jit(net.step)
    kernels = [state.params["out"]["kernel"]]
    for i in range(1, 8):
        state, _ = step(state, batch, KEY)
        kernels.append(state.params["out"]["kernel"])
        target = state.extra["target"]["params"]["out"]["kernel"]
        np.testing.assert_array_equal(target, kernels[i - i % 3])


def test_a_soft_target_follows():
    task = q_network(models.MLP((8,), 2), POLE, target_rate=0.25, **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
    batch = {"mask": jnp.ones(4)}
    state = net.init(KEY, batch)
    expected = np.asarray(state.params["out"]["kernel"])
    for _ in range(4):
        state, _ = jax.jit(net.step)(state, batch, KEY)
        expected = expected + 0.25 * (np.asarray(state.params["out"]["kernel"]) - expected)
        found = state.extra["target"]["params"]["out"]["kernel"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_loading_an_agent(tmp_path):
    task = q_network(models.Dueling(models.MLP((8,), 3)), POLE, **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
    state = jaxdl.train(net, Simulated(5), key=KEY, steps=3, batch_size=4)
    source = Simulated(5, arrays={"input": np.zeros((1, 4), np.float32)}, episodes=6)
    jaxdl.save(tmp_path, task, state, source)
    agent = jaxdl.load(tmp_path)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = jaxdl.bind(task.predict, state)(x)
    np.testing.assert_allclose(agent.predict(x), expected, rtol=1e-5, atol=1e-6)
    assert agent.act(x[0]).shape == ()
    np.testing.assert_array_equal(agent.act(x), expected.argmax(-1))
    legal = np.eye(2, dtype=bool)[[0, 1, 1, 0, 1]]
    np.testing.assert_array_equal(agent.act(x, legal), [0, 1, 1, 0, 1])
    assert agent.act(x[0], legal=legal[1]) == 1
    with pytest.raises(InputError, match=r"^legal: got \[5, 2\], allowed: \[2\], a flag for each"):
        agent.act(x[0], legal)
    assert agent.task.arguments["environment"] == POLE
    metrics = agent.evaluate(source, batch_size=4)
    assert metrics["greedy_return"] == metrics["moves"] <= 12


@dataclasses.dataclass(frozen=True)
class Broken(rl.CartPole):
    """A pole whose sensor fails after three moves."""

    def observe(self, state):
        return jnp.where(state.moves > 3, jnp.nan, super().observe(state))


def test_an_observation_that_is_nan_is_named():
    task = q_network(models.MLP((8,), 2), Broken(), **SMALL)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
    with pytest.raises(NonFinite) as error:
        jaxdl.train(net, Simulated(5), key=KEY, steps=3, batch_size=4)
    assert "and extra/carry/replay/items/observation/observation;" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discount": 1.1}, "discount: got 1.1, allowed: a number in [0, 1]"),
        ({"exploration": (1.0, 2.0, 5)}, "exploration: got 2.0, allowed: probabilities in [0, 1]"),
        ({"replay": 8}, "replay: got 8, allowed: at least 1000"),
        ({"replay_batch": 2000}, "first_moves: got 1000, allowed: at least 2000"),
        ({"n_steps": 0}, "n_steps: got 0, allowed: at least 1"),
        ({"moves": 0}, "moves: got 0, allowed: at least 1"),
        ({"target_rate": 0.0}, "target_rate: got 0.0, allowed: a finite number above 0"),
        ({"target_rate": 1.5}, "target_rate: got 1.5, allowed: a number in [0, 1]"),
        ({"target_every": 0}, "target_every: got 0, allowed: at least 1"),
        ({"delta": 0.0}, "delta: got 0.0, allowed: a finite number above 0"),
        ({"environment": "cart_pole"}, "environment: got 'cart_pole', allowed: one such as rl."),
        ({"model": models.MLP}, "model: got 'the class MLP', allowed: a module"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as error:
        q_network(**{"model": models.MLP((8,), 2), "environment": POLE, **options})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_model_has_one_output_per_action():
    task = q_network(models.MLP((8,), 3), POLE, **SMALL)
    with pytest.raises(InputError, match=r"outputs of the model: got \[4, 3\], allowed: \[B, 2\]"):
        task.init(KEY, {"mask": jnp.ones(4)})


def test_an_observation_has_the_shape_of_the_environment():
    task = q_network(models.MLP((8,), 2), POLE, **SMALL)
    state = jaxdl.State(jnp.zeros((), jnp.int32), *_variables(task))
    with pytest.raises(InputError, match=r"observation shape: got \[3\], allowed: \[4\] for one"):
        jaxdl.bind(task.act, state)(jnp.zeros(3))


def _variables(task):
    params, extra = task.init(KEY, {"mask": jnp.ones(4)})
    return params, (), extra
