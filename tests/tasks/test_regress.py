"""Regression against NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.metrics import means
from jaxdl.models import MLP
from jaxdl.tasks import regress
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {
    "input": jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32),
    "target": jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32),
}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}


class Linear(nn.Module):
    """A linear model with three outputs; `lengths` limits the steps that are used."""

    @nn.compact
    def __call__(self, x, train, lengths=None):
        if lengths is not None:
            x = jnp.where(jnp.arange(x.shape[1])[None] < lengths[:, None], x, 0)
        return nn.Dense(3, name="out")(x)


def started():
    task = regress(Linear())
    return task, *task.init(KEY, BATCH)


def errors(params, inputs) -> np.ndarray:
    out = jax.tree.map(lambda x: np.asarray(x, np.float64), params["out"])
    return (
        np.asarray(inputs, np.float64) @ out["kernel"]
        + out["bias"]
        - np.asarray(BATCH["target"], np.float64)
    )


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch", [BATCH, MASKED], ids=["whole", "masked"])
def test_loss_is_the_mean_squared_error_and_mae_the_mean_absolute_error(batch, train):
    task, params, extra = started()
    value, (after, metrics) = scalar(task.loss)(params, extra, batch, KEY, train=train)
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    error = errors(params, batch["input"])[rows]
    assert float(value) == pytest.approx((error**2).mean(), rel=1e-5)
    assert means(metrics) == pytest.approx(
        {"loss": (error**2).mean(), "mae": np.abs(error).mean()}, rel=1e-5
    )
    assert {float(count) for _, count in metrics.values()} == {len(rows)}
    assert after == extra == {}


def test_the_gradient_matches_numpy():
    task, params, extra = started()
    grads = jax.grad(lambda p: scalar(task.loss)(p, extra, MASKED, KEY, train=True)[0])(params)[
        "out"
    ]
    error = errors(params, BATCH["input"]) * np.asarray(MASKED["mask"])[:, None] * 2 / (4 * 3)
    np.testing.assert_allclose(
        grads["kernel"], np.asarray(BATCH["input"]).T @ error, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(grads["bias"], error.sum(0), rtol=1e-4, atol=1e-6)


def test_lengths_are_passed_to_the_model():
    task, params, extra = started()
    lengths = jnp.array([5, 1, 2, 3, 4, 5])
    short = jnp.where(jnp.arange(5)[None] < lengths[:, None], BATCH["input"], 0)
    value, _ = scalar(task.loss)(params, extra, {**BATCH, "length": lengths}, KEY, train=False)
    assert float(value) == pytest.approx((errors(params, short) ** 2).mean(), rel=1e-5)
    predicted = task.predict(params, extra, BATCH["input"], lengths)
    np.testing.assert_allclose(
        predicted - BATCH["target"], errors(params, short), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(predicted, task.predict(params, extra, BATCH["input"]))


def test_statistics_change_in_training_only():
    task = regress(MLP((4,), 3, norm="batch"))
    params, extra = task.init(KEY, BATCH)
    _, (trained, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=True)
    _, (evaluated, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=False)
    assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra) != jaxdl.state_sha256(trained)
    two_rows = task.predict(params, trained, BATCH["input"][:2])
    all_rows = task.predict(params, trained, BATCH["input"])
    np.testing.assert_allclose(two_rows, all_rows[:2], rtol=1e-5)
