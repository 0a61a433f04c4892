"""Interpolation and grids in a latent space, against their geometry."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxdl.errors import InputError
from jaxdl.tasks import interpolate, latent_grid

RNG = np.random.default_rng(0)
A, B = (jnp.asarray(RNG.normal(size=6), jnp.float32) for _ in range(2))


@pytest.mark.parametrize("how", ["linear", "spherical"])
def test_both_ends_are_on_the_path(how):
    path = interpolate(A, B, 7, how)
    np.testing.assert_allclose(path[0], A, rtol=1e-5)
    np.testing.assert_allclose(path[-1], B, rtol=1e-5)


def test_a_line_has_equal_steps():
    steps = np.diff(interpolate(A, B, 7), axis=0)
    np.testing.assert_allclose(steps, np.tile((B - A) / 6, (6, 1)), rtol=1e-4, atol=1e-6)


def test_an_arc_has_constant_length_and_equal_angles():
    a = A / jnp.linalg.norm(A) * 2
    b = B / jnp.linalg.norm(B) * 2
    path = np.asarray(interpolate(a, b, 9, "spherical"), np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 2, rtol=1e-5)
    angles = np.arccos((path[:-1] * path[1:]).sum(1) / 4)
    np.testing.assert_allclose(angles, np.arccos(np.asarray(a @ b) / 4) / 8, rtol=1e-3)


@pytest.mark.parametrize("end", [A, -A, jnp.zeros(6)])
def test_the_path_is_a_line_where_the_arc_is_not_unique(end):
    np.testing.assert_allclose(
        interpolate(A, end, 5, "spherical"), interpolate(A, end, 5), rtol=1e-5, atol=1e-6
    )


def test_the_grid_divides_the_normal_evenly():
    n = 5
    shares = scipy.stats.norm.cdf(latent_grid(n)).reshape(n, n, 2)
    even = (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(shares[..., 0], np.tile(even, (n, 1)), rtol=1e-5)
    np.testing.assert_allclose(shares[..., 1], np.tile(even[::-1, None], (1, n)), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: interpolate(A, B[:2], 3),
            "b: got (2,), allowed: one latent vector, with the shape of a, (6,)",
        ),
        (lambda: interpolate(A, B, 1), "n: got 1, allowed: at least 2"),
        (
            lambda: interpolate(A, B, 3, "sphere"),
            "how: got 'sphere', allowed: linear, spherical (did you mean 'spherical'?)",
        ),
        (lambda: latent_grid(0), "n: got 0, allowed: at least 1"),
    ],
)
def test_bad_values_are_refused(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line
