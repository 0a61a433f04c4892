"""A trained network as a function: `bind`, and the prediction of a whole set in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import bind, predict_batched
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.tasks import classify
from tests.training.linear import KEY

X = np.random.default_rng(0).normal(size=(13, 4)).astype(np.float32)
LENGTHS = np.arange(13, dtype=np.int32) % 4 + 1


def started():
    task = classify(MLP((6,), 3))
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    return task, net.init(KEY, {"input": jnp.asarray(X)})


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, 13, 14, 500])
def test_batches_give_the_predictions_of_the_whole_set(batch_size):
    task, state = started()
    predictions = predict_batched(bind(task.predict, state), X, batch_size=batch_size)
    assert isinstance(predictions, np.ndarray)
    np.testing.assert_allclose(predictions, task.predict(state.params, state.extra, X), rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "batch_size", "rows"), [(13, 4, 4), (12, 4, 4), (3, 4, 3), (13, 1, 1)]
)
def test_all_batches_share_one_program(size, batch_size, rows):
    shapes = []

    def predict(params, extra, x, lengths):
        shapes.append((x.shape, lengths.shape))
        return x.sum(1) * lengths.astype(x.dtype) + params + extra["more"]

    state = started()[1].replace(params=jnp.float32(2), extra={"more": jnp.float32(1)})
    predictions = predict_batched(
        bind(predict, state), X[:size], LENGTHS[:size], batch_size=batch_size
    )
    assert shapes == [((rows, 4), (rows,))]
    np.testing.assert_allclose(predictions, X[:size].sum(1) * LENGTHS[:size] + 3, rtol=1e-5)


def test_a_bound_function_uses_averaged_weights_and_the_model_s_collections():
    task = classify(MLP((6,), 3, norm="batch"))
    plain = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    net = jaxdl.skip_nonfinite(jaxdl.with_ema(plain, 0.5))
    batch = {"input": jnp.asarray(X), "label": jnp.asarray(LENGTHS) % 3}
    state = net.init(KEY, batch)
    for _ in range(3):
        state, _ = net.step(state, batch, KEY)
    extra = {"batch_stats": state.extra["batch_stats"]}
    expected = task.predict(state.wrapped["ema"], extra, X)
    np.testing.assert_array_equal(bind(task.predict, state)(X), expected)


def test_equal_functions_share_a_program_for_all_weights():
    traces = []

    def f(params, extra, x):
        traces.append(x.shape)
        return x * params

    state = started()[1]
    for value in (2.0, 3.0):
        scaled = predict_batched(bind(f, state.replace(params=jnp.float32(value))), X)
        np.testing.assert_array_equal(scaled, X * np.float32(value))
    assert len(traces) == 1


def test_a_bound_function_can_be_differentiated():
    task = classify(MLP((6,), 3, "tanh"))
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    predict = bind(task.predict, net.init(KEY, {"input": jnp.asarray(X)}))
    slope = jax.grad(lambda x: predict(x[None])[0, 1])(X[0])
    eps = 1e-2
    for i in range(4):
        step = np.zeros(4, np.float32)
        step[i] = eps
        up = predict((X[0] + step)[None])[0, 1]
        down = predict((X[0] - step)[None])[0, 1]
        assert slope[i] == pytest.approx(float(up - down) / (2 * eps), abs=1e-3)


def test_outputs_may_be_trees():
    outputs = predict_batched(lambda x: {"double": 2 * x, "sum": x.sum(1)}, X, batch_size=5)
    np.testing.assert_array_equal(outputs["double"], 2 * X)
    np.testing.assert_allclose(outputs["sum"], X.sum(1), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: predict_batched(abs, X, batch_size=0), "batch_size: got 0, allowed: at least 1"),
        (lambda: predict_batched(abs, X[:0]), "rows: got 0, allowed: at least 1"),
        (
            lambda: predict_batched(abs, X, X[:3]),
            "rows: got 3, allowed: 13, as many as the first array has",
        ),
        (lambda: predict_batched(abs), "inputs: got (), allowed: at least one array [N, ...]"),
    ],
)
def test_bad_inputs_are_refused(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line


def test_the_state_of_several_runs_is_refused():
    task, state = started()
    several = jax.tree.map(lambda x: jnp.stack([x, x]), state)
    with pytest.raises(InputError) as caught:
        bind(task.predict, several)
    assert (
        str(caught.value) == "state: got '2 runs', allowed: the state of one run, state.member(i)"
    )
    np.testing.assert_array_equal(
        bind(task.predict, several.member(1))(X), bind(task.predict, state)(X)
    )
