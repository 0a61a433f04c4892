"""Learners: order of updates, optimizer states, dtypes without weak types, and `inference`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import schedule_free_eval_params, schedule_free_sgd

import jaxdl
from jaxdl.core import State, inference
from jaxdl.errors import InputError, NonFinite
from jaxdl.metrics import mean, total
from jaxdl.replicas import AXIS
from jaxdl.updates import Update
from tests.training.linear import KEY, line, points

ADAM = optax.adam(0.01)
BATCH = {"x": jnp.asarray(np.random.default_rng(0).normal(size=6), jnp.float32)}


def two(key, batch):
    """Returns two subtrees of parameters, and one number that no gradient trains."""
    return {"a": {"v": jnp.full((), 3.0)}, "b": {"v": jnp.full((), -2.0)}}, {"seen": jnp.zeros(())}


def pull_a(params, extra, batch, key, *, train):
    """Computes a loss that pulls a towards b plus the mean of the batch."""
    error = (params["a"]["v"] - params["b"]["v"] - batch["x"]) ** 2
    return total(error), ({"seen": extra["seen"] + 1}, {"a_loss": total(error)})


def pull_b(params, extra, batch, key, *, train):
    """Computes a loss that pulls b towards twice a."""
    error = (params["b"]["v"] - 2 * params["a"]["v"]) ** 2
    return total(error[None]), ({"seen": extra["seen"] * 10}, {"b_loss": total(error[None])})


def test_a_later_update_sees_what_an_earlier_one_changed():
    net = jaxdl.learner(
        two, Update(pull_a, optax.sgd(0.25), "a"), Update(pull_b, optax.sgd(0.1), "b", times=2)
    )
    state, metrics = net.step(net.init(KEY, BATCH), BATCH, KEY)
    a = 3.0
    b = -2.0
    x = np.asarray(BATCH["x"], np.float64)
    a_loss = ((a - b - x) ** 2).sum()
    a -= 0.25 * 2 * (a - b - x).mean()
    b -= 0.1 * 2 * (b - 2 * a)
    b_loss = (b - 2 * a) ** 2  # the metric of the second repeat is reported
    b -= 0.1 * 2 * (b - 2 * a)
    np.testing.assert_allclose([state.params["a"]["v"], state.params["b"]["v"]], [a, b], rtol=1e-5)
    np.testing.assert_allclose(
        [metrics["a_loss"][0], metrics["b_loss"][0]], [a_loss, b_loss], rtol=1e-5
    )
    assert float(state.extra["seen"]) == 100  # (0 + 1) * 10 * 10
    assert int(state.step) == 1


def test_a_loss_that_is_not_a_pair_is_refused():
    def scalar(params, extra, batch, key, *, train):
        return params["a"]["v"] ** 2, (extra, {})

    net = jaxdl.learner(two, Update(scalar, optax.sgd(0.1)))
    with pytest.raises(InputError) as caught:
        net.step(net.init(KEY, BATCH), BATCH, KEY)
    allowed = "(sum, count), such as jaxdl.metrics.total(losses)"
    assert str(caught.value) == f"loss: got 'one array', allowed: {allowed}"


def test_order_of_updates_matters():
    updates = Update(pull_a, optax.sgd(0.25), "a"), Update(pull_b, optax.sgd(0.1), "b")
    ends = []
    for order in (updates, updates[::-1]):
        net = jaxdl.learner(two, *order)
        ends.append(float(net.step(net.init(KEY, BATCH), BATCH, KEY)[0].params["b"]["v"]))
    assert ends[0] != ends[1]


def test_repeats_share_one_optimizer_state():
    net = jaxdl.learner(two, Update(pull_a, ADAM, "a", times=3), Update(pull_b, ADAM, "b"))
    state, _ = net.step(net.init(KEY, BATCH), BATCH, KEY)
    assert [int(opt[0].count) for opt in state.opt] == [3, 1]
    v = 3.0
    mu = 0.0
    nu = 0.0
    x = np.asarray(BATCH["x"], np.float64)
    for t in (1, 2, 3):
        g = 2 * (v + 2.0 - x).mean()
        mu = 0.9 * mu + 0.1 * g
        nu = 0.999 * nu + 0.001 * g * g
        v -= 0.01 * (mu / (1 - 0.9**t)) / (np.sqrt(nu / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(state.params["a"]["v"], v, rtol=1e-6)


def test_on_updates_its_subtree_and_has_optimizer_state_for_it_only():
    net = jaxdl.learner(two, Update(pull_a, ADAM, on="a"))
    before = net.init(KEY, BATCH)
    after, _ = net.step(before, BATCH, KEY)
    assert jax.tree.structure(before.opt[0][0].mu) == jax.tree.structure(before.params["a"])
    assert after.params["b"] == before.params["b"]
    assert after.params["a"] != before.params["a"]


def test_keys_differ_between_steps_updates_and_repeats():
    keys = []

    def noisy(params, extra, batch, key, *, train):
        keys.append(jax.random.key_data(key).tolist())
        return (params["a"]["v"] ** 2, 1.0), (extra, {})

    net = jaxdl.learner(two, Update(noisy, optax.sgd(0.1), times=2), Update(noisy, optax.sgd(0.1)))
    state, _ = net.step(net.init(KEY, BATCH), BATCH, KEY)
    net.step(state, BATCH, KEY)
    net.evaluate(state, BATCH, KEY)
    assert len(keys) == 8
    assert len({tuple(key) for key in keys}) == 8


def test_init_removes_weak_types():
    def weak(key, batch):
        return {"w": jnp.asarray(1.0) * 2, "n": 3.0}, {"count": jnp.asarray(0)}

    def simple(params, extra, batch, key, *, train):
        return ((params["w"] * params["n"]) ** 2, 1.0), ({"count": extra["count"] + 1}, {})

    net = jaxdl.learner(
        weak, Update(simple, optax.inject_hyperparams(optax.sgd)(learning_rate=0.1))
    )
    state = net.init(KEY, BATCH)
    after = jax.eval_shape(net.step, state, BATCH, KEY)[0]
    assert not any(x.weak_type for x in jax.tree.leaves(state))
    assert [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(after)] == [
        (x.shape, x.dtype, False) for x in jax.tree.leaves(state)
    ]


def test_logged_learning_rate_is_the_one_used():
    rate = optax.linear_schedule(0.5, 0.1, 4)
    net = jaxdl.learner(
        two, Update(pull_a, optax.inject_hyperparams(optax.sgd)(learning_rate=rate))
    )
    state = net.init(KEY, BATCH)
    step = jax.jit(net.step)
    for i in range(3):
        gradient = jax.grad(
            lambda p: mean(pull_a(p, {"seen": jnp.zeros(())}, BATCH, KEY, train=True)[0])
        )(state.params)
        new, metrics = step(state, BATCH, KEY)
        change = state.params["a"]["v"] - new.params["a"]["v"]
        used = jaxdl.metrics.means(metrics)["learning_rate"]
        assert used == pytest.approx(0.5 - 0.1 * i, rel=1e-6)
        np.testing.assert_allclose(change, used * gradient["a"]["v"], rtol=1e-4)
        state = new


def test_learning_rates_of_two_optimizers_have_two_names():
    sgd = optax.inject_hyperparams(optax.sgd)
    net = jaxdl.learner(two, Update(pull_a, sgd(0.5), "a"), Update(pull_b, sgd(0.25), "b"))
    metrics = jaxdl.metrics.means(net.step(net.init(KEY, BATCH), BATCH, KEY)[1])
    assert (metrics["a_learning_rate"], metrics["b_learning_rate"]) == (0.5, 0.25)
    assert "learning_rate" not in metrics
    assert "learning_rate" not in net.evaluate(net.init(KEY, BATCH), BATCH, KEY)


def test_inference_uses_the_average():
    average = {"w": jnp.asarray(2.0)}
    state = State(
        jnp.zeros((), jnp.int32),
        {"w": jnp.asarray(1.0)},
        (),
        {"batch_stats": {"m": 3}},
        {"ema": average},
    )
    assert inference(state).params == average
    assert inference(state).extra == {"batch_stats": {"m": 3}}
    assert inference(state).wrapped == {}
    assert state.wrapped["ema"] == average


@functools.cache
def schedule_free():
    net = line(schedule_free_sgd(0.1))
    data = points()
    batch = {name: jnp.asarray(x[:8]) for name, x in data.arrays.items()}
    state = net.init(KEY, batch)
    step = jax.jit(net.step)
    for _ in range(3):
        state, _ = step(state, batch, KEY)
    return net, state, batch


def test_inference_uses_the_schedule_free_iterate():
    net, state, batch = schedule_free()
    expected = schedule_free_eval_params(state.opt[0], state.params)
    assert inference(state).params["w"].tolist() == expected["w"].tolist()
    assert inference(state).params["w"].tolist() != state.params["w"].tolist()
    error = batch["input"] @ expected["w"] + expected["b"] - batch["target"]
    np.testing.assert_allclose(
        net.evaluate(state, batch, KEY)["loss"][0], (error**2).sum(), rtol=1e-5
    )


def test_a_mapped_step_averages_gradients_and_adds_metrics():
    net = line(optax.sgd(0.1))
    data = points()
    batch = {name: jnp.asarray(x[:8]) for name, x in data.arrays.items()}
    parts = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), batch)
    state = net.init(KEY, batch)
    keys = jax.random.split(KEY, 2)
    mapped, metrics = jax.vmap(net.step, (None, 0, 0), axis_name=AXIS)(state, parts, keys)
    alone = [net.step(state, jax.tree.map(lambda x, i=i: x[i], parts), keys[i]) for i in range(2)]
    for name in ("w", "b"):
        mean = sum(np.asarray(s.params[name]) for s, _ in alone) / 2
        np.testing.assert_allclose(
            mapped.params[name], np.stack([mean, mean]), rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(
        metrics["loss"][0][0], sum(m["loss"][0] for _, m in alone), rtol=1e-6
    )
    assert float(metrics["loss"][1][0]) == 8


ONE = Update(pull_a, optax.sgd(0.1))


@pytest.mark.parametrize(
    ("updates", "line"),
    [
        ((), "updates: got (), allowed: at least one Update(loss, optimizer)"),
        ((ONE._replace(times=0),), "Update.times: got 0, allowed: at least 1"),
        (
            (ONE._replace(frozen=["a"]),),
            "Update.frozen: got <class 'list'>, allowed: None, or use jaxdl.freeze",
        ),
        ((ONE._replace(on="c"),), "Update.on: got 'c', allowed: None or one of ['a', 'b']"),
        (
            (ONE._replace(on="a", optimizer=schedule_free_sgd(0.1)),),
            "Update.on: got 'a', allowed: None with a schedule-free optimizer, "
            "which averages all parameters",
        ),
    ],
)
def test_bad_updates_are_refused(updates, line):
    with pytest.raises(InputError) as caught:
        jaxdl.learner(two, *updates).init(KEY, BATCH)
    assert str(caught.value) == line


def numbers(params, extra, batch, key, *, train):
    """Computes a loss whose count and metrics are Python numbers."""
    error = ((params["a"]["v"] - batch["x"]) ** 2).sum()
    return (error, 6), (extra, {"steps": (1, 1), "half": (3.0, 6)})


def test_losses_may_return_python_numbers():
    for update in (Update(numbers, ADAM), jaxdl.accumulate(Update(numbers, ADAM), 2)):
        net = jaxdl.learner(two, update)
        metrics = jaxdl.metrics.means(jax.jit(net.step)(net.init(KEY, BATCH), BATCH, KEY)[1])
        assert (metrics["steps"], metrics["half"]) == (1, 0.5)


def test_a_loss_that_is_no_metric_is_added():
    state = jaxdl.learner(two, Update(numbers, ADAM)).init(KEY, BATCH)
    expected = float(((state.params["a"]["v"] - BATCH["x"]) ** 2).mean())
    for on, name in ((None, "objective"), ("a", "a_objective")):
        net = jaxdl.learner(two, Update(numbers, ADAM, on))
        state = net.init(KEY, BATCH)
        for metrics in (net.step(state, BATCH, KEY)[1], net.evaluate(state, BATCH, KEY)):
            assert jaxdl.metrics.means(metrics)[name] == pytest.approx(expected, rel=1e-5)
    plain = line()
    batch = {name: jnp.asarray(x[:8]) for name, x in points().arrays.items()}
    assert list(plain.evaluate(plain.init(KEY, batch), batch, KEY)) == ["loss"]


def test_a_loss_that_is_not_finite_beside_finite_metrics_ends_training_and_evaluation():
    def hidden(params, extra, batch, key, *, train):
        error = (batch["input"] @ params["w"] - batch["target"]) ** 2
        bad = jnp.where(batch["input"][:, 0] > 100, jnp.nan, 0)
        return total(error + bad), (extra, {"mse": total(error)})

    def init(key, batch):
        return {"w": jnp.zeros(3)}, {}

    net = jaxdl.learner(init, Update(hidden, optax.sgd(1e-9)))
    good = points()
    bad = points(rows={5: 200.0})
    state = jaxdl.train(net, good, key=KEY, steps=2, batch_size=4)
    assert set(jaxdl.evaluate(net, state, good)) == {"mse", "objective"}
    with pytest.raises(NonFinite, match="^step 2: objective is not finite; all leaves .* points$"):
        jaxdl.evaluate(net, state, bad)
    with pytest.raises(NonFinite, match="objective is not finite"):
        jaxdl.train(net, bad, key=KEY, steps=8, batch_size=4)


def returns(value):
    return Update(lambda params, extra, batch, key, *, train: value, ADAM)


PAIR = "(sum, count), such as jaxdl.metrics.total(losses)"
WHOLE = "((sum, count), (extra, metrics)), with a dictionary of metrics"


@pytest.mark.parametrize(
    ("updates", "line"),
    [
        (
            lambda: Update(pull_a, optax.adam),
            "Update.optimizer: got 'adam', allowed: a transformation, as optax.adam(1e-3)",
        ),
        (
            lambda: Update(pull_a, 0.1),
            "Update.optimizer: got 0.1, allowed: a transformation, as optax.adam(1e-3)",
        ),
        (
            lambda: Update(None, ADAM),
            "Update.loss: got <class 'NoneType'>, allowed: a loss, such as task.loss",
        ),
        (
            lambda: (ONE,),
            "updates: got <class 'tuple'>, allowed: Updates, as in *task.updates(optax.adam(1e-3))",
        ),
        (lambda: returns(3.0), f"value of the loss: got 'float', allowed: {WHOLE}"),
        (lambda: returns(((1.0, 1), {})), f"value of the loss: got 'tuple', allowed: {WHOLE}"),
        (lambda: returns((1.0, ({}, {}))), f"loss: got 'one array', allowed: {PAIR}"),
        (
            lambda: returns(((1.0, 1), ({}, {"accuracy": 0.5}))),
            f"accuracy: got 'one array', allowed: {PAIR}",
        ),
    ],
)
def test_what_is_no_update_or_loss_is_refused(updates, line):
    with pytest.raises(InputError) as caught:
        net = jaxdl.learner(two, updates())
        net.step(net.init(KEY, BATCH), BATCH, KEY)
    assert str(caught.value) == line


@pytest.mark.parametrize("make", [optax.lbfgs, lambda: optax.scale_by_backtracking_linesearch(5)])
def test_an_optimizer_with_a_line_search_is_refused(make):
    with pytest.raises(InputError) as caught:
        jaxdl.train(line(make()), points(), key=KEY, steps=1, batch_size=4)
    message = str(caught.value)
    assert message.startswith("Update.optimizer: got ") and "value_fn" in message
    assert message.endswith("as optax.adam; a line search needs more")


def test_lbfgs_without_a_line_search_is_taken():
    net = line(optax.lbfgs(0.02, linesearch=None))
    state = jaxdl.train(net, points(), key=KEY, steps=3, batch_size=20)
    assert state.steps_done == 3


def test_losses_that_are_no_metrics_have_numbered_names():
    def loss(params, extra, batch, key, *, train):
        return (sum(x.sum() for x in jax.tree.leaves(params)) ** 2, 1), (extra, {})

    net = jaxdl.learner(two, Update(loss, ADAM), Update(loss, optax.MultiSteps(ADAM, 2)))
    state = net.init(KEY, BATCH)
    assert sorted(net.step(state, BATCH, KEY)[1]) == ["objective_0", "objective_1"]
    assert sorted(net.evaluate(state, BATCH, KEY)) == ["objective_0", "objective_1"]
