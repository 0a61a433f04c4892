"""Exact movements of an image: shifts by whole pixels, crops and reflections."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxdl.augment.example import Augment, check_image, check_inside, recorded
from jaxdl.errors import at_least, in_range, is_zero, one_of


@recorded
def random_shift(pixels: int, unshifted_probability: float = 0.0) -> Augment:
    """Returns an augmentation that shifts an image by up to `pixels` in each direction.

    Pixels from outside the image are 0.

    Args:
      pixels: largest shift, at least 0.
      unshifted_probability: probability that an image is not shifted, in [0, 1).

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`. Other images get one of all
      (2 pixels + 1)^2 shifts, which include no shift, with equal probabilities.

    Raises:
      InputError: fewer than 0 pixels, or a probability out of range. Raised by the augmentation:
        pixels that are not fewer than the sides of an image.

    Example:
      >>> import jaxdl
      >>> random_shift(1)(jaxdl.root(0), jnp.ones((4, 4, 1))).shape
      (4, 4, 1)
    """
    at_least("pixels", pixels, 0)
    in_range("unshifted_probability", unshifted_probability, 0, 1)

    def shift(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_inside("pixels", pixels, image)
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
        start = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        if not is_zero(unshifted_probability):
            unshifted = jax.random.bernoulli(jax.random.fold_in(key, 0), unshifted_probability)
            start = jnp.where(unshifted, pixels, start)
        return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)

    return shift


@recorded
def random_crop(pixels: int) -> Augment:
    """Returns an augmentation that extends an image by its mirror image and crops it at random.

    It moves an image as `random_shift` does, but new pixels at a border mirror those inside. So
    photographs have no black edges.

    Args:
      pixels: number of mirrored pixels at each border, at least 0. They do not repeat the border.

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`, one of (2 pixels + 1)^2 crops.

    Raises:
      InputError: fewer than 0 pixels. Raised by the augmentation: no image, or pixels that are not
        fewer than its sides.

    Source: Lee et al. 2015, Deeply-supervised nets (4 pixels for CIFAR-10, with zeros).

    Example:
      >>> import jaxdl
      >>> random_crop(1)(jaxdl.root(0), jnp.ones((4, 4, 1))).min()
      Array(1., dtype=float32)
    """
    at_least("pixels", pixels, 0)

    def crop(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("crop", image)
        check_inside("pixels", pixels, image)
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
        start = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)

    return crop


@recorded
def random_flip(
    probability: float = 0.5, axis: Literal["horizontal", "vertical"] = "horizontal"
) -> Augment:
    """Returns an augmentation that reflects an image with a probability.

    A label must survive the reflection. Those of digits and letters do not: a mirrored 2 is close
    to a 5, and a mirrored b is a d.

    Args:
      probability: probability of a reflection, in [0, 1].
      axis: "horizontal" exchanges left and right, "vertical" top and bottom.

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`.

    Raises:
      InputError: a probability or an axis out of range. Raised by the augmentation: no image.

    Example:
      >>> import jaxdl
      >>> image = jnp.array([[1.0, 2.0]])[..., None]
      >>> random_flip(1.0)(jaxdl.root(0), image)[..., 0].tolist()
      [[2.0, 1.0]]
    """
    if not (isinstance(probability, int | float) and probability == 1):
        in_range("probability", probability, 0, 1)
    one_of("axis", axis, ["horizontal", "vertical"])

    def flip(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        check_image("flip", image)
        flipped = jnp.flip(image, ("vertical", "horizontal").index(axis))
        return jnp.where(jax.random.bernoulli(key, float(probability)), flipped, image)

    return flip
