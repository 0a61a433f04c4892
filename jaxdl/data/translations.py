"""Pairs of images with a known truth: strokes made thick or thin, sheared, inverted and so on."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, one_of

Images = Float[np.ndarray, "N H W C"]

#: Degrees by which `sheared` leans an image.
SHEAR = 20.0
#: Number of colours of `coloured`.
COLOURS = 16


def thick(images: Images) -> Images:
    """Returns images with thicker strokes: each pixel is the largest of its 3x3 neighbours.

    Example:
      >>> image = np.zeros((1, 5, 5, 1), np.float32)
      >>> image[0, 2, 2] = 1
      >>> float(thick(image).sum())
      9.0
    """
    return ndimage.grey_dilation(images, (1, 3, 3, 1), mode="constant")


def thin(images: Images) -> Images:
    """Returns images with strokes of one pixel: the skeleton of the pixels above 1/2.

    Source: Zhang and Suen 1984, A fast parallel algorithm for thinning digital patterns.

    Example:
      >>> image = np.zeros((1, 7, 9, 1), np.float32)
      >>> image[0, 2:5, 1:8] = 1
      >>> float(thin(image).sum()) < 7
      True
    """
    alive = np.pad(images[..., 0] > 0.5, ((0, 0), (1, 1), (1, 1)))
    changed = True
    while changed:
        changed = False
        for half in (0, 1):
            removed = _removable(alive, half)
            alive = alive & ~removed
            changed = changed or bool(removed.any())
    return alive[:, 1:-1, 1:-1, None].astype(np.float32)


def _removable(alive: np.ndarray, half: int) -> np.ndarray:
    """Returns the pixels that one half of an iteration of Zhang and Suen's thinning removes."""
    # The neighbours in a circle, beginning above: up, up right, right, ...
    shifts = [(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)]
    ring = [np.roll(alive, shift, (1, 2)) for shift in shifts]
    count = sum(each.astype(np.int8) for each in ring)
    following = [*ring[1:], ring[0]]
    edges = sum((~a & b).astype(np.int8) for a, b in zip(ring, following, strict=True))
    up, right, down, left = ring[::2]
    if half == 0:
        sides = ~(up & right & down) & ~(right & down & left)
    else:
        sides = ~(up & right & left) & ~(up & down & left)
    return alive & (count >= 2) & (count <= 6) & (edges == 1) & sides


def sheared(images: Images) -> Images:
    """Returns images that lean by 20 degrees, around their middle, interpolated linearly.

    Example:
      >>> sheared(np.ones((1, 5, 5, 1), np.float32))[0, 2, :, 0].tolist()
      [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    slope = np.tan(np.radians(SHEAR))
    middle = (images.shape[1] - 1) / 2
    # The batch and the channels stay; a row moves with its distance from the middle.
    matrix = np.eye(4)
    matrix[2, 1] = slope
    offset = [0, 0, -slope * middle, 0]
    return ndimage.affine_transform(images, matrix, offset, order=1, mode="constant").clip(0, 1)


def inverted(images: Images) -> Images:
    """Returns the negatives, 1 - x.

    Example:
      >>> float(inverted(np.zeros((1, 2, 2, 1), np.float32)).mean())
      1.0
    """
    return 1 - images


def outlines(images: Images) -> Images:
    """Returns the outlines of strokes: the largest minus the smallest of 3x3 neighbours.

    Example:
      >>> image = np.zeros((1, 7, 7, 1), np.float32)
      >>> image[0, 2:5, 2:5] = 1
      >>> outlines(image)[0, 3, :, 0].tolist()
      [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    """
    smallest = ndimage.grey_erosion(images, (1, 3, 3, 1), mode="constant")
    return thick(images) - smallest


@functools.cache
def _palette() -> Float[np.ndarray, "2 N 3"]:
    """Returns red, green and blue of the backgrounds and of the strokes."""
    return np.random.default_rng(7).random((2, COLOURS, 3)).astype(np.float32)


def coloured(images: Images) -> Images:
    """Returns images with colours: the background fades from one colour to another.

    Each grey value mixes the colours of the background and of the strokes. Both depend on the
    number of pixels above 1/2, so equal images have equal colours.

    Example:
      >>> coloured(np.zeros((2, 4, 4, 1), np.float32)).shape
      (2, 4, 4, 3)
    """
    palette = _palette()
    place = (images[..., 0] > 0.5).sum((1, 2)) % COLOURS
    fade = np.linspace(0, 0.5, images.shape[1], dtype=np.float32)[None, :, None, None]
    background = palette[0, place][:, None, None] * (0.5 + fade)
    strokes = palette[1, (place + 5) % COLOURS][:, None, None]
    return (1 - images) * background + images * strokes


def enlarged(images: Images, size: tuple[int, int]) -> Images:
    """Returns larger images, interpolated linearly.

    Args:
      images: `[N, H, W, C]`.
      size: the new height and width, at least those of the images.

    Raises:
      InputError: a size that is smaller.

    Example:
      >>> enlarged(np.ones((1, 8, 12, 1), np.float32), (16, 24)).shape
      (1, 16, 24, 1)
    """
    for name, new, old in zip(("height", "width"), size, images.shape[1:3], strict=True):
        at_least(name, new, old)
    shape = (len(images), *size, images.shape[-1])
    return np.asarray(_resized(images, shape)).clip(0, 1)


@functools.partial(jax.jit, static_argnums=1)
def _resized(images: Any, shape: tuple[int, ...]) -> Any:
    return jax.image.resize(images, shape, "linear", antialias=False)


#: Functions from images to images, by name.
TRANSLATIONS: dict[str, Callable[[Images], Images]] = {
    "thick": thick,
    "thin": thin,
    "sheared": sheared,
    "inverted": inverted,
    "outlines": outlines,
    "coloured": coloured,
}


def translated(name: str, images: Images) -> Images:
    """Returns the images of a translation; "grey" returns them as they are.

    Args:
      name: thick, thin, sheared, inverted, outlines, coloured or grey.
      images: `[N, H, W, 1]` in [0, 1].

    Raises:
      InputError: an unknown name, or images that are not grey.

    Example:
      >>> translated("thcik", np.zeros((1, 8, 8, 1), np.float32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: translation: got 'thcik', allowed: coloured, grey, inverted, ...
    """
    one_of("translation", name, ["grey", *TRANSLATIONS])
    if images.ndim != 4 or images.shape[-1] != 1:
        raise InputError("images", list(images.shape), "grey images [N, H, W, 1]")
    if name == "grey":
        return images
    return TRANSLATIONS[name](images).astype(np.float32)


def translation_pairs(data: Dataset, source: str, target: str) -> Dataset:
    """Returns pairs of images: `input` and `target` are two translations of each image.

    Args:
      data: a set of grey images.
      source: translation of the inputs, see `translated`.
      target: translation of the targets.

    Returns:
      A set with `input`, `target` and the `label` of the images, if they have one.

    Example:
      >>> from jaxdl import data
      >>> digits, _ = data.load("digits")
      >>> pairs = translation_pairs(digits, "outlines", "grey")
      >>> sorted(pairs.arrays), pairs.name
      (['input', 'label', 'target'], 'digits: outlines to grey')
    """
    images = np.asarray(data["input"])
    arrays = {name: array for name, array in data.arrays.items() if name != "input"}
    arrays["input"] = translated(source, images)
    arrays["target"] = translated(target, images)
    name = f"{data.name}: {source} to {target}"
    return Dataset(arrays, name, data.classes, class_names=data.class_names)


def unpaired_halves(pairs: Dataset) -> tuple[Dataset, Dataset]:
    """Returns two sets of which no image of one belongs to an image of the other.

    Args:
      pairs: pairs `input` and `target`, such as of `translation_pairs`.

    Returns:
      The inputs of the first half of the pairs, and the targets of the second half, as `input`.

    Example:
      >>> from jaxdl import data
      >>> digits, _ = data.load("digits")
      >>> a, b = unpaired_halves(translation_pairs(digits, "thin", "thick"))
      >>> a.size + b.size == digits.size
      True
    """
    half = pairs.size // 2
    if half < 1:
        raise InputError("pairs", pairs.size, "at least 2")
    parts = []
    for field, rows in (("input", slice(None, half)), ("target", slice(half, None))):
        arrays = {"input": np.asarray(pairs[field])[rows]}
        if "label" in pairs.arrays:
            arrays["label"] = np.asarray(pairs["label"])[rows]
        part = f"{pairs.name}, {field}s"
        parts.append(Dataset(arrays, part, pairs.classes, class_names=pairs.class_names))
    return parts[0], parts[1]
