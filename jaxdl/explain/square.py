"""A gradient-free attack: random squares, kept where they raise the margin."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.explain.attacks import LOSSES, Attack, projection
from jaxdl.rng import fold

#: Share of the pixels in the first square.
FIRST = 0.8

#: Fractions of the steps after which the area of the squares is halved.
HALVED = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


class Squares(NamedTuple):
    """Images after a search by random squares.

    Attributes:
      images: `[B, H, W, C]`.
      margin: `[B]`, the largest other logit minus the label's.

    Example: see `square_search`.
    """

    images: Float[Array, "B H W C"]
    margin: Float[Array, " B"]


def square_search(
    f: Callable[[Float[Array, "B H W C"]], Float[Array, "B K"]],
    images: Float[Array, "B H W C"],
    label: Int[Array, " B"],
    keys: Key[Array, " B"],
    attack: Attack,
) -> Squares:
    """Returns images changed by random squares; a pure function without any gradient.

        x_{t+1} = x' if margin(f(x'), y) > margin(f(x_t), y) else x_t,
        x' = P(x_t with x + or - epsilon in one square, a random sign for each channel)

    The search begins with vertical stripes. Squares shrink with the steps. This is a simple form of
    the Square attack: all images use as many steps, and there is no second kind of square for "l2".

    Source: Andriushchenko et al. 2020, Square attack: a query-efficient black-box adversarial
    attack via random search.

    Args:
      f: function from images to logits.
      images: `[B, H, W, C]` with pixels in the range of the attack.
      label: `[B]`.
      keys: one key for each image.
      attack: options, of which radius, norm, range and number of steps are used.

    Returns:
      The images with the largest margins.

    Example:
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), 7 - x.sum((1, 2, 3))], -1)
      >>> x = jnp.full((1, 4, 4, 1), 0.25)
      >>> found = square_search(f, x, jnp.array([1]), root([0]), Attack(0.125, steps=50))
      >>> float(found.images.min()), found.margin.tolist()
      (0.375, [5.0])
    """
    project = projection(images, attack)
    fraction = np.arange(attack.steps) / max(attack.steps, 1)
    halvings = (fraction[:, None] > np.array(HALVED)).sum(1)
    shape = images.shape[1:]
    sizes = np.sqrt(FIRST * 0.5**halvings * shape[0] * shape[1]).round()
    sizes = np.clip(sizes, 1, min(shape[:2])).astype(np.int32)

    def margins(x: Float[Array, "B H W C"]) -> Float[Array, " B"]:
        return jax.vmap(LOSSES["margin"])(f(x).astype(jnp.float32), label)

    def step(found: Squares, moment: tuple[Int[Array, ""], Int[Array, ""]]) -> tuple[Squares, None]:
        number, size = moment
        draw = partial(_with_square, size=size, attack=attack)
        x = project(jax.vmap(draw)(fold(keys, number), found.images, images))
        return _better(found, Squares(x, margins(x))), None

    stripes = partial(_with_stripes, attack=attack)
    x = project(jax.vmap(stripes)(fold(keys, attack.steps), images))
    first = _better(Squares(images, margins(images)), Squares(x, margins(x)))
    moments = (jnp.arange(attack.steps, dtype=jnp.int32), jnp.asarray(sizes))
    return jax.lax.scan(step, first, moments)[0]


def _better(old: Squares, new: Squares) -> Squares:
    is_better = new.margin > old.margin
    images = jax.vmap(jnp.where)(is_better, new.images, old.images)
    return Squares(images, jnp.where(is_better, new.margin, old.margin))


def _signs(key: Key[Array, ""], shape: tuple[int, ...], size: Array, attack: Attack) -> Array:
    """Returns changes of random sign, of full size for a part with `size` numbers."""
    length = jnp.asarray(attack.epsilon, jnp.float32)
    if attack.norm == "l2":
        length = length / jnp.sqrt(size.astype(jnp.float32))
    return length * jax.random.rademacher(key, shape, jnp.float32)


def _with_stripes(
    key: Key[Array, ""], image: Float[Array, "H W C"], attack: Attack
) -> Float[Array, "H W C"]:
    size = jnp.asarray(image.size, jnp.int32)
    change = _signs(key, (1, *image.shape[1:]), size, attack)
    return image + jnp.broadcast_to(change, image.shape)


def _with_square(
    key: Key[Array, ""],
    x: Float[Array, "H W C"],
    image: Float[Array, "H W C"],
    size: Int[Array, ""],
    attack: Attack,
) -> Float[Array, "H W C"]:
    """Returns x with a square of the image, changed by the same numbers everywhere."""
    height, width, channels = x.shape
    top = jax.random.randint(fold(key, 0), (), 0, height - size + 1)
    left = jax.random.randint(fold(key, 1), (), 0, width - size + 1)
    row = jax.lax.broadcasted_iota(jnp.int32, x.shape, 0)
    column = jax.lax.broadcasted_iota(jnp.int32, x.shape, 1)
    is_inside = (row >= top) & (row < top + size) & (column >= left) & (column < left + size)
    change = _signs(fold(key, 2), (1, 1, channels), size * size * channels, attack)
    return jnp.where(is_inside, image + jnp.broadcast_to(change, x.shape), x)
