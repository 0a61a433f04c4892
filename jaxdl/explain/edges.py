"""Edges of images: a map that cannot depend on a network, for comparison."""

import numpy as np
from jaxtyping import Float

from jaxdl.explain.images import check_images, check_pixels


def sobel(images: Float[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N H W 1"]:
    """Returns the strength of the edges at each pixel.

        g = sqrt(g_y^2 + g_x^2),   g_y = (1, 2, 1) x (-1, 0, 1) * x,   x the mean of the channels

    Pixels at the border are repeated beyond it. An explanation that looks like this map may be one
    of the image alone: compare both with `cascade` and with `deletion`.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps.

    Args:
      images: `[N, H, W, C]` in [0, 1].

    Returns:
      `[N, H, W, 1]`, at least 0.

    Raises:
      InputError: images of another shape or range.

    Example:
      >>> image = np.zeros((1, 3, 4, 1), np.float32)
      >>> image[:, :, 2:] = 1.0
      >>> sobel(image)[0, :, :, 0].tolist()
      [[0.0, 4.0, 4.0, 0.0], [0.0, 4.0, 4.0, 0.0], [0.0, 4.0, 4.0, 0.0]]
    """
    check_images(images)
    check_pixels(images)
    grey = np.asarray(images, np.float64).mean(-1)
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, 2:] - padded[:, :-2]
    columns = padded[:, :, 2:] - padded[:, :, :-2]
    y = rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    x = columns[:, :-2] + 2 * columns[:, 1:-1] + columns[:, 2:]
    return np.hypot(y, x).astype(np.float32)[..., None]
