"""The backward pass of a convolution, as a lecture derives it on paper."""

from typing import Any

import jax.numpy as jnp
from jax.scipy.signal import correlate2d
from jaxtyping import Array, Float

from jaxdl.errors import InputError


def convolve(x: Float[Array, "H W"], w: Float[Array, "h w"]) -> Float[Array, "P Q"]:
    """Returns the convolution of a network: the filter slides over the input without a flip.

        y[i, j] = sum_ab  x[i + a, j + b] w[a, b]

    Args:
      x: `[H, W]`, the input.
      w: `[h, w]`, the filter, not larger than the input.

    Returns:
      `[H - h + 1, W - w + 1]`.

    Raises:
      InputError: arrays without two axes, or a filter that is larger than the input.

    Example:
      >>> convolve(jnp.arange(9.0).reshape(3, 3), jnp.eye(2)).tolist()
      [[4.0, 6.0], [10.0, 12.0]]
    """
    x, w = _matrices(x=x, w=w)
    if any(small > large for small, large in zip(w.shape, x.shape, strict=True)):
        raise InputError("w", list(w.shape), f"at most the size of the input, {list(x.shape)}")
    return correlate2d(x, w, mode="valid")


def filter_gradient(x: Float[Array, "H W"], dy: Float[Array, "P Q"]) -> Float[Array, "h w"]:
    """Returns the gradient of the filter, which is a convolution of the input with the gradient.

        dL/dw[a, b] = sum_ij  dL/dy[i, j] x[i + a, j + b],    dw = convolve(x, dy)

    The weight w[a, b] multiplies x[i + a, j + b] in every output y[i, j], so all outputs add up.

    Args:
      x: `[H, W]`, the input of the convolution.
      dy: `[P, Q]`, the upstream gradient, which is the gradient of the output.

    Returns:
      `[H - P + 1, W - Q + 1]`, the shape of the filter.

    Raises:
      InputError: arrays without two axes, or a gradient that is larger than the input.

    Source: Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.5.

    Example:
      >>> filter_gradient(jnp.arange(9.0).reshape(3, 3), jnp.ones((2, 2))).tolist()
      [[8.0, 12.0], [20.0, 24.0]]
    """
    x, dy = _matrices(x=x, dy=dy)
    if any(small > large for small, large in zip(dy.shape, x.shape, strict=True)):
        raise InputError("dy", list(dy.shape), f"at most the size of the input, {list(x.shape)}")
    return convolve(x, dy)


def input_gradient(w: Float[Array, "h w"], dy: Float[Array, "P Q"]) -> Float[Array, "H W"]:
    """Returns the gradient of the input, a full convolution with the rotated filter.

        dL/dx[k, l] = sum_ij  dL/dy[i, j] w[k - i, l - j]

        dx = convolve(dy with h - 1 and w - 1 zeros on each side, w rotated by 180 degrees)

    An input in the corner is used by one output only, and one in the middle by several.

    Args:
      w: `[h, w]`, the filter.
      dy: `[P, Q]`, the upstream gradient, which is the gradient of the output.

    Returns:
      `[P + h - 1, Q + w - 1]`, the shape of the input.

    Raises:
      InputError: arrays without two axes.

    Source: Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.5.

    Example:
      >>> w = jnp.array([[1.0, 2.0], [3.0, 4.0]])
      >>> input_gradient(w, jnp.ones((2, 2))).tolist()
      [[1.0, 3.0, 2.0], [4.0, 10.0, 6.0], [3.0, 7.0, 4.0]]
    """
    w, dy = _matrices(w=w, dy=dy)
    rows, columns = w.shape
    padded = jnp.pad(dy, ((rows - 1, rows - 1), (columns - 1, columns - 1)))
    return convolve(padded, w[::-1, ::-1])


def _matrices(**arrays: Any) -> list[Array]:
    """Returns arrays with two axes."""
    found = []
    for name, value in arrays.items():
        if jnp.ndim(value) != 2 or not jnp.size(value):
            raise InputError(name, list(jnp.shape(value)), "an array with two axes")
        found.append(jnp.asarray(value))
    return found
