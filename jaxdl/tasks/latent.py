"""Ways through a latent space: lines, arcs, and a grid over the plane of two numbers."""

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
    """The codes on the way from one to another.

        linear:     z_t = (1 - t) a + t b
        spherical:  z_t = [sin((1 - t) w) a + sin(t w) b] / sin w,   w the angle between a and b

    Normal codes of many numbers all have about the same length; a straight line between two of them passes through
    shorter ones that hardly ever occur, an arc does not.

    Source: Shoemake 1985; White 2016, Sampling generative networks.

    Args:
      a: where t = 0.
      b: where t = 1.
      n: how many codes, both ends among them, at least 2.
      how: "linear" or "spherical"; where there is no one arc (opposite codes, 0) it is the line.

    Returns:
      `[n, Z]`.

    Raises:
      InputError: unequal shapes, fewer than 2, another way.

    Example:
      >>> interpolate(jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0]), 3).tolist()
      [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    """
    at_least("n", n, 2)
    one_of("how", how, ("linear", "spherical"))
    if a.shape != b.shape or a.ndim != 1:
        raise InputError("b", b.shape, f"one code, of shape {a.shape}")
    t = jnp.linspace(0.0, 1.0, n)[:, None]
    line = (1 - t) * a[None] + t * b[None]
    if how == "linear":
        return line
    lengths = jnp.linalg.norm(a) * jnp.linalg.norm(b)
    angle = jnp.arccos(jnp.clip(a @ b / jnp.maximum(lengths, 1e-12), -1.0, 1.0))
    # Codes in one line, and 0, have no one arc between them.
    straight = (jnp.sin(angle) < 1e-3) | (lengths < 1e-12)
    w = jnp.where(straight, 1.0, angle)
    arc = (jnp.sin((1 - t) * w) * a[None] + jnp.sin(t * w) * b[None]) / jnp.sin(w)
    return jax.lax.select(jnp.broadcast_to(straight, line.shape), line, arc)


def latent_grid(n: int) -> Float[np.ndarray, "N 2"]:
    """Codes of two numbers that divide a standard normal evenly, in rows from the top left.

        z_ij = (F^-1((j + 1/2) / n), F^-1(1 - (i + 1/2) / n)),   F the distribution function of N(0, 1)

    Args:
      n: rows and columns, at least 1.

    Returns:
      `[n^2, 2]`, float32.

    Raises:
      InputError: fewer than 1.

    Example:
      >>> (4 * latent_grid(2)).round().tolist()
      [[-3.0, 3.0], [3.0, 3.0], [-3.0, -3.0], [3.0, -3.0]]
    """
    at_least("n", n, 1)
    at = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)], np.float32)
    return np.stack([np.tile(at, n), np.repeat(at[::-1], n)], 1)
