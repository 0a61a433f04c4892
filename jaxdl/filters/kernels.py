"""Kernels that were designed by hand: blurs, edges, second derivatives, sharpening, relief."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least, one_of

Kernel = Float[np.ndarray, "F G"]


def box_blur(size: int = 3) -> Kernel:
    """Returns the kernel of a mean over a square.

        k[f,g] = 1 / F^2

    Args:
      size: F, the side of the square in pixels, at least 1.

    Returns:
      `[F, F]` float32 with sum 1.

    Raises:
      InputError: a size below 1.

    Example:
      >>> box_blur(2).tolist()
      [[0.25, 0.25], [0.25, 0.25]]
    """
    at_least("size", size, 1)
    return np.full((size, size), 1 / size**2, np.float32)


def gaussian_blur(size: int = 5, sigma: float = 1.0) -> Kernel:
    """Returns the kernel of a mean with Gaussian weights.

        k[f,g] ~ exp(-(f^2 + g^2) / (2 sigma^2)),    f and g counted from the center

    Args:
      size: odd side of the kernel in pixels, at least 1.
      sigma: standard deviation in pixels, above 0.

    Returns:
      `[size, size]` float32 with sum 1.

    Raises:
      InputError: an even size, or a sigma that is not a positive number.

    Example:
      >>> (16 * gaussian_blur(3, 0.85)).round().tolist()
      [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    at_least("size", size, 1)
    if size % 2 == 0:
        raise InputError("size", size, f"an odd number, such as {size + 1}")
    if not 0 < sigma < float("inf"):
        raise InputError("sigma", sigma, "a finite number above 0")
    distance = np.arange(size) - size // 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    return (np.outer(weights, weights) / weights.sum() ** 2).astype(np.float32)


def _kernel(*rows: list[float]) -> Kernel:
    kernel = np.array(rows, np.float32)
    kernel.setflags(write=False)
    return kernel


#: Kernels by name, for cross-correlation without a flip. `..._x` responds to a change along x, such
#: as a vertical edge, and is positive if the right side is brighter. `..._y` is positive if the
#: lower side is brighter. Source: Gonzalez, Woods, Digital Image Processing, chapter 3.
KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {
        "identity": _kernel([0, 0, 0], [0, 1, 0], [0, 0, 0]),
        "box_blur": _kernel(*[[1 / 9] * 3] * 3),
        "gaussian_blur": _kernel(*gaussian_blur(5, 1.0).tolist()),
        "sharpen": _kernel([0, -1, 0], [-1, 5, -1], [0, -1, 0]),
        "emboss": _kernel([-2, -1, 0], [-1, 1, 1], [0, 1, 2]),
        "sobel_x": _kernel([-1, 0, 1], [-2, 0, 2], [-1, 0, 1]),
        "sobel_y": _kernel([-1, -2, -1], [0, 0, 0], [1, 2, 1]),
        "prewitt_x": _kernel([-1, 0, 1], [-1, 0, 1], [-1, 0, 1]),
        "prewitt_y": _kernel([-1, -1, -1], [0, 0, 0], [1, 1, 1]),
        "laplacian": _kernel([0, 1, 0], [1, -4, 1], [0, 1, 0]),
        "second_derivative_x": _kernel([1, -2, 1]),
        "second_derivative_y": _kernel([1], [-2], [1]),
    }
)


def named_kernel(name: str) -> Kernel:
    """Returns a kernel by its name.

    Args:
      name: a key of `KERNELS`.

    Returns:
      `[F, G]` float32.

    Raises:
      InputError: an unknown name.

    Example:
      >>> named_kernel("second_derivative_x").tolist()
      [[1.0, -2.0, 1.0]]
      >>> named_kernel("sobel")
      Traceback (most recent call last):
      jaxdl.errors.InputError: kernel: got 'sobel', allowed: ... (did you mean 'sobel_y'?)
    """
    return KERNELS[one_of("kernel", name, KERNELS)]
