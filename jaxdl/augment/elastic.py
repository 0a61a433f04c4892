"""Elastic deformation: every pixel moves a little, and neighbours move together."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.augment.example import Augment, check_image, check_inside, recorded
from jaxdl.augment.sampling import sample
from jaxdl.errors import InputError, in_range
from jaxdl.metrics import wide_dtype


@recorded
def elastic(pixels: float, sigma: float = 4.0) -> Augment:
    """Returns an augmentation that deforms an image like rubber.

        y(p) = x(p + d(p)),    d = pixels (G n)

    Here n is white noise, and G averages it with the weights of a Gaussian. The squares of the
    weights of each position sum to 1, so every displacement has the standard deviation `pixels`.

    Args:
      pixels: standard deviation of the displacement along each axis, at least 0.
      sigma: standard deviation of the Gaussian in pixels, above 0. Small values tear an image.

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`, with one interpolation. Pixels outside of
      the image are 0.

    Raises:
      InputError: a number out of range. Raised by the augmentation: no image, or a displacement
        that is not smaller than its sides.

    Source: Simard, Steinkraus, Platt 2003, Best practices for convolutional neural networks. Their
    alpha of 34 with a sigma of 4 is a standard deviation of 1.4 pixels.

    Example:
      >>> import jaxdl
      >>> elastic(1.0)(jaxdl.root(0), jnp.ones((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("pixels", pixels, 0, float("inf"))
    if not 0 < sigma < float("inf"):
        raise InputError("sigma", sigma, "a finite number above 0")

    def apply(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("elastic", image)
        check_inside("pixels", pixels, image)
        height, width, _ = image.shape
        dtype = wide_dtype(image.dtype)
        # Uniform noise of variance 1 takes less time than normal noise.
        noise = jax.random.uniform(key, (2, height, width), dtype, -(3**0.5), 3**0.5)
        down = jnp.asarray(smoothing(height, sigma), dtype)
        along = jnp.asarray(smoothing(width, sigma), dtype)
        moved = pixels * jnp.einsum("ij,ajk,lk->ail", down, noise, along)
        rows = jnp.arange(height, dtype=dtype)[:, None] + moved[0]
        columns = jnp.arange(width, dtype=dtype)[None, :] + moved[1]
        return sample(image, rows, columns)

    return apply


def smoothing(size: int, sigma: float) -> Float[np.ndarray, "S S"]:
    """Returns the matrix that averages a line of white noise with Gaussian weights.

        G_ij = g(i - j) / sqrt(sum_k g(i - k)^2),    g(t) = exp(-t^2 / 2 sigma^2)

    Args:
      size: S, number of pixels.
      sigma: standard deviation in pixels.

    Returns:
      `[S, S]`, rows of length 1.

    Example:
      >>> smoothing(2, 0.1).round(3).tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    position = np.arange(size)
    weights = np.exp(-0.5 * (np.subtract.outer(position, position) / sigma) ** 2)
    return weights / np.sqrt((weights**2).sum(1, keepdims=True))
