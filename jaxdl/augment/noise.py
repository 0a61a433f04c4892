"""Changes of the values of pixels: noise, brightness and contrast, and a blank square."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxdl.augment.example import Augment, check_floats, check_image, check_inside, recorded
from jaxdl.errors import at_least, in_range


@recorded
def gaussian_noise(sigma: float) -> Augment:
    """Returns a corruption that adds Gaussian noise to every pixel.

    The result is not clipped to [0, 1].

    Args:
      sigma: standard deviation of the noise, at least 0.

    Returns:
      `augment(key, example) -> example`.

    Raises:
      InputError: a sigma outside [0, inf). Raised by the corruption: no array of floats.

    Example:
      >>> import jaxdl
      >>> gaussian_noise(0.5)(jaxdl.root(0), jnp.zeros((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("sigma", sigma, 0, float("inf"))

    def corrupt(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        check_floats("noise", x)
        return x + sigma * jax.random.normal(key, x.shape, x.dtype)

    return corrupt


@recorded
def salt_and_pepper(corrupted_fraction: float) -> Augment:
    """Returns a corruption that makes some pixels white and as many black.

    White is 1 and black is 0. In standardized images these are a standard deviation above the mean,
    and the mean.

    Args:
      corrupted_fraction: expected fraction of changed pixels, black and white together, in [0, 1).

    Returns:
      `augment(key, example) -> example`.

    Raises:
      InputError: a fraction outside [0, 1). Raised by the corruption: no array of floats.

    Example:
      >>> import jaxdl
      >>> sorted(set(salt_and_pepper(0.5)(jaxdl.root(0), jnp.full(100, 0.5)).tolist()))
      [0.0, 0.5, 1.0]
    """
    in_range("corrupted_fraction", corrupted_fraction, 0, 1)

    def corrupt(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        check_floats("salt_and_pepper", x)
        u = jax.random.uniform(key, x.shape)
        changed = jnp.where(u < corrupted_fraction, 1.0, x)
        return jnp.where(u < corrupted_fraction / 2, 0.0, changed).astype(x.dtype)

    return corrupt


@recorded
def brightness(amount: float) -> Augment:
    """Returns an augmentation that adds one random number to all pixels.

        y = x + u,    u uniform in [-amount, amount]

    The result is not clipped to [0, 1].

    Args:
      amount: largest change, in [0, 1).

    Returns:
      `augment(key, example) -> example`.

    Raises:
      InputError: an amount out of range.

    Example:
      >>> import jaxdl
      >>> x = brightness(0.5)(jaxdl.root(0), jnp.zeros((8, 8, 1)))
      >>> bool((x == x[0, 0]).all())
      True
    """
    in_range("amount", amount, 0, 1)

    def change(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        check_floats("brightness", x)
        return x + jax.random.uniform(key, (), x.dtype, -amount, amount)

    return change


@recorded
def contrast(amount: float) -> Augment:
    """Returns an augmentation that moves pixels away from the mean of an image or towards it.

        y = m + f (x - m),    f uniform in [1 - amount, 1 + amount]

    Here m is the mean of each channel. The result is not clipped to [0, 1].

    Args:
      amount: largest relative change, in [0, 1).

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`.

    Raises:
      InputError: an amount out of range. Raised by the augmentation: no image.

    Example:
      >>> import jaxdl
      >>> image = jnp.array([[0.0, 1.0]])[..., None]
      >>> float(contrast(0.5)(jaxdl.root(0), image).mean())
      0.5
    """
    in_range("amount", amount, 0, 1)

    def change(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("contrast", image)
        factor = jax.random.uniform(key, (), image.dtype, 1 - amount, 1 + amount)
        mean = image.mean((0, 1), keepdims=True)
        return mean + factor * (image - mean)

    return change


@recorded
def cutout(side: int) -> Augment:
    """Returns an augmentation that sets a square of pixels to 0.

    The center of the square is a random pixel, so a part of it may lie outside of the image.

    Args:
      side: number of rows and columns of the square, at least 1.

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`.

    Raises:
      InputError: a side below 1. Raised by the augmentation: no image, or a square that is not
        smaller than its sides.

    Source: DeVries and Taylor 2017, Improved regularization of convolutional neural networks with
    cutout.

    Example:
      >>> import jaxdl
      >>> x = cutout(1)(jaxdl.root(0), jnp.ones((4, 4, 1)))
      >>> float(x.sum())
      15.0
    """
    at_least("side", side, 1)

    def cut(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("cutout", image)
        check_inside("side", side, image)
        height, width, _ = image.shape
        center = jax.random.randint(key, (2,), 0, jnp.array([height, width]))
        first = center - side // 2
        down = jnp.arange(height) - first[0]
        along = jnp.arange(width) - first[1]
        rows = (down >= 0) & (down < side)
        columns = (along >= 0) & (along < side)
        inside = rows[:, None, None] & columns[None, :, None]
        return jnp.where(inside, jnp.zeros((), image.dtype), image)

    return cut
