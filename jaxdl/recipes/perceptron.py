"""Rosenblatt's perceptron beside softmax regression: sets, training and pictures."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxdl import classic, data, plots
from jaxdl.classic import Cycle, Perceptron
from jaxdl.data.dataset import Dataset
from jaxdl.rng import root, stream

#: Names of the sets, and in words.
WORDS = {"line": "a line", "curve": "a curve (squares)", "xor": "XOR"}

#: Deviation of the points of XOR from the four corners.
NOISE = 0.15


def squares(x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
    """Returns features with all their products, so that a line of them is a curve.

    Example:
      >>> squares(np.array([[2.0, 3.0]])).tolist()
      [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    from sklearn.preprocessing import PolynomialFeatures

    return PolynomialFeatures(2, include_bias=False).fit_transform(x)


def xor() -> tuple[Dataset, Dataset]:
    """Returns 240 points around the corners of a square; opposite corners have the same class.

    The first four points of the training set are the corners themselves.

    Returns:
      `(train, test)`, with `input [N, 2]` float32 and `label [N]` int32, 1 if the signs differ.

    Example:
      >>> train, test = xor()
      >>> train["input"][:4].tolist(), train["label"][:4].tolist()
      ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    random = np.random.RandomState(0)
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    label = np.array([0, 1, 1, 0], np.int32)
    points = np.tile(corners, (60, 1)) + NOISE * random.standard_normal((240, 2))
    points[:4] = corners
    arrays = {"input": points.astype(np.float32), "label": np.tile(label, 60)}
    names = ("equal signs", "different signs")
    whole = Dataset(arrays, "xor", 2, class_names=names)
    return whole.take(np.arange(200)), whole.take(np.arange(200, 240))


class Fruits(NamedTuple):
    """A set of points in the plane, with the features that classifiers read.

    Attributes:
      sets: `train` and `test`. `input [N, D]` has mean 0 and variance 1 in the training set.
      plane: `{train, test: [N, 2]}`, the points in their units.
      axes: words for the two axes.
      squared: True if the features contain squares and products.
    """

    sets: dict[str, Dataset]
    plane: dict[str, np.ndarray]
    axes: tuple[str, str]
    squared: bool

    def features(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N D"]:
        """Returns the features of points in the plane."""
        (mean, std) = self.sets["train"].scaling["input"][0]
        return (_expand(np.asarray(points, np.float64), self.squared) - mean) / std

    def shown(self, part: str = "train") -> plots.TwoClasses:
        """Returns a set for pictures."""
        each = self.sets[part]
        assert each.class_names is not None
        names = (each.class_names[0], each.class_names[1])
        return plots.TwoClasses(
            self.plane[part], np.asarray(each["label"]), self.features, names, self.axes
        )


def _expand(points: np.ndarray, squared: bool) -> np.ndarray:
    if squared:
        return squares(points)
    return points


def two_classes(name: str) -> Fruits:
    """Returns the set of a name: `line` and `curve` are fruits, and `xor` a square.

    Example:
      >>> found = two_classes("curve")
      >>> found.sets["train"]["input"].shape, found.axes
      ((240, 5), ('length in cm', 'weight in g'))
    """
    axes = ("length in cm", "weight in g")
    if name == "xor":
        train, test = xor()
        axes = ("first input", "second input")
    else:
        train, test = data.load({"line": "fruits", "curve": "curved_fruits"}[name])
    plane = {"train": np.asarray(train["input"]), "test": np.asarray(test["input"])}
    expanded = []
    for each in (train, test):
        values = _expand(np.asarray(each["input"], np.float64), name == "curve")
        arrays = {**each.arrays, "input": values.astype(np.float32)}
        expanded.append(dataclasses.replace(each, arrays=arrays))
    train, test = data.standardize(*expanded)
    return Fruits({"train": train, "test": test}, plane, axes, name == "curve")


class Trained(NamedTuple):
    """A perceptron of one order of the examples.

    Attributes:
      found: the perceptron.
      order: `[N]`, rows of the training set in their order.
      accuracy: share of the test set that is correct.
    """

    found: Perceptron
    order: np.ndarray
    accuracy: float

    def steps(self) -> tuple[Float[np.ndarray, "K1 D1"], np.ndarray]:
        """Returns the line at the start and after each mistake, and the rows of the mistakes."""
        count = int(self.found.mistakes)
        rows = np.asarray(self.found.examples)[:count]
        return np.asarray(self.found.lines)[: count + 1], self.order[rows]


def train_perceptrons(
    sets: dict[str, Dataset], seeds: Sequence[int], epochs: int, max_mistakes: int
) -> list[Trained]:
    """Trains a perceptron for each seed, which determines the order of the examples.

    Args:
      sets: `train` and `test` with two classes.
      seeds: seeds; the examples of seed 0 are in the order of the set.
      epochs: largest number of passes.
      max_mistakes: largest number of mistakes.

    Example:
      >>> sets = two_classes("line").sets
      >>> found = train_perceptrons(sets, [0, 1], 100, 1000)
      >>> [bool(each.found.converged) for each in found]
      [True, True]
    """
    train = sets["train"]
    inputs = np.asarray(train["input"])
    signs = 2 * np.asarray(train["label"]) - 1
    test = np.asarray(sets["test"]["input"])
    trained = []
    for seed in seeds:
        order = np.arange(len(inputs))
        if seed:
            key = stream(root(seed), "data")
            order = np.asarray(jax.random.permutation(key, len(inputs)))
        found = classic.perceptron(
            inputs[order], signs[order], epochs=epochs, max_mistakes=max_mistakes
        )
        right = np.asarray(found.predict(test)) == 2 * np.asarray(sets["test"]["label"]) - 1
        trained.append(Trained(found, order, float(right.mean())))
    return trained


def xor_cycle() -> tuple[Perceptron, Cycle]:
    """Trains a perceptron on the four corners of XOR, and finds the cycle of its weights.

    Example:
      >>> xor_cycle()[1]
      Cycle(start=0, epochs=1, mistakes=4)
    """
    train, _ = xor()
    signs = 2 * np.asarray(train["label"])[:4] - 1
    found = classic.perceptron(np.asarray(train["input"])[:4], signs, max_mistakes=400)
    cycle = classic.find_cycle(found)
    assert cycle is not None
    return found, cycle


def softmax_line(params: Any) -> Float[np.ndarray, " D1"]:
    """Returns the line on which both classes of softmax regression have the same probability.

        w = w_1 - w_0,    b = b_1 - b_0

    Args:
      params: parameters of `MLP((), 2)`.

    Example:
      >>> softmax_line({"out": {"kernel": np.array([[1.0, 3.0]]), "bias": np.zeros(2)}}).tolist()
      [2.0, 0.0]
    """
    kernel = np.asarray(params["out"]["kernel"], np.float64)
    bias = np.asarray(params["out"]["bias"], np.float64)
    return np.append(kernel[:, 1] - kernel[:, 0], bias[1] - bias[0])


def draw_steps(fruits: Fruits, trained: Trained, folder: Path, title: str, end: str) -> None:
    """Draws the line mistake by mistake: `steps.gif`, and `steps.png` with some of them."""
    lines, rows = trained.steps()
    shown = fruits.shown()
    plots.perceptron_sheet(shown, lines, rows, folder / "steps.png", title=title)
    plots.perceptron_gif(shown, lines, rows, folder / "steps.gif", end=end)


def draw_cycle(folder: Path) -> None:
    """Draws the cycle of XOR: `cycle.png`, and `cycle.gif` with two rounds."""
    train, _ = xor()
    found, cycle = xor_cycle()
    corners = plots.TwoClasses(
        np.asarray(train["input"])[:4],
        np.asarray(train["label"])[:4],
        names=("equal signs", "different signs"),
        axes=("first input", "second input"),
    )
    start = int(found.totals[cycle.start])
    end = start + cycle.mistakes
    lines = np.asarray(found.lines)
    rows = np.asarray(found.examples)
    plots.perceptron_sheet(
        corners,
        lines[start : end + 1],
        rows[start:end],
        folder / "cycle.png",
        title=f"XOR: after {cycle.mistakes} mistakes the weights are those of the start again",
    )
    last = end + cycle.mistakes
    plots.perceptron_gif(
        corners,
        lines[: last + 1],
        rows[:last],
        folder / "cycle.gif",
        end=f"the same {cycle.mistakes} mistakes again, without end",
    )
