"""Balls around an image, by norm: random points, directions and projections."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.errors import is_traced

#: A function that moves images to the nearest ones within a ball and the range of pixels.
Projection = Callable[[Float[Array, "B ..."]], Float[Array, "B ..."]]


def float32_below(value: Any) -> Any:
    """Returns the largest float32 number that is at most a positive number.

    The nearest one to 0.3 is larger than 0.3. A traced number is returned as it is.

    Example:
      >>> float(np.float32(0.3)) > 0.3, float(float32_below(0.3)) > 0.3
      (True, False)
    """
    if is_traced(value):
        return value
    nearest = np.float32(value)
    if float(nearest) > float(value):
        return np.nextafter(nearest, np.float32(0))
    return nearest


@dataclass(frozen=True)
class _Box:
    """Images whose pixels change by at most epsilon."""

    epsilon: Any

    def inside(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self.epsilon * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)

    def surface(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self.epsilon * jax.random.rademacher(key, shape, jnp.float32)

    def direction(self, gradient: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
        return jnp.sign(gradient)

    def projection(self, center: Float[Array, "B ..."], low: float, high: float) -> Projection:
        change = jnp.full_like(center, self.epsilon)
        least = jnp.maximum(_sum_towards(center, -change), low)
        most = jnp.minimum(_sum_towards(center, change), high)
        return lambda x: jnp.clip(x, least, most)


#: Fraction by which the Euclidean ball is smaller, which exceeds the rounding of norms.
SLACK = 2.0**-16


@dataclass(frozen=True)
class _Ball:
    """Images whose change has a Euclidean norm of at most epsilon."""

    epsilon: Any

    def inside(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        return jax.random.ball(key, math.prod(shape)).reshape(shape) * self.epsilon

    def surface(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        normal = jax.random.normal(key, (1, *shape))
        return self.epsilon * self.direction(normal)[0]

    def direction(self, gradient: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
        # The squares of small numbers would be 0.
        scaled = _divided(gradient, jnp.maximum(jnp.abs(gradient).max(axes(gradient)), 1e-30))
        return _divided(scaled, jnp.maximum(_norm(scaled), 1e-12))

    def projection(self, center: Float[Array, "B ..."], low: float, high: float) -> Projection:
        def project(x: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
            change = jnp.clip(x, low, high) - center
            radius = self.epsilon * (1 - SLACK)
            factor = radius / jnp.maximum(_norm(change), jnp.maximum(radius, 1e-30))
            change = jax.vmap(jnp.multiply)(change, factor)
            return jnp.clip(_sum_towards(center, change), low, high)

        return project


BALLS: dict[str, type[_Box] | type[_Ball]] = {"linf": _Box, "l2": _Ball}


def axes(x: Float[Array, "B ..."]) -> tuple[int, ...]:
    """Returns all axes but that of the batch.

    Example:
      >>> axes(jnp.zeros((2, 8, 8, 1)))
      (1, 2, 3)
    """
    return tuple(range(1, x.ndim))


def _norm(x: Float[Array, "B ..."]) -> Float[Array, " B"]:
    # Sums of short sums have smaller rounding errors.
    short = (x**2).reshape(*x.shape[:2], -1).sum(-1)
    return jnp.sqrt(short.reshape(len(x), -1).sum(-1))


def _divided(x: Float[Array, "B ..."], divisor: Float[Array, " B"]) -> Float[Array, "B ..."]:
    return jax.vmap(jnp.divide)(x, divisor)


def _sum_towards(x: Float[Array, "..."], change: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns x + change, or the next number towards x if rounding has made the change larger.

    Source: Knuth, The art of computer programming, volume 2: the error of a sum.
    """
    y = x + change
    rounded = y - x
    error = (x - (y - rounded)) + (change - rounded)
    is_too_far = jnp.where(change > 0, error < 0, error > 0)
    return jnp.where(is_too_far, jnp.nextafter(y, x), y)
