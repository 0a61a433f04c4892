"""Gram matrices: how often the units of a layer are active together, at any position."""

from jaxtyping import Array, Float

from jaxdl.errors import InputError


def gram(maps: Float[Array, "I J U"]) -> Float[Array, "U U"]:
    """Returns the Gram matrix of a layer's maps, the mean product of each pair of units.

        G = F' F / (I J),    F [I J, U] the maps at all positions

    It contains no positions. So it describes the texture of an image, and images of different
    sizes have comparable matrices.

    Source: Gatys, Ecker, Bethge 2015, Texture synthesis using convolutional neural networks.

    Args:
      maps: activations of one image, `[I, J, U]`.

    Returns:
      `[U, U]`, symmetric and positive semi-definite.

    Raises:
      InputError: another shape, or no positions.

    Example:
      >>> import jax.numpy as jnp
      >>> gram(jnp.array([[[1.0, 2.0], [3.0, 0.0]]])).tolist()
      [[5.0, 1.0], [1.0, 2.0]]
    """
    if maps.ndim != 3 or 0 in maps.shape:
        raise InputError("maps", list(maps.shape), "maps of one image, [I, J, U]")
    positions = maps.reshape(-1, maps.shape[-1])
    return positions.T @ positions / positions.shape[0]
