"""Random shifts, rotations and scalings of an image, in one interpolation with a gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


def warp(
    image: Float[Array, "H W C"],
    angle: float | Float[Array, ""],
    scale: float | Float[Array, ""],
    shift: Float[Array, " 2"],
    fill: float = 0.5,
) -> Float[Array, "H W C"]:
    """Returns an image that is scaled and rotated around its center, then shifted.

        y(p) = x(c + R^T (p - c - shift) / scale),    c the center, R the rotation

    Values between pixels are bilinear. Shifts by whole pixels, rotations by 0 and right angles of a
    square, and a scale of 1 are exact.

    Args:
      image: `[H, W, C]`.
      angle: rotation in radians, positive from the first axis to the second.
      scale: factor of the size; above 1 the image is enlarged.
      shift: rows and columns.
      fill: color outside of the image.

    Returns:
      `[H, W, C]`.

    Example:
      >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
      >>> warp(image, 0.0, 1.0, jnp.array([0.0, 1.0]), fill=0.0)[..., 0].tolist()
      [[0.0, 1.0], [0.0, 3.0]]
    """
    height, width, channels = image.shape
    # A ring of the color makes every neighbour of a pixel outside of the image have it.
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=fill)
    rows, columns = jnp.meshgrid(
        jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2 - shift[0],
        jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2 - shift[1],
        indexing="ij",
    )
    cosine = jnp.cos(angle) / scale
    sine = jnp.sin(angle) / scale
    y = cosine * rows + sine * columns + (height + 1) / 2
    x = cosine * columns - sine * rows + (width + 1) / 2
    y = jnp.clip(y, 0, height + 1)
    x = jnp.clip(x, 0, width + 1)
    top = jnp.clip(jnp.floor(y), 0, height)
    left = jnp.clip(jnp.floor(x), 0, width)
    below = y - top
    beside = x - left
    corner = (top * (width + 2) + left).astype(jnp.int32)
    corners = jnp.stack([corner, corner + 1, corner + width + 2, corner + width + 3])
    weights = jnp.stack(
        [(1 - below) * (1 - beside), (1 - below) * beside, below * (1 - beside), below * beside]
    )
    values = padded.reshape(-1, channels)[corners]
    return (values * weights[..., None]).sum(0)


def random_warp(
    key: Key[Array, ""],
    image: Float[Array, "H W C"],
    shift: int | Int[Array, ""],
    scale: float | Float[Array, ""],
    rotation: float | Float[Array, ""],
    fill: float = 0.5,
) -> Float[Array, "H W C"]:
    """Returns an image after a random shift, scaling and rotation.

    Args:
      key: key of the random numbers.
      image: `[H, W, C]`.
      shift: largest shift in whole pixels along each axis.
      scale: largest relative change of the size; 0.1 means factors in [0.9, 1.1].
      rotation: largest angle in degrees.
      fill: color outside of the image.

    Returns:
      `[H, W, C]`. Without scaling and rotation it is moved by whole pixels.

    Example:
      >>> random_warp(jax.random.key(0), jnp.ones((4, 4, 1)), 1, 0.1, 10.0).shape
      (4, 4, 1)
    """
    shifts = jax.random.randint(jax.random.fold_in(key, 0), (2,), -shift, shift + 1)
    factor = jax.random.uniform(jax.random.fold_in(key, 1), (), minval=1 - scale, maxval=1 + scale)
    degrees = jax.random.uniform(jax.random.fold_in(key, 2), (), minval=-rotation, maxval=rotation)
    return warp(image, jnp.deg2rad(degrees), factor, shifts.astype(jnp.float32), fill)
