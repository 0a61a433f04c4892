"""Bananas and peppers by their length and weight: two generated sets with two classes."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.dataset import Dataset, holdout

#: Mean and standard deviation of length and weight.
Kind = tuple[tuple[float, float], tuple[float, float]]

#: Names of the classes.
CLASSES = ("pepper", "banana")

#: Fruits of each class.
COUNT = 150

#: Bananas are long: their length in cm exceeds 4 + weight in g / 20.
SLOPE = 20.0
LEAST = 4.0

#: Bananas are longer than 12 cm and heavier than 60 g, inside of a hyperbola.
CORNER = (12.0, 60.0)
PRODUCT = 60.0

#: Mean and standard deviation of length (cm) and weight (g) of bananas, bell peppers and chilies.
BANANA: Kind = ((16.0, 120.0), (2.6, 26.0))
BELL: Kind = ((9.0, 165.0), (1.9, 34.0))
CHILI: Kind = ((15.0, 38.0), (3.5, 15.0))


def fruits() -> tuple[Dataset, Dataset]:
    """Returns 300 bananas and bell peppers by length and weight, which a line separates.

        banana:    length > 4 + weight / 20

    Lengths are in cm and weights in g. They are normal, and fruits within 0.5 cm of the line are
    left out. A fruit on the wrong side is left out, too. The rows are in random order.

    Returns:
      `(train, test)`, with `input [N, 2]` float32, length and weight, and `label [N]` int32: 0 for
      peppers, 1 for bananas. One example in five of each class is in the test set.

    Example:
      >>> train, test = fruits()
      >>> train["input"].shape, len(test), train.class_names
      ((240, 2), 60, ('pepper', 'banana'))
    """
    random = np.random.RandomState(0)

    def margin(points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, " N"]:
        length, weight = points.T
        return (length - LEAST - weight / SLOPE) / 0.5

    bananas = _some(random, BANANA, COUNT, lambda points: margin(points) > 1)
    peppers = _some(random, BELL, COUNT, lambda points: margin(points) < -1)
    return _set("fruits", random, peppers, bananas)


def curved_fruits() -> tuple[Dataset, Dataset]:
    """Returns 300 bananas and peppers by length and weight, which a curve separates and no line.

        banana:    (length - 12) (weight - 60) > 60,    length > 12

    Half of the peppers are bell peppers, short and heavy. The others are chilies, light and often
    as long as a banana. So the bananas lie in a corner between both. Fruits near the curve are left
    out.

    Returns:
      `(train, test)` as `fruits`.

    Example:
      >>> train, test = curved_fruits()
      >>> train["input"].shape, train["label"].mean().item()
      ((240, 2), 0.5)
    """
    random = np.random.RandomState(0)

    def inside(points: Float[np.ndarray, "N 2"], factor: float) -> Bool[np.ndarray, " N"]:
        """Returns True inside of the hyperbola with a product that is larger by a factor."""
        length, weight = (points - CORNER).T
        return (length > 0) & (length * weight > factor * PRODUCT)

    bananas = _some(random, BANANA, COUNT, lambda points: inside(points, 1.3))
    bells = _some(random, BELL, COUNT // 2, lambda points: ~inside(points, 0.7))
    chilies = _some(random, CHILI, COUNT // 2, lambda points: ~inside(points, 0.7))
    return _set("curved_fruits", random, np.concatenate([bells, chilies]), bananas)


def _some(
    random: np.random.RandomState,
    kind: Kind,
    count: int,
    keep: Callable[[Float[np.ndarray, "N 2"]], Bool[np.ndarray, " N"]],
) -> Float[np.ndarray, "count 2"]:
    """Returns `count` points of a normal distribution, those for which `keep` is True."""
    mean, deviation = kind
    points = np.array(mean) + np.array(deviation) * random.standard_normal((20 * count, 2))
    positive = (points > (4.0, 8.0)).all(1)
    return points[positive & keep(points)][:count]


def _set(
    name: str,
    random: np.random.RandomState,
    peppers: Float[np.ndarray, "N 2"],
    bananas: Float[np.ndarray, "N 2"],
) -> tuple[Dataset, Dataset]:
    """Returns a training and a test set of fruits in random order."""
    points = np.concatenate([peppers, bananas])
    label = np.repeat(np.arange(2, dtype=np.int32), (len(peppers), len(bananas)))
    order = random.permutation(len(points))
    arrays = {"input": points[order].astype(np.float32), "label": label[order]}
    return holdout(Dataset(arrays, name, 2, class_names=CLASSES))
