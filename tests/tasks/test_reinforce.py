"""REINFORCE: returns of cut and of ended episodes in closed form, learning, bad options."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, rl
from jaxdl.data import Simulated
from jaxdl.errors import InputError
from jaxdl.tasks import reinforce

KEY = jaxdl.root(2)
BATCH = {"mask": jnp.ones(6)}
CATCH = rl.environment("catch", rows=4, columns=3)


def constant(inputs, baseline, actions):
    """Returns a network with equal probabilities and a constant baseline."""
    kernel = np.zeros((inputs, actions + 1), np.float32)
    bias = np.zeros(actions + 1, np.float32)
    bias[-1] = baseline
    return {"out": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}


def huber(x):
    return np.where(abs(x) <= 1, x**2 / 2, abs(x) - 0.5)


@pytest.mark.parametrize(("limit", "length"), [(5, 5), (5, 9), (50, 5)])
def test_the_baseline_replaces_the_rewards_after_a_cut(limit, length):
    """No pole falls in five moves, so all episodes are cut, by their limit or by `length`."""
    pole = rl.environment("cart_pole", limit=limit)
    task = reinforce(models.MLP((), 3), pole, discount=0.5, length=length)
    _, (_, metrics) = task.loss(constant(4, 3.0, 2), {}, BATCH, KEY, train=True)
    value = 3.0
    returns = []
    for _ in range(5):
        value = 1.0 + 0.5 * value
        returns.append(value)
    expected = huber(np.array(returns) - 3.0).sum() * 6
    assert float(metrics["baseline_loss"][1]) == 30
    assert float(metrics["baseline_loss"][0]) == pytest.approx(expected, rel=1e-5)
    assert float(metrics["return"][0] / metrics["return"][1]) == 5.0


def test_nothing_follows_the_end_by_the_rules():
    task = reinforce(models.MLP((), 4), CATCH, discount=0.5, length=8)
    _, (_, metrics) = task.loss(constant(12, 3.0, 3), {}, BATCH, KEY, train=True)
    mean = float(metrics["return"][0] / 6)
    wins = round(6 * (1 + mean) / 2)
    powers = np.array([0.25, 0.5, 1.0])
    expected = wins * huber(powers - 3.0).sum() + (6 - wins) * huber(-powers - 3.0).sum()
    assert float(metrics["baseline_loss"][0]) == pytest.approx(expected, rel=1e-5)
    entropy = float(metrics["entropy"][0] / metrics["entropy"][1])
    assert entropy == pytest.approx(np.log(3), rel=1e-5)


def test_it_learns_to_catch():
    task = reinforce(models.MLP((16,), 4, "tanh"), CATCH, length=3, entropy=0.0)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-2)))
    state = jaxdl.train(net, Simulated(100), key=KEY, steps=100, batch_size=16)
    trials = Simulated(1, episodes=48)
    assert jaxdl.evaluate(net, state, trials, batch_size=16)["greedy_return"] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discount": -0.1}, "discount: got -0.1, allowed: a number in [0, 1]"),
        ({"length": 0}, "length: got 0, allowed: at least 1"),
        ({"baseline": "a"}, "baseline: got 'a', allowed: a number in [0, inf)"),
        ({"entropy": -1.0}, "entropy: got -1.0, allowed: a number in [0, inf)"),
        (
            {"environment": rl.environment("tic_tac_toe", opponent="self")},
            "environment: got 'TicTacToe', allowed: one for a single player",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as error:
        reinforce(**{"model": models.MLP((8,), 4), "environment": CATCH, **options})
    assert str(error.value) == message


def test_a_model_has_the_baseline_as_its_last_output():
    task = reinforce(models.MLP((8,), 3), CATCH)
    with pytest.raises(InputError, match=r"outputs of the model: got \[6, 3\], allowed: \[B, 4\]"):
        task.init(KEY, BATCH)
