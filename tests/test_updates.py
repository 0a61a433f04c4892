"""Rules between updates: their order, their keys, the evaluation, and values that do not fit."""

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.updates import Rule, Update

KEY = jaxdl.root(3)
BATCH = {"x": jnp.array([1.0, 3.0])}


def init(key, batch):
    return {"w": jax.random.normal(key)}, {"slow": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}


def loss(params, extra, batch, key, *, train):
    total = jaxdl.metrics.total((params["w"] - batch["x"]) ** 2)
    return total, (extra, {"loss": total})


def follow(params, extra, batch, key):
    slow = 0.5 * extra["slow"] + 0.5 * params["w"]
    noise = jax.random.uniform(key)
    extra = {"slow": slow, "count": extra["count"] + 1}
    return params, extra, {"slow": (slow, 1.0), "noise": (noise, 1.0)}


def size(params, extra, batch, key):
    return {"size": (jnp.abs(extra["slow"]), 1.0)}


def test_rules_and_updates_are_applied_in_their_order():
    update = Update(loss, optax.sgd(0.25))
    for parts in ((Rule(follow), update), (update, Rule(follow))):
        net = jaxdl.learner(init, *parts)
        state = net.init(KEY, BATCH)
        start = float(state.params["w"])
        expected = 0.0
        w = start
        for i in range(3):
            state, metrics = jax.jit(net.step)(state, BATCH, KEY)
            if parts[0] is update:
                w = 0.5 * w + 1.0
            expected = 0.5 * expected + 0.5 * w
            if parts[0] is not update:
                w = 0.5 * w + 1.0
            assert float(state.extra["slow"]) == pytest.approx(expected, rel=1e-6)
            assert float(metrics["slow"][0]) == float(state.extra["slow"])
            assert int(state.extra["count"]) == int(state.step) == i + 1
        assert float(state.params["w"]) == pytest.approx(w, rel=1e-6)


def test_a_rule_has_another_key_in_each_step_and_place():
    seen = set()
    for parts in ((Rule(follow),), (Update(loss, optax.sgd(0.0)), Rule(follow))):
        net = jaxdl.learner(init, *parts)
        state = net.init(KEY, BATCH)
        for _ in range(3):
            state, metrics = net.step(state, BATCH, KEY)
            seen.add(float(metrics["noise"][0]))
    assert len(seen) == 6


def test_a_rule_is_evaluated_only_if_it_can_be():
    parts = (Update(loss, optax.sgd(0.1)), Rule(follow, size), Rule(follow))
    net = jaxdl.learner(init, *parts)
    state, _ = net.step(net.init(KEY, BATCH), BATCH, KEY)
    metrics = net.evaluate(state, BATCH, KEY)
    assert set(metrics) == {"loss", "size"}
    assert float(metrics["size"][0]) == abs(float(state.extra["slow"]))


def test_a_learner_may_have_rules_only():
    net = jaxdl.learner(init, Rule(follow, size))
    state = jaxdl.train(net, jaxdl.data.Simulated(4), key=KEY, steps=6, batch_size=4)
    assert int(state.extra["count"]) == 6
    assert state.opt == (optax.EmptyState(),)
    assert set(jaxdl.evaluate(net, state, jaxdl.data.Simulated(4))) == {"size"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda *_: ({}, {}), "value of the rule: got 'tuple', allowed: (params, extra, metrics)"),
        (lambda p, e, *_: ({}, e, {}), "params of the rule: got"),
        (lambda p, e, *_: (p, {**e, "slow": jnp.zeros(2)}, {}), "extra of the rule: got"),
        (lambda p, e, *_: (p, {**e, "count": e["slow"]}, {}), "extra of the rule: got"),
        (lambda p, e, *_: (p, e, {"a": jnp.ones(())}), "a: got 'one array', allowed: (sum, count)"),
    ],
)
def test_values_that_do_not_fit(change, message):
    net = jaxdl.learner(init, Rule(change))
    state = net.init(KEY, BATCH)
    with pytest.raises(InputError) as error:
        net.step(state, BATCH, KEY)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rule", [Rule(3), Rule(follow, 3)])
def test_a_rule_is_made_of_functions(rule):
    with pytest.raises(InputError, match=r"Rule\.\w+: got 3, allowed"):
        jaxdl.learner(init, rule)


def test_updates_of_rules_cannot_be_wrapped():
    with pytest.raises(InputError, match="allowed: an Update"):
        jaxdl.freeze(Rule(follow), ["w"])
    with pytest.raises(InputError, match="allowed: an Update"):
        jaxdl.accumulate(Rule(follow), 2)


def test_many_repeats_are_those_of_a_loop_of_few():
    """Twelve repeats in a loop are twelve steps of plain gradient descent."""
    update = Update(loss, optax.sgd(0.05), times=12)
    net = jaxdl.learner(init, update)
    state = net.init(KEY, BATCH)
    w = float(state.params["w"])
    state, metrics = jax.jit(net.step)(state, BATCH, KEY)
    before = w
    for _ in range(12):
        before = w
        w = w - 0.05 * 2 * (w - 2.0)
    assert float(state.params["w"]) == pytest.approx(w, rel=1e-5)
    expected = ((before - 1.0) ** 2 + (before - 3.0) ** 2) / 2
    assert float(metrics["loss"][0] / metrics["loss"][1]) == pytest.approx(expected, rel=1e-5)
    text = str(jax.make_jaxpr(net.step)(state, BATCH, KEY))
    assert "scan" in text
