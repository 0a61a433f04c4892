"""Least squares on random features against NumPy, and the peak at p = n."""

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl.classic import double_descent
from jaxdl.errors import InputError
from jaxdl.rng import fold, stream


def data(n=16, dimensions=3, outputs=2, new=50, seed=0):
    """Returns training points and new ones of a noisy function of random inputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + new, dimensions))
    y = np.sin(x @ rng.normal(size=(dimensions, outputs))) + 0.2 * rng.normal(
        size=(n + new, outputs)
    )
    return (x[:n], y[:n]), (x[n:], y[n:])


def features(x, key, count, kind):
    """Returns the features of the docstring, one by one."""
    columns = []
    for j in range(count):
        one = fold(stream(key, "features"), j)
        w = np.asarray(jax.random.normal(fold(one, 0), (x.shape[1],), x.dtype))
        values = x @ w / np.sqrt(x.shape[1])
        if kind == "fourier":
            b = jax.random.uniform(fold(one, 1), (), x.dtype, maxval=2 * np.pi)
            columns.append(np.cos(values + float(b)))
        else:
            b = jax.random.normal(fold(one, 1), (), x.dtype)
            columns.append(np.maximum(values + float(b), 0))
    return np.stack(columns, 1)


@pytest.mark.parametrize("kind", ["fourier", "relu"])
def test_it_is_the_least_norm_solution_of_numpy(kind):
    train, test = data()
    counts = [3, 15, 16, 17, 60]
    with jax.enable_x64(True):
        found = double_descent(train, test, counts, jaxdl.root([4, 9]), kind=kind)
        for s, seed in enumerate((4, 9)):
            seen, new = (features(x, jaxdl.root(seed), 60, kind) for x, _ in (train, test))
            for i, p in enumerate(counts):
                c = np.linalg.lstsq(seen[:, :p], train[1], rcond=1e-12)[0]
                errors = [
                    ((f[:, :p] @ c - y) ** 2).mean() for f, (_, y) in ((seen, train), (new, test))
                ]
                np.testing.assert_allclose(found.train_error[s, i], errors[0], atol=1e-10)
                np.testing.assert_allclose(found.test_error[s, i], errors[1], rtol=1e-6)
                np.testing.assert_allclose(found.norm[s, i], np.sqrt((c**2).sum()), rtol=1e-6)
    assert found.examples == 16
    assert found.features.tolist() == counts


@pytest.mark.parametrize("n", [10, 16, 25])
def test_the_peak_is_where_features_equal_points(n):
    train, test = data(n, seed=n)
    counts = [2, n // 2, n - 2, n - 1, n, n + 1, n + 2, 2 * n, 8 * n]
    with jax.enable_x64(True):
        found = double_descent(train, test, counts, jaxdl.root(range(20)))
    assert found.peak == n
    mean = found.test_error.mean(0)
    assert mean[-1] < mean[counts.index(n)] / 10
    # From n features on, all points are fitted, and more features need smaller coefficients.
    assert found.train_error[:, counts.index(n) :].max() < 1e-12
    assert found.train_error[:, : counts.index(n)].min() > 1e-9
    assert np.all(np.diff(found.norm.mean(0)[counts.index(n) :]) < 0)


def test_a_second_descent_falls_below_the_first_on_digits():
    train, test = jaxdl.data.load("digits")
    few = jaxdl.data.few_labels(train, 2, jaxdl.root(0))
    sets = []
    for each in jaxdl.data.standardize(few, test):
        x = np.asarray(each["input"], np.float32)
        sets.append((x, np.eye(10, dtype=np.float32)[each["label"]]))
    found = double_descent(*sets, [2, 5, 10, 19, 20, 21, 40, 200], jaxdl.root(range(5)))
    mean = found.test_error.mean(0)
    assert found.peak == 20
    assert mean[-1] < mean[:4].min()


def test_one_key_and_one_target_per_point():
    (x, y), (new_x, new_y) = data()
    key = jaxdl.root(3)
    one = double_descent((x, y[:, 0]), (new_x, new_y[:, 0]), [5], key)
    column = double_descent((x, y[:, :1]), (new_x, new_y[:, :1]), [5], jaxdl.root([3]))
    assert one.test_error.shape == (1, 1)
    np.testing.assert_allclose(one.test_error, column.test_error)


TRAIN, TEST = data()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((TRAIN, TEST, []), {}, "features: got [], allowed: at least one number of features"),
        ((TRAIN, TEST, [3, 0]), {}, "features: got 0, allowed: at least 1"),
        (
            (TRAIN, TEST, [3]),
            {"kind": "relo"},
            "kind: got 'relo', allowed: fourier, relu (did you mean 'relu'?)",
        ),
        (
            (TRAIN, (TEST[0][:, :2], TEST[1]), [3]),
            {},
            "test: got [[50, 2], [50, 2]], allowed: inputs [N, 3] and targets [N, 2], as in train",
        ),
        (
            ((TRAIN[0], TRAIN[1][:5]), TEST, [3]),
            {},
            "train: got [[16, 3], [5, 2]], allowed: inputs [N, D] and as many targets [N] or "
            "[N, K]",
        ),
        (
            ((TRAIN[0], np.ones((16, 2), np.int32)), TEST, [3]),
            {},
            "train: got 'int32', allowed: floating-point inputs and targets",
        ),
    ],
)
def test_bad_arguments(arguments, options, message):
    with pytest.raises(InputError) as caught:
        double_descent(*arguments, jaxdl.root(0), **options)
    assert str(caught.value) == message
