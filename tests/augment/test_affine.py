"""Affine maps of images against SciPy, and their exact cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxdl.augment import affine, affine_matrix, augment_batch, warp
from jaxdl.errors import InputError

RNG = np.random.default_rng(0)
KEY = jax.random.key(5)


def image(height: int, width: int, channels: int = 1, dtype: type = np.float32) -> np.ndarray:
    return RNG.uniform(size=(height, width, channels)).astype(dtype)


def by_scipy(x: np.ndarray, matrix: np.ndarray, offset: np.ndarray, order: int) -> np.ndarray:
    planes = [
        scipy.ndimage.affine_transform(
            np.asarray(x[..., c], np.float64), matrix, offset, order=order, mode="grid-constant"
        )
        for c in range(x.shape[-1])
    ]
    return np.stack(planes, -1)


def matrices(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns random matrices and offsets: small changes, large ones, and shifts out of sight."""
    found = []
    for i in range(count):
        matrix = np.eye(2) + RNG.normal(size=(2, 2)) * (0.1, 1.0)[i % 2]
        found.append((matrix, RNG.normal(size=2) * (3.0, 30.0)[i % 3 == 2]))
    return found


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 12, 3), (1, 5, 2)])
@pytest.mark.parametrize("order", [0, 1])
def test_a_warp_equals_scipy(shape, order):
    x = image(*shape)
    mapped = jax.jit(lambda m, o: warp(jnp.asarray(x), m, o, order))
    for matrix, offset in matrices(30):
        single = (matrix.astype(np.float32), offset.astype(np.float32))
        expected = by_scipy(x, *(array.astype(np.float64) for array in single), order)
        y = np.asarray(mapped(*single))
        if order == 0:
            # A position within rounding of the middle between two pixels may take either.
            assert (np.abs(y - expected) > 1e-6).mean() < 0.02
        else:
            np.testing.assert_allclose(y, expected, atol=1e-5 * max(1, abs(matrix).max()))


def test_a_warp_in_float64_equals_scipy():
    with jax.enable_x64(True):
        x = image(9, 14, 2, np.float64)
        for matrix, offset in matrices(30):
            for order in (0, 1):
                y = warp(jnp.asarray(x), jnp.asarray(matrix), jnp.asarray(offset), order)
                assert y.dtype == np.float64
                np.testing.assert_allclose(y, by_scipy(x, matrix, offset, order), atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 5)])
def test_quarter_turns_are_exact(height, width):
    x = image(height, width, 2)
    for turns in range(-4, 5):
        y = warp(jnp.asarray(x), *affine_matrix((height, width), rotate=90.0 * turns))
        np.testing.assert_array_equal(y, np.rot90(x, turns))


def test_shifts_by_whole_pixels_and_the_identity_are_exact():
    x = image(6, 7)
    np.testing.assert_array_equal(warp(jnp.asarray(x), *affine_matrix((6, 7))), x)
    y = warp(jnp.asarray(x), *affine_matrix((6, 7), shift=(2.0, -3.0)))
    np.testing.assert_array_equal(y, np.pad(x, ((2, 0), (0, 3), (0, 0)))[:6, 3:])
    np.testing.assert_array_equal(warp(jnp.asarray(x), jnp.eye(2), jnp.array([50.0, 0])), 0 * x)


def test_the_matrix_maps_a_point_as_its_formula():
    """Shear, scale, rotation and shift one after the other, in float64."""
    for _ in range(20):
        angle = np.deg2rad(RNG.uniform(-170, 170))
        k = RNG.uniform(-1, 1)
        factor = RNG.uniform(0.5, 2)
        shift = RNG.normal(size=2) * 3
        shear = np.array([[1, 0], [np.tan(k), 1]])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        center = np.array([4.0, 6.5])
        point = RNG.uniform(0, 9, 2)
        moved = center + turn @ (factor * (shear @ (point - center))) + shift
        numbers = (np.rad2deg(angle), jnp.asarray(shift, jnp.float32), factor, np.rad2deg(k))
        matrix, offset = affine_matrix((9, 14), *numbers)
        np.testing.assert_allclose(matrix @ moved.astype(np.float32) + offset, point, atol=1e-4)


def test_the_inverse_map_returns_a_smooth_image():
    rows, columns = np.mgrid[:40, :40]
    x = np.exp(-((rows - 18.0) ** 2 + (columns - 21.0) ** 2) / 60)[..., None].astype(np.float32)
    matrix, offset = affine_matrix((40, 40), 20.0, (2.5, -1.5), 1.2, 8.0)
    inverse = np.linalg.inv(matrix)
    back = warp(warp(jnp.asarray(x), matrix, offset), jnp.asarray(inverse), -inverse @ offset)
    np.testing.assert_allclose(back, x, atol=0.02)


def test_gradients_equal_finite_differences():
    with jax.enable_x64(True):
        x = jnp.asarray(image(6, 5, 1, np.float64))
        target = jnp.asarray(image(6, 5, 1, np.float64))
        start = (x, *affine_matrix((6, 5), 13.0, (0.3, -0.7), 1.1, 5.0))
        start = jax.tree.map(lambda a: a.astype(jnp.float64), start)

        @jax.jit
        def f(x, matrix, offset):
            return (warp(x, matrix, offset) * target).sum()

        gradients = jax.grad(f, (0, 1, 2))(*start)
        for i, gradient in enumerate(gradients):
            for index in np.ndindex(gradient.shape):
                h = 1e-6
                ends = []
                for sign in (1, -1):
                    moved = list(start)
                    moved[i] = moved[i].at[index].add(sign * h)
                    ends.append(f(*moved))
                expected = float(ends[0] - ends[1]) / (2 * h)
                assert float(gradient[index]) == pytest.approx(expected, abs=1e-6)


def test_each_image_has_its_map_within_the_limits():
    """The images of rows and columns of a plane show the matrix of each example."""
    rows, columns = np.mgrid[:33, :33].astype(np.float32) - 16
    plane = jnp.asarray(np.stack([rows, columns], -1)[None].repeat(300, 0))
    y = np.asarray(augment_batch(affine(20.0, 3.0, 1.25, 10.0), KEY, plane))
    center = y[:, 16, 16]
    matrix = np.stack([y[:, 17, 16] - center, y[:, 16, 17] - center], -1)
    sizes = np.sqrt(np.linalg.det(matrix)) ** -1
    forward = np.linalg.inv(matrix)
    shift = -np.einsum("bij,bj->bi", forward, center)
    # The first axis of R K is (cos a, sin a), as K leaves it at (1, tan k) before the rotation.
    angle = np.rad2deg(np.arctan2(-forward[:, 0, 1], forward[:, 1, 1]))
    assert 0.78 < sizes.min() < 0.85 and 1.18 < sizes.max() < 1.26
    assert 2.8 < np.abs(shift).max() <= 3.001
    assert 18 < np.abs(angle).max() <= 20.001
    assert abs(np.log(sizes).mean()) < 0.03 and abs(angle.mean()) < 3
    assert len(np.unique(angle)) == 300


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: affine(rotate=-1.0), "rotate: got -1.0, allowed: a number in [0, 360)"),
        (
            lambda: affine(scale=0),
            "scale: got 0, allowed: at least 1; 1.1 means factors of the size between 1/1.1 and "
            "1.1",
        ),
        (lambda: affine(shear=90.0), "shear: got 90.0, allowed: a number in [0, 90)"),
        (
            lambda: affine(shift=8.0)(KEY, jnp.ones((8, 9, 1))),
            "shift: got 8.0, allowed: less than the smaller side of the images, 8",
        ),
        (
            lambda: affine(scale=8.0)(KEY, jnp.ones((8, 9, 1))),
            "scale: got 8.0, allowed: less than the smaller side of the images, 8",
        ),
        (
            lambda: affine()(KEY, jnp.ones(3)),
            "affine: got 'float32[3]', allowed: images [H, W, C] of floats",
        ),
        (
            lambda: warp(jnp.ones((2, 2, 1)), jnp.ones((2, 2)), jnp.zeros(2)),
            "matrix: got [[1.0, 1.0], [1.0, 1.0]], allowed: one with an inverse, 2 x 2 finite "
            "numbers, such as [[1, 0], [0, 1]]",
        ),
        (
            lambda: warp(jnp.ones((2, 2, 1)), jnp.full((2, 2), jnp.nan), jnp.zeros(2)),
            "matrix: got [[nan, nan], [nan, nan]], allowed: one with an inverse, 2 x 2 finite "
            "numbers, such as [[1, 0], [0, 1]]",
        ),
        (
            lambda: warp(jnp.ones((2, 2, 1)), jnp.eye(2), jnp.zeros(2), 3),
            "order: got 3, allowed: 0 or 1",
        ),
        (
            lambda: affine_matrix((2, 2), scale=0.0),
            "scale: got 0.0, allowed: a finite factor other than 0",
        ),
        (
            lambda: affine_matrix((2, 2), shear=90.0),
            "shear: got 90.0, allowed: degrees between -90 and 90",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
