"""A planted mark as the ground truth of explanations: is it used, and do methods report it?"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.dataset import Dataset
from jaxdl.data.marks import Mark, add_strays, plant
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.recipes.methods import Classifier, Explained, Images, Maps
from jaxdl.rng import root
from jaxdl.runs.options import RunOptions

#: The networks: the mark in all images of one class, in none, or in all images.
Network = Literal["marked", "twin", "everywhere"]

#: A method reports the mark if its share there is at least this multiple of the area's.
FACTOR = 3.0


@dataclasses.dataclass(frozen=True)
class MarkOptions:
    """Options of the planted mark."""

    marked_class: int | None = None
    """Class whose images have the mark. Default: the last one."""
    strays: float = 0.2
    """Fraction of the images with that label that come from other classes, in [0, 1)."""
    mark_size: int | None = None
    """Side of the mark in pixels. Default: 3/28 of the images' side, at least 2."""
    mark_corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "top_right"
    """Corner that the mark is near to."""
    mark_margin: int | None = None
    """Pixels between the mark and both edges. Default: 2/28 of the images' side, rounded down."""
    mark_color: tuple[float, ...] = (1.0,)
    """Color of the mark in [0, 1], one number or one for each channel."""
    mark_strength: float = 1.0
    """Weight of the color in (0, 1]; 1 replaces the pixels."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        if self.marked_class is not None:
            at_least("marked_class", self.marked_class, 0)
        in_range("strays", self.strays, 0, 1)
        for name in ("mark_size", "mark_margin"):
            value = getattr(self, name)
            if value is not None:
                at_least(name, value, int(name == "mark_size"))
        for value in self.mark_color:
            if not 0 <= value <= 1:
                raise InputError("mark_color", value, "a number in [0, 1]")
        if not 0 < self.mark_strength <= 1:
            raise InputError("mark_strength", self.mark_strength, "a number in (0, 1]")

    def mark(self, shape: tuple[int, ...]) -> Mark:
        """Returns the mark for images of a shape; raises InputError if it does not fit."""
        side = min(shape[:2])
        size = self.mark_size
        if size is None:
            size = max(2, round(side * 3 / 28))
        margin = self.mark_margin
        if margin is None:
            margin = side * 2 // 28
        color: Any = self.mark_color
        if len(color) == 1:
            (color,) = color
        if np.ndim(color) and len(color) != shape[-1]:
            allowed = f"one number, or {shape[-1]}, one for each channel"
            raise InputError("mark_color", self.mark_color, allowed)
        mark = Mark(size, self.mark_corner, margin, color, self.mark_strength)
        mark.box(shape)
        return mark

    def label(self, classes: int) -> int:
        """Returns the class that has the mark; raises InputError if the set has no such class."""
        if self.marked_class is None:
            return classes - 1
        if self.marked_class >= classes:
            raise InputError("marked_class", self.marked_class, f"a class in [0, {classes})")
        return self.marked_class


class Planted(NamedTuple):
    """Sets with a planted mark.

    Attributes:
      sets: by part, `train`, `test` and perhaps `validation`.
      others: test images of other classes than the marked one, with the mark.
      clean: the test set without marks.
      mark: the mark.
      label: the marked class.
      near: `[H, W]`, True within some pixels of the mark: 2 pixels in an image of 28.

    Example: see `planted_sets`.
    """

    sets: dict[str, Dataset]
    others: Images
    clean: Dataset
    mark: Mark
    label: int
    near: Bool[np.ndarray, "H W"]


def planted_sets(sets: Mapping[str, Dataset], network: Network, options: MarkOptions) -> Planted:
    """Returns the sets of a network: the mark in one class, in none, or in all.

    Only the training set of "marked" has strays.

    Args:
      sets: sets of images with classes, by part.
      network: "marked", "twin" or "everywhere".
      options: options of the mark.

    Raises:
      InputError: a mark that does not fit the images.

    Example:
      >>> from jaxdl.data import load
      >>> train, test = load("digits")
      >>> planted = planted_sets({"train": train, "test": test}, "marked", MarkOptions())
      >>> planted.label, planted.mark.box((8, 8)), float(planted.near.mean())
      (9, (0, 2, 6, 8), 0.140625)
    """
    test = sets["test"]
    assert test.classes is not None
    shape = test["input"].shape[1:]
    mark = options.mark(shape)
    label = options.label(test.classes)
    classes: Any = {"marked": label, "twin": (), "everywhere": None}[network]
    results = {}
    for part, data in sets.items():
        mixed = data
        if network == "marked" and part == "train" and options.strays:
            mixed = add_strays(data, label, options.strays, root(0))
        results[part] = plant(mixed, mark, classes)
    is_other = np.asarray(test["label"]) != label
    others = mark.draw(np.asarray(test["input"])[is_other])
    distance = max(1, round(min(shape[:2]) * 2 / 28))
    return Planted(results, others, test, mark, label, mark.near(shape, distance))


def share_near(maps: Maps, near: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, " N"]:
    """Returns the share of positive attribution at some pixels.

        share = sum_{p near} max(m_p, 0) / sum_p max(m_p, 0),   m_p the sum over channels

    A map without positive values has the share 0.

    Args:
      maps: `[N, H, W, D]`.
      near: `[H, W]`, True for the pixels.

    Returns:
      `[N]` in [0, 1].

    Example:
      >>> maps = np.array([3.0, 1.0, -5.0, 0.0]).reshape(1, 2, 2, 1)
      >>> share_near(maps, np.array([[True, False], [True, False]])).tolist()
      [0.75]
    """
    positive = np.maximum(np.asarray(maps, np.float64).sum(-1), 0)
    total = positive.sum((1, 2))
    return positive[:, near].sum(1) / np.where(total > 0, total, 1)


def points_near(maps: Maps, near: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, " N"]:
    """Returns True for maps whose largest value is positive and lies at some pixels.

    Of several largest values the first one counts.

    Example:
      >>> maps = np.array([3.0, 1.0, -5.0, 0.0]).reshape(1, 2, 2, 1)
      >>> points_near(maps, np.array([[False, True], [True, True]])).tolist()
      [False]
    """
    flat = np.asarray(maps, np.float64).sum(-1).reshape(len(maps), -1)
    largest = flat.argmax(1)
    return near.ravel()[largest] & (flat.max(1) > 0)


def is_reported(
    share: float, area: float, edges: float | None = None, twin: float | None = None
) -> bool:
    """Returns True if a method reports the mark.

        share >= 3 area   and   share > that of Sobel's edges   and   share > 2 that of the twin

    Args:
      share: mean share of positive attribution near the mark.
      area: share of the pixels near the mark.
      edges: mean share of the edges of the same images; None if not measured.
      twin: mean share of the method for the network without marks; None if not measured.

    Example:
      >>> is_reported(0.7, 0.06, 0.2, 0.1), is_reported(0.15, 0.06), is_reported(0.3, 0.06, 0.4)
      (True, False, False)
    """
    found = share >= FACTOR * area
    if edges is not None:
        found &= share > edges
    if twin is not None:
        found &= share > 2 * twin
    return bool(found)


def mark_metrics(net: Classifier, planted: Planted, found: Explained) -> dict[str, float]:
    """Returns what shows that a network uses a mark, and what each method attributes to it.

    Args:
      net: the classifier.
      planted: sets with the mark.
      found: explanations for the marked class of images from `planted.others`.

    Returns:
      Metrics by name. `uses_mark` is the fraction of test images of other classes that are
      classified as the marked class when they have the mark, and `without_mark` that of the same
      images without it. `clean/accuracy` is the accuracy without marks. `share_in_mark/...` and
      `points_at_mark/...` are means over images by method, and `area` is the share of pixels.
    """
    is_other = np.asarray(planted.clean["label"]) != planted.label
    clean = net.probabilities(np.asarray(planted.clean["input"])).argmax(1)
    with_mark = net.probabilities(planted.others).argmax(1)
    metrics = {
        "clean/accuracy": float((clean == np.asarray(planted.clean["label"])).mean()),
        "uses_mark": float((with_mark == planted.label).mean()),
        "without_mark": float((clean[is_other] == planted.label).mean()),
        "area": float(planted.near.mean()),
    }
    for name, maps in found.maps.items():
        metrics[f"share_in_mark/{name}"] = float(share_near(maps, planted.near).mean())
        metrics[f"points_at_mark/{name}"] = float(points_near(maps, planted.near).mean())
    return metrics
