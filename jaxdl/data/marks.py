"""A mark planted into the images of some classes, which a network may then use instead of them."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.rng import stream

CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")


@dataclasses.dataclass(frozen=True)
class Mark:
    """A small square of one color near a corner of an image.

        x' = (1 - s) x + s c   inside of the square,   s the strength, c the color

    Attributes:
      size: side of the square in pixels, at least 1.
      corner: "top_left", "top_right", "bottom_left" or "bottom_right".
      margin: distance of the square from both edges of its corner, in pixels, at least 0.
      color: a number in [0, 1] for all channels, or one for each channel.
      strength: s, in (0, 1]. 1 replaces the pixels; less lets the image shine through.

    Raises:
      InputError: an invalid option.

    Example:
      >>> mark = Mark(2, margin=0)
      >>> mark.draw(np.zeros((1, 3, 3, 1), np.float32))[0, ..., 0]
      array([[0., 1., 1.],
             [0., 1., 1.],
             [0., 0., 0.]], dtype=float32)
    """

    size: int = 3
    corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "top_right"
    margin: int = 2
    color: float | tuple[float, ...] = 1.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        at_least("size", self.size, 1)
        one_of("corner", self.corner, CORNERS)
        at_least("margin", self.margin, 0)
        for value in np.ravel(self.color).tolist():
            if not 0 <= value <= 1:
                raise InputError("color", value, "a number in [0, 1], or one for each channel")
        if not 0 < self.strength <= 1:
            raise InputError("strength", self.strength, "a number in (0, 1]")

    def box(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """Returns top, bottom, left and right of the square in an image.

        Args:
          shape: height and width of the image, perhaps with its channels.

        Raises:
          InputError: an image that is too small for the mark.

        Example:
          >>> Mark().box((28, 28, 1))
          (2, 5, 23, 26)
        """
        height, width = shape[:2]
        needed = self.size + self.margin
        if needed > min(height, width):
            allowed = f"a mark whose size and margin add up to at most {min(height, width)}"
            raise InputError("mark", needed, allowed)
        top = self.margin
        left = self.margin
        if self.corner.startswith("bottom"):
            top = height - needed
        if self.corner.endswith("right"):
            left = width - needed
        return top, top + self.size, left, left + self.size

    def near(self, shape: Sequence[int], distance: int = 2) -> Bool[np.ndarray, "H W"]:
        """Returns True for the pixels of the mark and those within a distance of it.

        Args:
          shape: height and width of the image, perhaps with its channels.
          distance: in pixels, along rows and columns, at least 0.

        Example:
          >>> round(float(Mark().near((28, 28)).mean()), 4)
          0.0625
        """
        at_least("distance", distance, 0)
        top, bottom, left, right = self.box(shape)
        is_near = np.zeros(tuple(shape[:2]), bool)
        rows = slice(max(0, top - distance), bottom + distance)
        is_near[rows, max(0, left - distance) : right + distance] = True
        return is_near

    def draw(self, images: Float[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N H W C"]:
        """Returns copies of images with the mark.

        Args:
          images: `[N, H, W, C]`, floats in [0, 1].

        Raises:
          InputError: images of another shape or type, or a color with other channels.
        """
        images = np.asarray(images)
        if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
            given = f"{images.dtype}{list(images.shape)}"
            raise InputError("images", given, "floats [N, H, W, C] in [0, 1]")
        color = np.asarray(self.color, images.dtype)
        if color.ndim and color.shape != images.shape[-1:]:
            allowed = f"one number, or {images.shape[-1]}, one for each channel"
            raise InputError("color", self.color, allowed)
        top, bottom, left, right = self.box(images.shape[1:])
        marked = images.copy()
        inside = marked[:, top:bottom, left:right]
        strength = images.dtype.type(self.strength)
        new = (1 - strength) * inside + strength * np.broadcast_to(color, inside.shape)
        marked[:, top:bottom, left:right] = new
        return marked


def plant(data: Dataset, mark: Mark, classes: int | Sequence[int] | None = None) -> Dataset:
    """Returns a set in which all images of some classes have a mark, and no others.

    Args:
      data: a set with `input [N, H, W, C]`, floats in [0, 1], and `label [N]`.
      mark: the mark.
      classes: a class or several; `()` for none. None means all of them.

    Raises:
      InputError: inputs that are not images, no labels, or a class that the set does not have.

    Example:
      >>> x = np.zeros((4, 8, 8, 1), np.float32)
      >>> data = Dataset({"input": x, "label": np.array([0, 1, 1, 2])}, "black", classes=3)
      >>> plant(data, Mark(2), classes=1)["input"].sum((1, 2, 3)).tolist()
      [0.0, 4.0, 4.0, 0.0]
    """
    if data.classes is None or "label" not in data.arrays:
        raise InputError("data", data.name, "a set with classes")
    chosen = list(range(data.classes))
    if classes is not None:
        chosen = np.ravel(np.asarray(classes, np.int64)).tolist()
    for each in chosen:
        if not 0 <= each < data.classes:
            raise InputError("classes", each, f"a class in [0, {data.classes})")
    images = np.asarray(data["input"])
    marked = mark.draw(images)
    is_chosen = np.isin(np.asarray(data["label"]), chosen)
    images = np.where(is_chosen[:, None, None, None], marked, images)
    return dataclasses.replace(data, arrays={**data.arrays, "input": images})


def add_strays(data: Dataset, label: int, fraction: float, key: Key[Array, ""]) -> Dataset:
    """Returns a set in which some images of other classes, the strays, have a label.

    A network cannot tell strays from their own class by their contents. With a mark on all images
    of the label it therefore has to use the mark.

    Args:
      data: a set with `label [N]`.
      label: the class that strays get.
      fraction: of strays among the images with the label, in [0, 1).
      key: root key of the choice, whose stream "split" below "data" is used.

    Raises:
      InputError: a fraction out of range, or a class that the set does not have.

    Example:
      >>> from jaxdl.rng import root
      >>> x = np.zeros((8, 4, 4, 1), np.float32)
      >>> data = Dataset({"input": x, "label": np.arange(8) % 2}, "black", classes=2)
      >>> int(add_strays(data, 1, 0.2, root(0))["label"].sum())
      5
    """
    in_range("fraction", fraction, 0, 1)
    if data.classes is None or not 0 <= label < data.classes:
        raise InputError("label", label, f"a class of {data.name}")
    labels = np.asarray(data["label"]).copy()
    others = np.flatnonzero(labels != label)
    own = len(labels) - len(others)
    count = min(round(fraction * own / (1 - fraction)), len(others))
    order = np.asarray(jax.random.permutation(stream(stream(key, "data"), "split"), len(others)))
    labels[others[order[:count]]] = label
    return dataclasses.replace(data, arrays={**data.arrays, "label": labels})
