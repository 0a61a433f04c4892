"""Classification sets that are always there: no files, no network, the same bytes everywhere."""

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.dataset import Dataset, holdout


def digits() -> tuple[Dataset, Dataset]:
    """Handwritten digits: 1,797 grey images of 8x8 pixels, 10 classes.

    Returns:
      `(train, test)`, `input [N, 8, 8, 1]` float32 in [0, 1], `label [N]` int32; one example in
      five of each class is in the test set.

    Example:
      >>> train, test = digits()
      >>> train["input"].shape, len(test)
      ((1438, 8, 8, 1), 359)

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998; the test part of it, as scikit-learn ships it.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images / 16).astype(np.float32)[..., None]
    return holdout(Dataset({"input": images, "label": found.target.astype(np.int32)}, "digits", 10))


def photos() -> tuple[Dataset, Dataset]:
    """Pieces of two photographs, a temple and a flower: 2,400 colour images of 32x32 pixels, 2 classes.

    Pieces of the test set are from the right quarter of each photograph, which training does not see. The photographs
    are JPEG files; the last bits of a pixel may depend on who decodes them.

    Returns:
      `(train, test)`, `input [N, 32, 32, 3]` float32 in [0, 1], `label [N]` int32: 0 the temple, 1 the flower.

    Example:
      >>> train, test = photos()
      >>> train["input"].shape, len(test)
      ((2000, 32, 32, 3), 400)

    Source: the sample images of scikit-learn, by courtesy of their authors CC-BY.
    """
    from sklearn.datasets import load_sample_images

    draw = np.random.RandomState(0)
    side = 32
    # Half as large, so that a piece shows something.
    halves = [
        each[:426].reshape(213, 2, 320, 2, 3).mean((1, 3)) / 255
        for each in load_sample_images().images
    ]

    def pieces(first: int, last: int, count: int) -> Dataset:
        found = []
        for half in halves:
            tops = draw.randint(0, half.shape[0] - side + 1, count)
            lefts = draw.randint(first, last - side + 1, count)
            found += [half[y : y + side, x : x + side] for y, x in zip(tops, lefts, strict=True)]
        label = np.repeat(np.arange(2, dtype=np.int32), count)
        return Dataset({"input": np.stack(found).astype(np.float32), "label": label}, "photos", 2)

    return pieces(0, 240, 1000), pieces(240, 320, 200)


def moons() -> tuple[Dataset, Dataset]:
    """Two half circles, one inside the other's opening: 2,000 points of the plane, 2 classes.

        class 0: (cos t, sin t) + 0.15 e        class 1: (1 - cos t, 1/2 - sin t) + 0.15 e

    with t uniform in [0, pi] and e standard normal.

    Returns:
      `(train, test)`, `input [N, 2]` float32, `label [N]` int32; one example in five of each
      class is in the test set.

    Example:
      >>> train, test = moons()
      >>> train["input"].shape, len(test)
      ((1600, 2), 400)
    """
    draw = np.random.RandomState(0)
    t = draw.uniform(0, np.pi, (2, 1000))
    upper = np.stack([np.cos(t[0]), np.sin(t[0])], -1)
    lower = np.stack([1 - np.cos(t[1]), 0.5 - np.sin(t[1])], -1)
    points = np.concatenate([upper, lower])
    return _points(
        "moons", points + 0.15 * draw.standard_normal(points.shape), np.arange(2000) // 1000
    )


def spirals() -> tuple[Dataset, Dataset]:
    """Three interleaved arms: 3,000 points of the plane, 3 classes.

        class k: r (cos a, sin a),    a = 2 pi k / 3 + 4 r + 0.2 e

    with r uniform in [0, 1] and e standard normal: an arm turns by 4 radians.

    Returns:
      `(train, test)`, `input [N, 2]` float32, `label [N]` int32; one example in five of each
      class is in the test set.

    Example:
      >>> train, test = spirals()
      >>> train["input"].shape, len(test)
      ((2400, 2), 600)

    Source: after the spirals in Karpathy, "CS231n: Neural Networks Case Study", Stanford, 2015.
    """
    draw = np.random.RandomState(0)
    label = np.arange(3000) // 1000
    radius = draw.uniform(0, 1, 3000)
    angle = 2 * np.pi * label / 3 + 4 * radius + 0.2 * draw.standard_normal(3000)
    return _points("spirals", radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1), label)


def _points(
    name: str, points: Float[np.ndarray, "N 2"], label: Int[np.ndarray, " N"]
) -> tuple[Dataset, Dataset]:
    arrays = {"input": points.astype(np.float32), "label": label.astype(np.int32)}
    return holdout(Dataset(arrays, name, int(label.max()) + 1))
