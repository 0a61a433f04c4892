"""Frozen norms: their values, one example, initialization, rematerialization and names."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.nn.norm import (
    frozen_norms,
    network,
    refuse_single_values,
)
from tests.nn.test_norm import random_variables


class Norms(nn.Module):
    """A layer and norms with the flag as a field, as an argument, and called twice."""

    @nn.compact
    def __call__(self, x, train):
        field = nn.BatchNorm(use_running_average=not train, name="field")
        x = field(field(nn.Dense(3, name="dense")(x)))
        return nn.BatchNorm(name="argument")(x, use_running_average=not train)


@pytest.mark.parametrize("frozen", [{"field"}, {"argument"}, {"field", "argument"}])
def test_a_frozen_norm_is_that_of_evaluation(frozen):
    model = Norms()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    variables = random_variables(model, x)
    with frozen_norms(lambda name: name in frozen):
        y, updated = model.apply(variables, x, train=True, mutable="batch_stats")
    for name, statistics in updated["batch_stats"].items():
        for part, value in statistics.items():
            same = (value == variables["batch_stats"][name][part]).all()
            assert same == (name in frozen), (name, part)
    mixed = {"field": "field" not in frozen, "argument": "argument" not in frozen}
    expected = by_hand(variables, np.asarray(x, np.float64), mixed)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def by_hand(variables, x, of_batch):
    """Computes `Norms` with the statistics of the batch or the running ones."""
    params, running = (
        jax.tree.map(np.float64, variables[name]) for name in ("params", "batch_stats")
    )
    h = x @ params["dense"]["kernel"] + params["dense"]["bias"]
    for name in ("field", "field", "argument"):
        mean = h.mean(0) if of_batch[name] else running[name]["mean"]
        var = h.var(0) if of_batch[name] else running[name]["var"]
        h = (h - mean) / np.sqrt(var + 1e-5) * params[name]["scale"] + params[name]["bias"]
    return h


def test_a_frozen_norm_accepts_one_value_and_others_do_not():
    model = Norms()
    x = jnp.ones((1, 2))
    variables = random_variables(model, x)
    with nn.intercept_methods(refuse_single_values):
        with frozen_norms(lambda name: True):
            model.apply(variables, x, train=True, mutable="batch_stats")
        with (
            frozen_norms(lambda name: name == "field"),
            pytest.raises(InputError, match="argument"),
        ):
            model.apply(variables, x, train=True, mutable="batch_stats")
        with pytest.raises(InputError, match="field"):
            model.apply(variables, x, train=True, mutable="batch_stats")


def test_a_frozen_norm_is_initialized_like_any_other():
    x = jnp.asarray([[1.0, 2.0], [3.0, 5.0]])
    with frozen_norms(lambda name: True):
        made = Norms().init(jax.random.key(0), x, train=True)
    plain = Norms().init(jax.random.key(0), x, train=True)
    jax.tree.map(np.testing.assert_array_equal, made, plain)


def test_rematerialized_norms_are_frozen_too():
    stages = (Stage(2), Stage(3))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 8, 8, 1)), jnp.float32)
    for remat in (False, True):
        model = CNN(stages, (), 2, norm="batch", remat=remat)
        variables = random_variables(model, x)
        with frozen_norms(lambda name: name == "norm_1"):
            _, updated = model.apply(variables, x, train=True, mutable="batch_stats")
        before = variables["batch_stats"]
        same = jax.tree.map(lambda a, b: bool((a == b).all()), before, updated["batch_stats"])
        assert same == {name: {"mean": i == 1, "var": i == 1} for i, name in enumerate(before)}


def test_layers_of_several_networks_have_longer_names():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    model = Norms()
    variables = random_variables(model, x)
    changed = {}
    with frozen_norms(lambda name: name == "a/field"):
        for name in ("a", "b"):
            with network(name):
                _, updated = model.apply(variables, x, train=True, mutable="batch_stats")
            before = variables["batch_stats"]["field"]["mean"]
            changed[name] = bool((updated["batch_stats"]["field"]["mean"] != before).all())
    assert changed == {"a": False, "b": True}
