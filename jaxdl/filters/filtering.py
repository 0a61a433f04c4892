"""One kernel over one image, with the numbers of every single position."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, real_array
from jaxdl.nn import conv2d
from jaxdl.nn.sizes import Geometry, Padding, Pads, Sizes, geometry_of

#: Shares of red, green and blue in the brightness. Source: ITU-R BT.601.
BRIGHTNESS = (0.299, 0.587, 0.114)


def filter_image(
    image: Float[Array | np.ndarray, "H W C"],
    kernel: Float[Array | np.ndarray, "F G"],
    stride: Sizes = 1,
    padding: Padding | Pads = "SAME",
) -> Float[Array, "I J C"]:
    """Applies one kernel to each channel of an image, as a depthwise `jaxdl.nn.conv2d`.

        y[i,j,c] = sum_{f,g} x[i S + f - P, j S + g - P, c] k[f,g]

    The number of positions is (W - F + 2P)/S + 1, rounded down (`jaxdl.nn.out_size`).

    Args:
      image: `[H, W, C]`, float.
      kernel: `[F, G]` numbers.
      stride: S for height and width, or one number for both.
      padding: "SAME", "VALID" or numbers of zeros, as in `conv2d`.

    Returns:
      `[I, J, C]`, of the dtype of the image.

    Raises:
      InputError: an image without the axis of channels, a kernel without two axes or larger than
        the padded image, a stride below 1, or an unknown padding.

    Example:
      >>> ramp = jnp.arange(5.0)[None, :, None] ** 2
      >>> filter_image(ramp, np.array([[1, -2, 1]]), padding="VALID").ravel().tolist()
      [2.0, 2.0, 2.0]
    """
    x, taps = checked(image, kernel)
    channels = x.shape[2]
    depthwise = jnp.broadcast_to(taps[:, :, None, None], (*taps.shape, 1, channels))
    return conv2d(x, depthwise, stride, padding, groups=channels)


def grey(image: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 1"]:
    """Returns the brightness of an RGB image.

        y = 0.299 R + 0.587 G + 0.114 B

    Args:
      image: `[H, W, 3]` in [0, 1].

    Returns:
      `[H, W, 1]` float32 in [0, 1].

    Raises:
      InputError: another shape.

    Example:
      >>> grey(np.ones((2, 2, 3)))[..., 0].tolist()
      [[1.0, 1.0], [1.0, 1.0]]

    Source: ITU-R BT.601.
    """
    allowed = "[H, W, 3], red, green and blue"
    shape = real_array("image", image, allowed).shape
    if len(shape) != 3 or shape[2] != 3:
        raise InputError("image", shape, allowed)
    weights = np.array(BRIGHTNESS, np.float32)
    return np.asarray(image, np.float32) @ weights[:, None]


class Position(NamedTuple):
    """The numbers of one position of a kernel.

    Attributes:
      window: `[F, G]`, the pixels under the kernel; 0 outside of the image.
      products: `[F, G]`, each pixel times its weight.
      total: the sum of the products, the value of the result at this position.
      top: row of the image at the kernel's first row; negative in the padding.
      left: column of the image at the kernel's first column.
    """

    window: Float[np.ndarray, "F G"]
    products: Float[np.ndarray, "F G"]
    total: float
    top: int
    left: int


def products_at(
    image: Float[np.ndarray, "H W 1"],
    kernel: Float[np.ndarray, "F G"],
    row: int,
    column: int,
    stride: Sizes = 1,
    padding: Padding | Pads = "VALID",
) -> Position:
    """Returns the products and the sum of `filter_image` at one position, for a picture.

        total = sum_{f,g} x[i S + f - P, j S + g - P] k[f,g]

    Args:
      image: `[H, W, 1]`, one channel.
      kernel: `[F, G]`.
      row: i, from 0 to the number of positions along the height, less 1.
      column: j, from 0 to the number of positions along the width, less 1.
      stride: as for `filter_image`.
      padding: as for `filter_image`.

    Returns:
      The pixels, the products and their sum.

    Raises:
      InputError: as for `filter_image`; several channels, or a position outside of the result.

    Example:
      >>> image = np.arange(9.0).reshape(3, 3, 1)
      >>> found = products_at(image, np.array([[1, -1], [0, 2]]), 0, 1)
      >>> found.window.tolist(), found.products.tolist(), found.total
      ([[1.0, 2.0], [4.0, 5.0]], [[1.0, -2.0], [0.0, 10.0]], 9.0)
    """
    x, taps = (np.asarray(each) for each in checked(image, kernel))
    if x.shape[2] != 1:
        raise InputError("image", x.shape, "one channel, [H, W, 1], such as grey(image)")
    geometry: Geometry = geometry_of(x.shape[:2], taps.shape, stride, padding)
    for name, index, count in zip(
        ("row", "column"), (row, column), geometry.positions, strict=True
    ):
        at_least(name, index, -count)
        if not 0 <= index < count:
            raise InputError(name, index, f"an integer in [0, {count - 1}]")
    padded = np.pad(x[..., 0], geometry.pads)
    top = row * geometry.strides[0]
    left = column * geometry.strides[1]
    window = padded[top : top + taps.shape[0], left : left + taps.shape[1]]
    products = window * taps
    before = [pad[0] for pad in geometry.pads]
    return Position(window, products, float(products.sum()), top - before[0], left - before[1])


def checked(image: Any, kernel: Any) -> tuple[Array, Array]:
    """Returns image and kernel as arrays of one dtype; raises an error for other axes.

    Example:
      >>> checked(np.ones((4, 4)), np.ones((2, 2)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: image: got (4, 4), allowed: [H, W, C]; a grey image needs its ...
    """
    allowed = "[H, W, C]; a grey image needs its last axis, image[:, :, None]"
    x = real_array("image", image, allowed)
    if x.ndim != 3 or not x.size:
        raise InputError("image", x.shape, allowed)
    allowed = "[F, G], at least 1 value along each axis"
    weights = real_array("kernel", kernel, allowed)
    if weights.ndim != 2 or not weights.size:
        raise InputError("kernel", weights.shape, allowed)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("image dtype", x.dtype.name, "floats, such as image / 255")
    return x, weights.astype(x.dtype)
