"""Colors of one image for another."""

import numpy as np
from jaxtyping import Float

from jaxdl.art.octaves import check_image
from jaxdl.errors import InputError


def match_colors(
    image: Float[np.ndarray, "H W C"], reference: Float[np.ndarray, "I J C"]
) -> Float[np.ndarray, "H W C"]:
    """Returns an image with the mean and the covariance of the colors of another one.

        y = S_r^(1/2) S_x^(-1/2) (x - m_x) + m_r,   clipped to [0, 1]

    Source: Gatys, Bethge, Hertzmann, Shechtman 2016, Preserving color in neural artistic style
    transfer.

    Args:
      image: `[H, W, C]` in [0, 1].
      reference: image with the colors, `[I, J, C]`.

    Raises:
      InputError: a value that is no image in [0, 1], or another number of channels.

    Example:
      >>> random = np.random.default_rng(0)
      >>> image = random.uniform(0.4, 0.6, (8, 8, 3))
      >>> reference = random.uniform(0.2, 0.4, (9, 7, 3))
      >>> made = match_colors(image, reference)
      >>> bool(np.allclose(made.mean((0, 1)), reference.mean((0, 1))))
      True
    """
    check_image(image)
    check_image(reference, "reference")
    if image.shape[-1] != reference.shape[-1]:
        allowed = f"{reference.shape[-1]} channels, as the reference has"
        raise InputError("image", list(image.shape), allowed)
    channels = image.shape[-1]
    pixels = np.asarray(image, np.float64).reshape(-1, channels)
    colors = np.asarray(reference, np.float64).reshape(-1, channels)
    change = _root(_covariance(colors), 0.5) @ _root(_covariance(pixels), -0.5)
    matched = (pixels - pixels.mean(0)) @ change.T + colors.mean(0)
    return np.clip(matched, 0, 1).reshape(image.shape).astype(image.dtype)


def _covariance(pixels: np.ndarray) -> np.ndarray:
    centered = pixels - pixels.mean(0)
    # Images of one color have no covariance; the small number makes it invertible.
    return centered.T @ centered / len(pixels) + 1e-6 * np.eye(pixels.shape[-1])


def _root(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**power) @ vectors.T
