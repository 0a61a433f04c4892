"""Optimizers by layer against each optimizer alone, and their logged rates."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jaxdl import metrics
from jaxdl.core import learner
from jaxdl.optimizers import OPTIMIZERS, by_layer, optimizer, schedule
from jaxdl.updates import Update
from tests.test_optimizers import GRADS, PARAMS, RNG, STEPS, assert_close, run

LAYERS = {"conv_0": {"kernel": "conv", "bias": "bias"}, "head": {"out": {"kernel": "dense"}}}
LAYERS["head"]["scale"] = "scale"


def by_name_in(tree):
    """Returns the arrays of a tree in layers, as `LAYERS` names them."""
    return jax.tree.map(lambda name: tree[name], LAYERS)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "schedule_free"])
def test_each_layer_has_its_optimizer(name):
    """Each optimizer computes what it does for its arrays alone, also with clipping."""
    options = {"weight_decay": 0.1, "l1": 0.01, "clip": 0.1}
    inner = optimizer(name, 0.02, **options)
    default = optax.sgd(optax.linear_schedule(0.5, 0.1, STEPS), momentum=0.9)
    made = by_layer({"head": inner, "head/scale": optimizer("sgd", 3.0)}, default)
    params = by_name_in(PARAMS)
    grads = [by_name_in(g) for g in GRADS]

    def all_runs():
        parts = {
            ("head", "out"): inner,
            ("head", "scale"): optax.sgd(3.0),
            ("conv_0",): default,
        }
        alone = {}
        for path, each in parts.items():
            trees = [params, *grads]
            for key in path:
                trees = [tree[key] for tree in trees]
            alone[path[-1]] = run(each, trees[0], trees[1:])[0]
        return run(made, params, grads)[0], alone

    with jax.numpy_dtype_promotion("standard"):
        updates, alone = jax.device_get(jax.jit(all_runs)())
    assert_close(updates["conv_0"], alone["conv_0"])
    assert_close(updates["head"]["out"], alone["out"])
    assert_close(updates["head"]["scale"], alone["scale"])


def test_a_learner_with_rates_by_layer(key):
    """The rate of a name is that of the gradient's step, and the metrics have all rates."""
    x = jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32)

    def init(key, batch):
        return {"a": {"w": jnp.ones(5)}, "b": {"w": jnp.ones(5)}}, {}

    def loss(params, extra, batch, key, *, train):
        y = (batch["x"] @ params["a"]["w"]) ** 2 + (batch["x"] @ params["b"]["w"]) ** 2
        return metrics.total(y), (extra, {"loss": metrics.total(y)})

    made = by_layer({"b": optimizer("sgd", schedule("cosine", 0.02, 4))}, optimizer("sgd", 0.01))
    net = learner(init, Update(loss, made))
    state = net.init(key, {"x": x})
    step = jax.jit(net.step)
    for t in range(3):
        before = state.params
        state, logged = step(state, {"x": x}, key)
        rates = {name: float(logged[name][0]) for name in logged if "rate" in name}
        expected = 0.02 * (1 + math.cos(math.pi * t / 4)) / 2
        assert rates == pytest.approx({"learning_rate": 0.01, "b_learning_rate": expected})
        for name, rate in (("a", 0.01), ("b", expected)):
            gradient = (2 * x * (x @ before[name]["w"])[:, None]).mean(0)
            change = before[name]["w"] - state.params[name]["w"]
            np.testing.assert_allclose(change, rate * gradient, rtol=1e-3, atol=1e-6)
