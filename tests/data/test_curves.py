"""Curves with a known truth: their noise, their peak, and points that follow from a key."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.data import SINE, TEMPO, Curve, curve_points
from jaxdl.errors import InputError


@pytest.mark.parametrize("curve", [SINE, TEMPO], ids=["sine", "tempo"])
def test_points_scatter_around_the_truth_with_the_noise(curve):
    data = curve_points(curve, 5000, jaxdl.root(1))
    x = data["input"][:, 0]
    y = data["target"][:, 0]
    assert curve.low <= x.min() and x.max() <= curve.high
    assert np.all(np.diff(x) >= 0)
    np.testing.assert_allclose(x.mean(), (curve.low + curve.high) / 2, rtol=0.03)
    residual = y - np.asarray(curve.truth(x))
    np.testing.assert_allclose(residual.std(), curve.noise, rtol=0.04)
    assert abs(residual.mean()) < 0.06 * curve.noise
    assert abs(np.corrcoef(residual[1:], residual[:-1])[0, 1]) < 0.05
    assert data.name == curve.name


def test_the_tempo_curve_has_one_peak():
    x = np.asarray(TEMPO.even(500))
    y = np.asarray(TEMPO.truth(x))
    rises = np.diff(y) > 0
    peak = int(rises.argmin())
    assert rises[:peak].all() and not rises[peak:].any()
    assert abs(x[peak] - 115) < 1
    assert y.min() > 0 and y.max() < 100


def test_points_follow_from_their_key():
    one, same, other = (curve_points(SINE, 9, jaxdl.root(seed)) for seed in (0, 0, 1))
    assert one.sha256 == same.sha256 != other.sha256
    assert not np.isin(one["input"], other["input"]).any()


def test_a_regression_fits_a_set():
    import optax

    data = curve_points(SINE, 200, jaxdl.root(0))
    task = jaxdl.tasks.regress(jaxdl.models.MLP((32,), 1, activation="tanh"))
    net = jaxdl.learner(task.init, *task.updates(optax.adam(3e-2)))
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=300)
    error = jaxdl.evaluate(net, state, data)["loss"]
    assert error < 2 * SINE.noise**2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curve("a", jnp.sin, 1, 1, 0.1), "high: got 1, allowed: a number above low, 1"),
        (lambda: Curve("a", 3, 0, 1, 0.1), "truth: got 3, allowed: a function of an array"),
        (lambda: SINE.even(1), "size: got 1, allowed: at least 2"),
        (lambda: curve_points(SINE, 0, jaxdl.root(0)), "size: got 0, allowed: at least 1"),
        (
            lambda: curve_points(SINE, 2, jaxdl.root([0, 1])),
            "key: got '2 keys', allowed: one key, root(seed)",
        ),
        (
            lambda: curve_points("sine", 2, jaxdl.root(0)),
            "curve: got 'sine', allowed: a jaxdl.data.Curve, such as SINE",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_a_negative_noise_is_refused():
    with pytest.raises(InputError, match="noise: got -1"):
        Curve("a", jnp.sin, 0, 1, -1)
