"""Segments of images: a grid of rectangles, and superpixels of similar color."""

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError, at_least, integers
from jaxdl.explain.images import check_images, check_pixels


def grid(shape: tuple[int, ...], size: int | tuple[int, int]) -> Int[np.ndarray, "H W"]:
    """Returns rectangles of equal size as segments, numbered row by row.

        segment(i, j) = (i // h) * ceil(W / w) + j // w

    Rectangles at the right and lower edge are smaller if the size does not divide the sides.

    Args:
      shape: `(H, W)` or `(H, W, C)`, shape of an image.
      size: height h and width w of a rectangle in pixels; one integer for a square.

    Returns:
      `[H, W]`, integers from 0.

    Raises:
      InputError: a shape without two sides, or a size below 1.

    Example:
      >>> grid((2, 5, 1), 2)
      array([[0, 0, 1, 1, 2],
             [0, 0, 1, 1, 2]], dtype=int32)
    """
    allowed = "the shape of an image, such as (28, 28, 1)"
    sides = integers("shape", shape, None, allowed)
    if len(sides) not in (2, 3):
        raise InputError("shape", shape, allowed)
    height, width = integers("size", size, 2, "one integer or a pair")
    rows = np.arange(sides[0], dtype=np.int32) // np.int32(height)
    columns = np.arange(sides[1], dtype=np.int32) // np.int32(width)
    return rows[:, None] * np.int32(columns[-1] + 1) + columns[None]


def superpixels(images: Float[np.ndarray, "N H W C"], count: int = 50) -> Int[np.ndarray, "N H W"]:
    """Returns connected segments of similar color, by scikit-image's SLIC.

    SLIC is k-means of (color / 10, position / s), with the color in CIELAB and s the distance
    between two centers. Each center gets pixels nearby only. Grey images are treated as colors with
    three equal channels. The algorithm has no random numbers.

    Source: Achanta et al. 2012, SLIC superpixels compared to state-of-the-art superpixel methods.

    Args:
      images: `[N, H, W, C]` in [0, 1], grey or RGB.
      count: requested number of segments of each image. The result often has fewer.

    Returns:
      `[N, H, W]`, integers from 0; each image has its own numbers.

    Raises:
      InputError: scikit-image is not installed, or images that are neither grey nor RGB.

    Example:
      >>> image = np.zeros((1, 8, 8, 1), np.float32)
      >>> image[:, :, 4:] = 1.0
      >>> superpixels(image, 4)[0, 0]
      array([0, 0, 0, 0, 1, 1, 1, 1], dtype=int32)
    """
    check_images(images)
    check_pixels(images)
    at_least("count", count, 1)
    channels = np.shape(images)[-1]
    if channels not in (1, 3):
        allowed = "grey or RGB images; write segments=explain.grid(shape, size) for others"
        raise InputError("images", f"{channels} channels", allowed)
    try:
        from skimage.segmentation import slic
    except ImportError:
        allowed = "pip install 'jaxdl[explain]', or segments=explain.grid(shape, size)"
        raise InputError("superpixels", "no scikit-image", allowed) from None
    found = []
    for image in np.asarray(images, np.float64):
        color = np.repeat(image, 3 // channels, -1)
        labels = slic(color, n_segments=count, start_label=0, channel_axis=-1)
        consecutive = np.unique(labels, return_inverse=True)[1]
        found.append(consecutive.reshape(labels.shape).astype(np.int32))
    return np.stack(found)
