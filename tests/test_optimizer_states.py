"""Values read from optimizer states: names of learning rates."""

import jax.numpy as jnp
import optax
import pytest

from jaxdl.optimizer_states import learning_rates, schedule_free
from jaxdl.optimizers import by_layer, optimizer

PARAMS = {"conv_0": {"bias": jnp.zeros(2)}, "head": {"out": {"bias": jnp.zeros(2)}}}

PARTS = by_layer({"head/out": optimizer("sgd", 0.25)}, optimizer("adam", 0.5))


def rates(made, on=None):
    metrics = learning_rates(made.init(PARAMS), on)
    return {name: float(total / count) for name, (total, count) in metrics.items()}


@pytest.mark.parametrize(
    ("made", "on", "expected"),
    [
        (optax.sgd(0.1), None, {}),
        (optimizer("sgd", 0.5), None, {"learning_rate": 0.5}),
        (optimizer("sgd", 0.5), "generator", {"generator_learning_rate": 0.5}),
        (optax.chain(optax.trace(0.9), optimizer("sgd", 0.5)), None, {"learning_rate": 0.5}),
        (optax.chain(optimizer("sgd", 0.5), optimizer("sgd", 2.0)), None, {"learning_rate": 0.5}),
        (PARTS, None, {"learning_rate": 0.5, "head/out_learning_rate": 0.25}),
        (optax.chain(optax.trace(0.9), PARTS), None, rates(PARTS)),
        (PARTS, "g", {"g_learning_rate": 0.5, "g_head/out_learning_rate": 0.25}),
    ],
)
def test_names_of_learning_rates(made, on, expected):
    assert rates(made, on) == expected


def test_schedule_free_states_are_found():
    made = optax.chain(optax.clip(1.0), optimizer("schedule_free", 0.1))
    (state,) = schedule_free(made.init(PARAMS))
    assert state.z["conv_0"]["bias"].shape == (2,)
