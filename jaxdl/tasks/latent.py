"""Points of a latent space: lines and arcs between two vectors, and a grid over a plane."""

from statistics import NormalDist
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of


def interpolate(
    a: Float[Array, " Z"],
    b: Float[Array, " Z"],
    n: int,
    how: Literal["linear", "spherical"] = "linear",
) -> Float[Array, "N Z"]:
    """Returns latent vectors on a path from `a` to `b`.

        linear:     z_t = (1 - t) a + t b
        spherical:  z_t = [sin((1 - t) w) a + sin(t w) b] / sin w,   w the angle between a and b

    Normally distributed vectors of high dimension all have about the same length. A straight line
    between two of them passes through shorter vectors, which are very unlikely. An arc does not.

    Source: Shoemake 1985; White 2016, Sampling generative networks.

    Args:
      a: latent vector at t = 0.
      b: latent vector at t = 1.
      n: number of vectors, both ends included, at least 2.
      how: "linear" or "spherical". Where the arc is not unique (opposite vectors, or a zero
        vector), "spherical" returns the straight line.

    Returns:
      `[n, Z]`.

    Raises:
      InputError: different shapes, `n` below 2, or an unknown value of `how`.

    Example:
      >>> interpolate(jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0]), 3).tolist()
      [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    """
    at_least("n", n, 2)
    one_of("how", how, ("linear", "spherical"))
    if a.shape != b.shape or a.ndim != 1:
        raise InputError("b", b.shape, f"one latent vector, with the shape of a, {a.shape}")
    t = jnp.linspace(0.0, 1.0, n)[:, None]
    line = (1 - t) * a[None] + t * b[None]
    if how == "linear":
        return line
    lengths = jnp.linalg.norm(a) * jnp.linalg.norm(b)
    angle = jnp.arccos(jnp.clip(a @ b / jnp.maximum(lengths, 1e-12), -1.0, 1.0))
    # The arc is not unique between parallel vectors, nor if one of them is 0.
    straight = (jnp.sin(angle) < 1e-3) | (lengths < 1e-12)
    w = jnp.where(straight, 1.0, angle)
    arc = (jnp.sin((1 - t) * w) * a[None] + jnp.sin(t * w) * b[None]) / jnp.sin(w)
    return jax.lax.select(jnp.broadcast_to(straight, line.shape), line, arc)


def latent_grid(n: int) -> Float[np.ndarray, "N 2"]:
    """Returns a grid of 2-D latent vectors that divides a standard normal into equal parts.

        z_ij = (F^-1((j + 1/2) / n), F^-1(1 - (i + 1/2) / n)),   F the CDF of N(0, 1)

    The vectors are listed row by row, from the top left.

    Args:
      n: number of rows and of columns, at least 1.

    Returns:
      `[n^2, 2]`, float32.

    Raises:
      InputError: `n` below 1.

    Example:
      >>> (4 * latent_grid(2)).round().tolist()
      [[-3.0, 3.0], [3.0, 3.0], [-3.0, -3.0], [3.0, -3.0]]
    """
    at_least("n", n, 1)
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)], np.float32)
    return np.stack([np.tile(quantiles, n), np.repeat(quantiles[::-1], n)], 1)
