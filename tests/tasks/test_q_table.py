"""Tables against a NumPy loop over the same moves, exact solutions, two players, bad options."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import rl
from jaxdl.data import Simulated
from jaxdl.errors import InputError
from jaxdl.rl import Flippers
from jaxdl.rl.environment import FiniteEnvironment
from jaxdl.rl.policies import epsilon_greedy_probabilities
from jaxdl.tasks import q_table

BOX = rl.environment("flippers", game="box", size=2, limit=12)
KEY = jaxdl.root(1)


def learned(task, steps, keys=KEY, batch_size=4):
    net = jaxdl.learner(task.init, *task.updates())
    source = Simulated(100)
    return net, jaxdl.train(net, source, key=keys, steps=steps, batch_size=batch_size)


@dataclasses.dataclass(frozen=True)
class Line(FiniteEnvironment):
    """Positions 0 to 3 on a line; 3 is the goal. Each move is written down by the test."""

    length: int = 4
    sides: int = 1

    @property
    def players(self):
        return self.sides

    @property
    def action_names(self):
        return ("left", "right")

    @property
    def states(self):
        return self.length

    def reset(self, key):
        return jax.random.randint(key, (), 0, self.length - 1, jnp.int32)

    def step(self, state, action, key):
        jumps = jax.random.uniform(key) < 0.25
        move = jnp.where(jumps, 0, 2 * action - 1).astype(jnp.int32)
        after = jnp.clip(state + move, 0, self.length - 1)
        terminated = after == self.length - 1
        jax.debug.callback(self.write, state, action, after, terminated, ordered=True)
        return after, jnp.where(terminated, 2.0, -0.5), terminated, jnp.zeros((), bool)

    def observe(self, state):
        return jax.nn.one_hot(state, self.length)

    def index(self, state):
        return state

    def state_of(self, index):
        return jnp.asarray(index, jnp.int32)

    moves = []

    def write(self, *numbers):
        self.moves.append(tuple(int(number) for number in numbers))


def numpy_table(rule, moves, discount, rate, decay, epsilon, sign):
    """Returns the table that a loop over the moves makes."""
    table = np.zeros((4, 2))
    visits = np.zeros((4, 2))
    for i, (s, a, after, terminated) in enumerate(moves):
        reward = 2.0 if terminated else -0.5
        visits[s, a] += 1
        value = 0.0
        if not terminated:
            value = table[after].max()
            if rule == "sarsa":
                assert moves[i + 1][0] == after
                value = table[after, moves[i + 1][1]]
            if rule == "expected_sarsa":
                q = jnp.asarray(table[after], jnp.float32)
                p = np.asarray(epsilon_greedy_probabilities(q, jnp.ones(2, bool), epsilon))
                value = (p * table[after]).sum()
        step = rate / visits[s, a] ** decay
        table[s, a] += step * (reward + sign * discount * value - table[s, a])
    return table, visits


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("rule", ["q_learning", "sarsa", "expected_sarsa"])
def test_a_table_is_that_of_a_loop(rule, sides):
    """With two players the value of the next state is that of the other one."""
    line = Line(sides=sides)
    line.moves.clear()
    options = {"discount": 0.8, "rate": 0.5, "rate_decay": 0.5}
    task = q_table(line, rule=rule, exploration=(0.4, 0.4, 1), **options)
    net = jaxdl.learner(task.init, *task.updates())
    batch = {"mask": jnp.ones(3)}
    state = net.init(KEY, batch)
    step = jax.jit(net.step)
    for _ in range(5):
        state, metrics = step(state, batch, KEY)
    jax.block_until_ready(state)
    jax.effects_barrier()
    table, visits = numpy_table(rule, line.moves, 0.8, 0.5, 0.5, 0.4, 3 - 2 * sides)
    np.testing.assert_array_equal(state.extra["experience"]["visits"], visits)
    np.testing.assert_allclose(state.params["table"][0], table, rtol=1e-5, atol=1e-6)
    assert int(state.extra["experience"]["episodes"]) == 15
    assert float(metrics["moves"][1]) == 3


def test_the_exact_values_of_a_game_without_chance():
    task = q_table(BOX, discount=0.9)
    _, state = learned(task, 60)
    table = np.asarray(state.params["table"][0])
    dots = np.array([bin(board).count("1") for board in range(16)])
    distance = 4 - dots
    expected = np.where(distance > 0, 0.9 ** np.maximum(distance - 1, 0), 0.0)
    np.testing.assert_allclose(table.max(-1), expected, atol=1e-6)
    best = jaxdl.bind(task.act, state)(jnp.arange(15))
    assert all(
        int(board) >> int(tile) & 1 == 0 for board, tile in zip(range(15), best, strict=True)
    )


def test_double_q_learning_has_two_tables_with_the_same_limit():
    task = q_table(BOX, rule="double_q", rate=1.0)
    _, state = learned(task, 120)
    assert state.params["table"].shape == (2, 16, 4)
    first, second = np.asarray(state.params["table"])
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert first.max() == 1.0


def test_a_member_is_the_run_alone_and_members_differ():
    task = q_table(BOX, exploration=(1.0, 0.0, 50))
    _, several = learned(task, 5, jaxdl.root([4, 5]), 4)
    _, alone = learned(task, 5, jaxdl.root(5), 4)
    np.testing.assert_array_equal(several.params["table"][1], alone.params["table"])
    visits = np.asarray(several.extra["experience"]["visits"])
    np.testing.assert_array_equal(visits[1], alone.extra["experience"]["visits"])
    assert (visits[0] != visits[1]).any()


def test_random_moves_are_independent():
    """One key for two draws would make the third action of a game equal to the first."""
    line = Line()
    line.moves.clear()
    task = q_table(line, exploration=(1.0, 1.0, 1))
    net = jaxdl.learner(task.init, *task.updates())
    batch = {"mask": jnp.ones(200)}
    state, _ = jax.jit(net.step)(net.init(KEY, batch), batch, KEY)
    jax.block_until_ready(state)
    jax.effects_barrier()
    games = [[]]
    for _, action, _, terminated in line.moves:
        games[-1].append(action)
        if terminated:
            games.append([])
    actions = np.array([game[:3] for game in games if len(game) >= 3])
    assert len(actions) > 80
    for i, j in ((0, 1), (0, 2), (1, 2)):
        same = (actions[:, i] == actions[:, j]).mean()
        # Long games have more steps to the left at first, so equal actions are more frequent.
        assert 0.2 < same < 0.85


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (16, "observation: got 16, allowed: an index in [0, 16)"),
        (-1, "observation: got -1, allowed: an index in [0, 16)"),
        (7.0, "observation: got 'float64[]', allowed: an index in [0, 16)"),
    ],
)
def test_an_index_of_no_state(index, message):
    task = q_table(BOX)
    params, extra = task.init(KEY, {"mask": jnp.ones(1)})
    with pytest.raises(InputError) as error:
        task.act(params, extra, index)
    assert str(error.value) == message


def test_values_of_no_state_are_nan():
    task = q_table(BOX, initial=3.0)
    params, extra = task.init(KEY, {"mask": jnp.ones(1)})
    values = task.predict(params, extra, np.array([-1, 15, 16]))
    np.testing.assert_array_equal(np.isnan(values).all(1), [True, False, True])
    assert float(values[1, 0]) == 3


@dataclasses.dataclass(frozen=True)
class Endless(Flippers):
    """Flippers without a limit, where the box is won on no board."""

    def step(self, state, action, key):
        after, reward, _, _ = super().step(state, action, key)
        return after, reward * 0 + 1, jnp.bool_(False), jnp.bool_(False)


def test_an_episode_that_never_ends_is_cut(monkeypatch):
    monkeypatch.setattr(sys.modules["jaxdl.tasks.q_table"], "MOST_MOVES", 7)
    monkeypatch.setattr(sys.modules["jaxdl.rl.episodes"], "MOST_MOVES", 9)
    task = q_table(Endless(game="box", size=2))
    net, state = learned(task, 3)
    assert int(state.extra["experience"]["visits"].sum()) == 7 * int(
        state.extra["experience"]["episodes"]
    )
    assert jaxdl.evaluate(net, state, Simulated(1, episodes=4), batch_size=4)["moves"] == 9


def test_an_evaluation_plays_the_best_moves():
    task = q_table(BOX)
    net, state = learned(task, 60)
    metrics = jaxdl.evaluate(net, state, Simulated(1, episodes=50), batch_size=8)
    assert metrics["greedy_return"] == 1.0
    assert 1 < metrics["moves"] < 3


def test_loading_a_table(tmp_path):
    task = q_table(BOX, rate_decay=0.25)
    _, state = learned(task, 20)
    source = Simulated(1, arrays={"input": np.zeros(1, np.int32)})
    jaxdl.save(tmp_path, task, state, source)
    network = jaxdl.load(tmp_path)
    boards = np.arange(15, dtype=np.int32)
    np.testing.assert_array_equal(
        network.predict(boards), jaxdl.bind(task.predict, state)(jnp.asarray(boards))
    )
    assert network.act(7).shape == ()
    np.testing.assert_array_equal(network.act(boards), jaxdl.bind(task.act, state)(boards))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "q"}, "rule: got 'q', allowed: "),
        ({"discount": 1.1}, "discount: got 1.1, allowed: a number in [0, 1]"),
        ({"discount": float("nan")}, "discount: got nan, allowed: a number in [0, 1]"),
        ({"rate": 0.0}, "rate: got 0.0, allowed: a finite number above 0"),
        ({"rate": "a"}, "rate: got 'a', allowed: a number in [0, 1]"),
        ({"exploration": ("a", 0.1, 5)}, "exploration: got 'a', allowed: probabilities in"),
        ({"rate_decay": -1.0}, "rate_decay: got -1.0, allowed: a number in [0, 1]"),
        ({"exploration": (2.0, 0.0, 1)}, "exploration: got 2.0, allowed: probabilities in"),
        ({"initial": float("inf")}, "initial: got inf, allowed: a number in"),
        ({"environment": rl.environment("cart_pole")}, "environment: got"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as error:
        q_table(**{"environment": BOX, **options})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
