"""Directions of ascent: gradients in several scales, with the colors of photographs."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.explain.parametrization import COLORS

#: A binomial filter. Its transfer function cos^4 is not negative, so that `direction` ascends.
KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def direction(
    gradient: Float[Array, "H W C"], scales: int, coarse: float = 0.8, decorrelate: bool = True
) -> Float[Array, "H W C"]:
    """Returns a smoothed gradient with decorrelated colors; a pure function.

        d = sum_k r^k b_k / rms(b_k) D D^T,    b_k = c_k - c_{k+1},    c_{k+1} = c_k * B_k

    c_0 is the gradient. B_k is a binomial filter with 2^k pixels between its weights. The last band
    is what is left, and r is `coarse`. Columns of D are the directions in which colors of
    photographs vary. The product with the gradient is never negative, so a small step along d
    increases the objective.

    Source: Mordvintsev 2015, TensorFlow's example of deep dream (normalized Laplacian pyramids);
    Olah, Mordvintsev and Schubert 2017, Feature visualization (decorrelated colors).

    Args:
      gradient: `[H, W, C]`.
      scales: number of bands; 0 means the gradient as it is.
      coarse: share of a band relative to that of the next finer one.
      decorrelate: if False, or for other than three channels, D is 1.

    Returns:
      `[H, W, C]`.

    Example:
      >>> gradient = jax.random.normal(jax.random.key(0), (16, 16, 3))
      >>> float((gradient * direction(gradient, 3)).sum()) > 0
      True
    """
    result = gradient
    if scales:
        rest = gradient
        result = jnp.zeros_like(gradient)
        for k in range(scales - 1):
            smooth = _smoothed(rest, 2**k)
            result += coarse**k * normalized(rest - smooth)
            rest = smooth
        result += coarse ** (scales - 1) * normalized(rest)
    if decorrelate and gradient.shape[2] == 3:
        colors = jnp.asarray(COLORS / np.linalg.norm(COLORS, axis=0).max(), gradient.dtype)
        mixing = jnp.matmul(colors, colors.T, precision="highest")
        result = jnp.matmul(result, mixing, precision="highest")
    return result


def _smoothed(x: Float[Array, "H W C"], hole: int) -> Float[Array, "H W C"]:
    """Returns an image after a binomial filter with holes, mirrored at its border."""
    for axis in (0, 1):
        size = x.shape[axis]
        padding = [(0, 0)] * 3
        padding[axis] = (2 * hole, 2 * hole)
        wide = jnp.pad(x, padding, "symmetric")
        parts = [
            weight * jax.lax.slice_in_dim(wide, i * hole, i * hole + size, axis=axis)
            for i, weight in enumerate(KERNEL)
        ]
        x = sum(parts[1:], parts[0])
    return x


def normalized(x: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
    """Returns an array divided by its root mean square, and 0 for zeros; a pure function.

    Example:
      >>> normalized(jnp.full((1, 2, 1), -3e-30)).ravel().tolist()
      [-1.0, -1.0]
    """
    # Gradients can be tiny. The largest value keeps their squares from vanishing.
    largest = jnp.abs(x).max()
    x = x / jnp.where(largest > 0, largest, 1)
    size = jnp.sqrt(jnp.mean(x**2))
    return x / jnp.where(size > 0, size, 1)
