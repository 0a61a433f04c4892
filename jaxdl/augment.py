"""Random changes of one example: data augmentation, and the noise of denoising autoencoders."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxdl.errors import at_least, in_range, is_zero

#: A random change of one example, `augment(key, example) -> example` of the same shape.
Augment = Callable[[Key[Array, ""], Float[Array, "*D"]], Float[Array, "*D"]]

P = ParamSpec("P")

#: Attribute of an augmentation with the name and the arguments of the function that returned it.
MADE_BY = "made_by"


def recorded(make: Callable[P, Augment]) -> Callable[P, Augment]:
    """Returns a function whose augmentations contain its name and arguments (`MADE_BY`).

    The description of a task in a file contains them.

    Example:
      >>> getattr(gaussian_noise(0.5), MADE_BY)
      ('gaussian_noise', (0.5,))
    """

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Augment:
        augment: Any = make(*args, **kwargs)
        bound = inspect.signature(make).bind(*args, **kwargs)
        bound.apply_defaults()
        setattr(augment, MADE_BY, (make.__name__, bound.args))
        return augment

    return made


def augment_batch(
    augment: Augment, key: Key[Array, ""], inputs: Float[Array, "B ..."]
) -> Float[Array, "B ..."]:
    """Applies an augmentation to each example of a batch, with a key for each.

    Example:
      >>> import jaxdl
      >>> augment_batch(random_shift(1), jaxdl.root(0), jnp.ones((5, 4, 4, 1))).shape
      (5, 4, 4, 1)
    """
    return jax.vmap(augment)(jax.random.split(key, inputs.shape[0]), inputs)


@recorded
def chain(*augments: Augment) -> Augment:
    """Returns an augmentation that applies several, from the first to the last.

    Augmentation i uses the key `fold_in(key, i)`.

    Example:
      >>> import jaxdl
      >>> both = chain(random_shift(1), gaussian_noise(0.1))
      >>> both(jaxdl.root(0), jnp.ones((4, 4, 1))).shape
      (4, 4, 1)
    """

    def apply_all(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        for i, augment in enumerate(augments):
            x = augment(jax.random.fold_in(key, i), x)
        return x

    return apply_all


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
      InputError: fewer than 0 pixels, or a probability out of range.

    Example:
      >>> import jaxdl
      >>> random_shift(1)(jaxdl.root(0), jnp.ones((4, 4, 1))).shape
      (4, 4, 1)
    """
    at_least("pixels", pixels, 0)
    in_range("unshifted_probability", unshifted_probability, 0, 1)

    def shift(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
        start = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        if not is_zero(unshifted_probability):
            unshifted = jax.random.bernoulli(jax.random.fold_in(key, 0), unshifted_probability)
            start = jnp.where(unshifted, pixels, start)
        return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)

    return shift


@recorded
def gaussian_noise(sigma: float) -> Augment:
    """Returns a corruption that adds Gaussian noise to every pixel.

    The result is not clipped to [0, 1].

    Args:
      sigma: standard deviation of the noise, at least 0.

    Returns:
      `augment(key, example) -> example`.

    Raises:
      InputError: a sigma outside [0, inf).

    Example:
      >>> import jaxdl
      >>> gaussian_noise(0.5)(jaxdl.root(0), jnp.zeros((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("sigma", sigma, 0, float("inf"))
    return lambda key, x: x + sigma * jax.random.normal(key, x.shape, x.dtype)


@recorded
def salt_and_pepper(corrupted_fraction: float) -> Augment:
    """Returns a corruption that makes some pixels white and as many black.

    Args:
      corrupted_fraction: expected fraction of changed pixels, black and white together, in [0, 1).

    Returns:
      `augment(key, example) -> example`.

    Raises:
      InputError: a fraction outside [0, 1).

    Example:
      >>> import jaxdl
      >>> sorted(set(salt_and_pepper(0.5)(jaxdl.root(0), jnp.full(100, 0.5)).tolist()))
      [0.0, 0.5, 1.0]
    """
    in_range("corrupted_fraction", corrupted_fraction, 0, 1)

    def corrupt(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        u = jax.random.uniform(key, x.shape)
        changed = jnp.where(u < corrupted_fraction, 1.0, x)
        return jnp.where(u < corrupted_fraction / 2, 0.0, changed).astype(x.dtype)

    return corrupt
