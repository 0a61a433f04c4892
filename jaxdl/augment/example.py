"""Augmentations as functions: their types, their record, and their combinations."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from jaxdl.errors import InputError, in_range, of_kind, real_array
from jaxdl.rng import check_single_key

#: A random change of one example, `augment(key, example) -> example` of the same shape.
Augment = Callable[[Key[Array, ""], Float[Array, "*D"]], Float[Array, "*D"]]

#: A mixture of the examples of a batch, `mix(key, batch) -> (inputs, other labels, lam)`. The label
#: of a mixed input is lam times its own label plus 1 - lam times the other one.
Mix = Callable[
    [Key[Array, ""], Mapping[str, Any]],
    tuple[Float[Array, "B ..."], Num[Array, "B ..."], Float[Array, " B"]],
]

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

#: Attribute of an augmentation with the name and the arguments of the function that returned it.
MADE_BY = "made_by"


def recorded(make: Callable[P, F]) -> Callable[P, F]:
    """Returns a function whose augmentations contain its name and arguments (`MADE_BY`).

    The description of a task in a file contains them. The augmentations refuse a first argument
    that is not one typed key.

    Example:
      >>> from jaxdl.augment import gaussian_noise
      >>> getattr(gaussian_noise(0.5), MADE_BY)
      ('gaussian_noise', (0.5,))
    """

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> F:
        change = make(*args, **kwargs)

        @functools.wraps(change)
        def augment(key: Key[Array, ""], example: Any) -> Any:
            check_single_key(key)
            return change(key, example)

        bound = inspect.signature(make).bind(*args, **kwargs)
        bound.apply_defaults()
        setattr(augment, MADE_BY, (make.__name__, bound.args))
        return cast(F, augment)

    return made


def augment_batch(
    augment: Augment, key: Key[Array, ""], inputs: Float[Array, "B ..."]
) -> Float[Array, "B ..."]:
    """Applies an augmentation to each example of a batch, with a key for each.

    Args:
      augment: `augment(key, example) -> example`.
      key: one key, which is split among the examples.
      inputs: `[B, ...]`, at least one example.

    Returns:
      The changed examples, `[B, ...]`.

    Raises:
      InputError: no function, not one key, or an array without examples.

    Example:
      >>> import jaxdl
      >>> from jaxdl.augment import random_shift
      >>> augment_batch(random_shift(1), jaxdl.root(0), jnp.ones((5, 4, 4, 1))).shape
      (5, 4, 4, 1)
    """
    _check_function(augment)
    check_single_key(key)
    allowed = "examples [B, ...], at least one"
    inputs = real_array("inputs", inputs, allowed)
    if not inputs.ndim or not len(inputs):
        raise InputError("inputs", inputs.shape, allowed)
    return jax.vmap(augment)(jax.random.split(key, inputs.shape[0]), inputs)


@recorded
def chain(*augments: Augment) -> Augment:
    """Returns an augmentation that applies several, from the first to the last.

    Augmentation i uses the key `fold_in(key, i)`.

    Example:
      >>> import jaxdl
      >>> from jaxdl.augment import gaussian_noise, random_shift
      >>> both = chain(random_shift(1), gaussian_noise(0.1))
      >>> both(jaxdl.root(0), jnp.ones((4, 4, 1))).shape
      (4, 4, 1)
    """

    for augment in augments:
        _check_function(augment)

    def apply_all(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        for i, augment in enumerate(augments):
            x = augment(jax.random.fold_in(key, i), x)
        return x

    return apply_all


@recorded
def sometimes(augment: Augment, probability: float) -> Augment:
    """Returns an augmentation that changes an example with a probability, else returns it.

    Args:
      augment: the augmentation.
      probability: probability that it is applied, in [0, 1).

    Raises:
      InputError: a probability out of range.

    Example:
      >>> import jaxdl
      >>> from jaxdl.augment import gaussian_noise
      >>> x = jnp.ones((4, 4, 1))
      >>> bool((sometimes(gaussian_noise(1.0), 0.0)(jaxdl.root(0), x) == x).all())
      True
    """
    _check_function(augment)
    in_range("probability", probability, 0, 1)

    def apply(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        coin_key, augment_key = jax.random.split(key)
        applied = jax.random.bernoulli(coin_key, float(probability))
        return jnp.where(applied, augment(augment_key, x), x)

    return apply


@recorded
def clipped(augment: Augment, low: float = 0.0, high: float = 1.0) -> Augment:
    """Returns an augmentation whose results are clipped to the range of pixels.

    Noise leaves the range, and so does the rounding of an interpolation, by about 1e-7.

    Args:
      augment: the augmentation.
      low: smallest pixel.
      high: largest pixel, above `low`.

    Raises:
      InputError: a range that is empty.

    Example:
      >>> import jaxdl
      >>> from jaxdl.augment import gaussian_noise
      >>> x = clipped(gaussian_noise(9.0))(jaxdl.root(0), jnp.ones((4, 4, 1)))
      >>> float(x.min()), float(x.max())
      (0.0, 1.0)
    """
    _check_function(augment)
    for name, value in (("low", low), ("high", high)):
        in_range(name, value, -np.inf, np.inf)
    if not low < high:
        raise InputError("low", low, f"less than high, {high}")
    return lambda key, x: augment(key, x).clip(low, high)


def _check_function(augment: Augment) -> None:
    """Raises InputError unless an augmentation is a function."""
    of_kind("augment", augment, Callable, "augment(key, example), such as random_flip(0.5)")


def check_image(name: str, image: Float[Array, "H W C"]) -> None:
    """Raises InputError unless an example is an image of floating-point numbers.

    Example:
      >>> check_image("flip", jnp.ones(2))
      Traceback (most recent call last):
      jaxdl.errors.InputError: flip: got 'float32[2]', allowed: images [H, W, C] of floats
    """
    allowed = "images [H, W, C] of floats"
    check_floats(name, image, allowed)
    if image.ndim != 3 or 0 in image.shape:
        raise InputError(name, f"{image.dtype}{list(image.shape)}", allowed)


def check_floats(name: str, x: Float[Array, "*D"], allowed: str = "arrays of floats") -> None:
    """Raises InputError unless an example is an array of floating-point numbers.

    Example:
      >>> check_floats("noise", jnp.ones(2, jnp.uint8))
      Traceback (most recent call last):
      jaxdl.errors.InputError: noise: got 'uint8[2]', allowed: arrays of floats, such as x / 255
    """
    of_kind(name, x, jax.Array | np.ndarray, allowed)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        if jnp.issubdtype(x.dtype, jnp.integer):
            allowed += ", such as x / 255"
        raise InputError(name, f"{x.dtype}{list(x.shape)}", allowed)


def check_inside(name: str, value: float, image: Float[Array, "H W C"]) -> None:
    """Raises InputError for a number of pixels that would leave nothing of an image.

    Example:
      >>> check_inside("shift", 8, jnp.ones((9, 8, 1)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: shift: got 8, allowed: less than the smaller side of the images, 8
    """
    shape = np.shape(image)
    if len(shape) != 3 or 0 in shape:
        raise InputError(name, f"{value} for an example of shape {list(shape)}", "images [H, W, C]")
    side = min(shape[:2])
    if not value < side:
        allowed = f"less than the smaller side of the images, {side}"
        raise InputError(name, value, allowed)
