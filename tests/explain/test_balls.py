"""Tests of balls around images: radii, projections and random points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.explain.balls import BALLS, float32_below

ORDER = {"linf": np.inf, "l2": 2}


@pytest.mark.parametrize("epsilon", [0.3, 0.1, 1 / 3, 8 / 255])
def test_the_radius_is_the_largest_float32_below(epsilon):
    radius = float32_below(epsilon)
    assert radius.dtype == np.float32
    assert float(radius) <= epsilon < float(np.nextafter(radius, np.float32(1)))


@pytest.mark.parametrize("norm", BALLS)
def test_a_projection_is_near_and_changes_no_point_of_the_ball(norm):
    random = np.random.default_rng(0)
    center = random.random((16, 5, 4, 1)).astype(np.float32)
    ball = BALLS[norm](float32_below(0.4))
    project = ball.projection(jnp.asarray(center), 0.0, 1.0)
    far = center + random.normal(size=center.shape).astype(np.float32)
    near = np.asarray(project(jnp.asarray(far)))
    change = (near.astype(np.float64) - center).reshape(16, -1)
    sizes = np.linalg.norm(change, ORDER[norm], axis=1)
    assert sizes.max() <= 0.4
    assert sizes.max() > 0.39
    np.testing.assert_allclose(project(jnp.asarray(near)), near, atol=1e-6)
    # A point of the set is not moved.
    inside = np.clip(center + 0.01 * np.sign(far - center), 0, 1).astype(np.float32)
    np.testing.assert_allclose(project(jnp.asarray(inside)), inside, atol=1e-6)


@pytest.mark.parametrize("norm", BALLS)
def test_random_points_lie_inside_or_on_the_surface(norm):
    ball = BALLS[norm](float32_below(0.3))
    keys = jax.random.split(jax.random.key(0), 50)
    inside = np.stack([ball.inside(key, (4, 3, 1)) for key in keys]).reshape(50, -1)
    surface = np.stack([ball.surface(key, (4, 3, 1)) for key in keys]).reshape(50, -1)
    assert np.linalg.norm(inside, ORDER[norm], axis=1).max() <= 0.3 * (1 + 1e-6)
    np.testing.assert_allclose(np.linalg.norm(surface, ORDER[norm], axis=1), 0.3, rtol=1e-5)
