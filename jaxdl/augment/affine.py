"""Rotation, shift, scaling and shear of an image, composed in one matrix and one interpolation."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from jaxdl.augment.example import Augment, check_image, check_inside, recorded
from jaxdl.augment.sampling import Order, sample
from jaxdl.errors import (
    InputError,
    in_range,
    integers,
    is_traced,
    one_of,
    real_array,
    real_number,
)
from jaxdl.metrics import wide_dtype

#: A number that may be traced.
Scalar = float | Float[Array, ""]


def warp(
    image: Float[Array, "H W C"],
    matrix: Float[Array, "2 2"],
    offset: Float[Array, " 2"],
    order: Order = 1,
) -> Float[Array, "H W C"]:
    """Returns an image after an affine map of its positions, in one interpolation.

        y(p) = x(M p + o),    p = (row, column)

    Pixels outside of the image are 0. It is `scipy.ndimage.affine_transform` of each channel with
    the mode "grid-constant".

    Args:
      image: x, `[H, W, C]` of floats.
      matrix: M, `[2, 2]`, from positions of the result to positions of the image.
      offset: o, `[2]`, in pixels.
      order: 0 for the nearest pixel, 1 for bilinear values.

    Returns:
      y, `[H, W, C]`. It has a gradient with respect to image, matrix and offset.

    Raises:
      InputError: no image, another order, a matrix without an inverse, or an offset that is not
        two finite numbers. Traced numbers are unknown and not checked.

    Example:
      >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
      >>> right = affine_matrix((2, 2), shift=(0.0, 1.0))
      >>> warp(image, *right)[..., 0].tolist()
      [[0.0, 1.0], [0.0, 3.0]]
      >>> warp(image, jnp.zeros((2, 2)), jnp.zeros(2))
      Traceback (most recent call last):
      jaxdl.errors.InputError: matrix: got [[0.0, 0.0], [0.0, 0.0]], allowed: one with an inverse...
    """
    check_image("image", image)
    if real_number(order) is None or order not in (0, 1):
        raise InputError("order", order, "0 or 1")
    allowed = "one with an inverse, 2 x 2 finite numbers, such as [[1, 0], [0, 1]]"
    matrix = real_array("matrix", matrix, allowed)
    if not is_traced(matrix):
        numbers = np.asarray(matrix, np.float64)
        if numbers.shape != (2, 2) or not _invertible(numbers):
            raise InputError("matrix", numbers.tolist(), allowed)
    offset = _pair("offset", offset)
    dtype = wide_dtype(image.dtype)
    m = jnp.asarray(matrix, dtype)
    o = jnp.asarray(offset, dtype)
    down = jnp.arange(image.shape[0], dtype=dtype)[:, None]
    along = jnp.arange(image.shape[1], dtype=dtype)[None, :]
    rows = m[0, 0] * down + (m[0, 1] * along + o[0])
    columns = m[1, 0] * down + (m[1, 1] * along + o[1])
    return sample(image, rows, columns, order)


def _pair(name: str, value: Any) -> Num[Array, " 2"]:
    """Returns two numbers as an array; raises InputError for others."""
    allowed = "two finite numbers, for rows and columns"
    pair = real_array(name, value, allowed)
    if pair.shape != (2,) or not (is_traced(pair) or np.isfinite(pair).all()):
        raise InputError(name, value, allowed)
    return pair


def _invertible(matrix: Float[np.ndarray, "2 2"]) -> bool:
    """Returns True for a matrix of finite numbers with an inverse."""
    return bool(np.isfinite(matrix).all()) and np.linalg.matrix_rank(matrix) == 2


def affine_matrix(
    shape: Sequence[int],
    rotate: Scalar = 0.0,
    shift: tuple[Scalar, Scalar] | Float[Array, " 2"] = (0.0, 0.0),
    scale: Scalar = 1.0,
    shear: Scalar = 0.0,
) -> tuple[Float[Array, "2 2"], Float[Array, " 2"]]:
    """Returns the arguments of `warp` that shear, scale, rotate and shift an image in this order.

        M = (s R K)^-1,   o = c - M (c + shift)
        R = [[cos a, -sin a], [sin a, cos a]],   K = [[1, 0], [tan k, 1]]

    Here c is the center of the image, which stays where it is without a shift. Multiples of 90
    degrees are exact.

    Args:
      shape: height and width.
      rotate: a, degrees from the first axis to the second; positive turns counterclockwise on a
        page whose rows run downwards.
      shift: rows and columns in pixels, positive downwards and to the right.
      scale: s, factor of the size; above 1 the image is enlarged.
      shear: k, degrees by which vertical lines are inclined.

    Returns:
      `(matrix [2, 2], offset [2])`.

    Raises:
      InputError: a scale of 0, or a shear of 90 degrees, which have no inverse; other values that
        are no finite numbers.

    Example:
      >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
      >>> warp(image, *affine_matrix((2, 2), rotate=90.0))[..., 0].tolist()
      [[2.0, 4.0], [1.0, 3.0]]
    """
    sides = integers("shape", shape, 2, "height and width, two integers")
    if not is_traced(rotate):
        in_range("rotate", rotate, -np.inf, np.inf)
    if not is_traced(scale):
        factor = real_number(scale)
        if factor is None or not np.isfinite(factor) or factor == 0:
            raise InputError("scale", scale, "a finite factor other than 0")
    if not is_traced(shear):
        angle = real_number(shear)
        if angle is None or not -90 < angle < 90:
            raise InputError("shear", shear, "degrees between -90 and 90")
    shift = _pair("shift", shift)
    cosine, sine = _cosine_and_sine(jnp.asarray(rotate))
    tangent = jnp.tan(jnp.deg2rad(shear))
    # The inverses of shear and rotation, multiplied.
    matrix = jnp.stack([cosine, sine, -sine - tangent * cosine, cosine - tangent * sine])
    matrix = matrix.reshape(2, 2) / scale
    center = jnp.array([(side - 1) / 2 for side in sides], matrix.dtype)
    moved = center + shift.astype(matrix.dtype)
    offset = center - (matrix[:, 0] * moved[0] + matrix[:, 1] * moved[1])
    return matrix, offset


def _cosine_and_sine(degrees: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the cosine and the sine of an angle, exact for multiples of 90 degrees."""
    quarters = jnp.round(degrees / 90)
    rest = jnp.deg2rad(degrees - 90 * quarters)
    cosine = jnp.cos(rest)
    sine = jnp.sin(rest)
    turn = quarters.astype(jnp.int32) % 4
    return (
        jnp.select([turn == 0, turn == 1, turn == 2], [cosine, -sine, -cosine], sine),
        jnp.select([turn == 0, turn == 1, turn == 2], [sine, cosine, -sine], -cosine),
    )


@recorded
def affine(
    rotate: float = 0.0,
    shift: float = 0.0,
    scale: float = 1.0,
    shear: float = 0.0,
    order: Order = 1,
) -> Augment:
    """Returns an augmentation that rotates, shifts, scales and shears an image at random.

    The four changes are one matrix and one interpolation, so an image is blurred once. Pixels
    outside of the image are 0, which is the mean in standardized images. The numbers are uniform,
    that of the scale in its logarithm.

    Labels must survive the change. Digits do not survive 180 degrees, which turn a 6 into a 9.

    Args:
      rotate: largest angle in degrees, in [0, 360).
      shift: largest shift along each axis in pixels, at least 0. Shifts are no whole numbers; for
        those see `random_shift`.
      scale: largest factor of the size, at least 1: factors lie between 1 / scale and scale.
      shear: largest inclination of vertical lines in degrees, in [0, 90).
      order: 0 for the nearest pixel, 1 for bilinear values.

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`.

    Raises:
      InputError: a number out of range. Raised by the augmentation: no image, or a shift or a scale
        that would leave nothing of it.

    Example:
      >>> import jaxdl
      >>> augment = affine(rotate=15.0, shift=2.0, scale=1.1, shear=5.0)
      >>> augment(jaxdl.root(0), jnp.ones((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("rotate", rotate, 0, 360)
    in_range("shift", shift, 0, float("inf"))
    number = real_number(scale)
    if number is None or not 1 <= number < np.inf:
        allowed = "at least 1; 1.1 means factors of the size between 1/1.1 and 1.1"
        raise InputError("scale", scale, allowed)
    in_range("shear", shear, 0, 90)
    one_of("order", str(order), ["0", "1"])

    def apply(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("affine", image)
        check_inside("shift", shift, image)
        check_inside("scale", scale, image)
        u = jax.random.uniform(key, (5,), minval=-1.0, maxval=1.0)
        numbers = (rotate * u[0], shift * u[1:3], scale ** u[3], shear * u[4])
        matrix, offset = affine_matrix(image.shape[:2], *numbers)
        return warp(image, matrix, offset, order)

    return apply
