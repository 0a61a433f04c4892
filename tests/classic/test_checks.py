"""Arrays that the methods of `jaxdl.classic` accept and refuse."""

import numpy as np
import pytest

from jaxdl.classic import fit_polynomial, pca, perceptron
from jaxdl.classic.checks import finite_rows, with_features
from jaxdl.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, bool])
def test_short_floats_and_integers_are_computed_in_float32(dtype):
    x = np.arange(12).astype(dtype)
    assert finite_rows("x", x, 1, "numbers").dtype == np.float32
    fit = fit_polynomial(x, x, 1)
    assert fit.coefficients.dtype == np.float32
    np.testing.assert_allclose(fit.predict(x), x.astype(float), atol=1e-5)


def test_components_of_short_floats_are_those_of_float32():
    x = RNG.normal(size=(20, 3)).astype(np.float16)
    np.testing.assert_array_equal(pca(x, 2).components, pca(x.astype(np.float32), 2).components)


def test_a_neuron_learns_from_integers():
    found = perceptron([[2, 0], [0, 2]], [1, -1])
    assert found.weights.tolist() == [2.0, -2.0]
    assert found.predict([[3, 0], [0, 3]]).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: finite_rows("x", [[1.0, np.nan]], 2, "rows"), "x[0]: got [1.0, nan], allowed: f"),
        (lambda: finite_rows("x", [], 1, "numbers [N]"), "x: got [0], allowed: numbers [N]"),
        (lambda: finite_rows("x", None, 1, "numbers [N]"), "x: got None, allowed: numbers [N]"),
        (lambda: with_features("x", np.ones((2, 3)), 2), "x: got [2, 3], allowed: numbers [N, 2]"),
        (lambda: pca(np.ones((4, 3)), 2).transform(np.ones(3)), "x: got [3], allowed: numbers [N"),
        (lambda: fit_polynomial("ab", [1], 1), "x: got 'ab', allowed: numbers [N], N at least 1"),
        (lambda: fit_polynomial([0, 1], [0, 1], 1, ridge="a"), "ridge: got 'a', allowed: a number"),
        (lambda: perceptron([[1]], [None]), "labels: got [None], allowed: one for each of 1 exam"),
    ],
)
def test_bad_arrays(call, line):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value).startswith(line)
