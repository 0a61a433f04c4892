"""Fine-tuning on few labels: sets of source and target, and the layers that keep their weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.data import first_labels
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.layer_names import named_leaves
from jaxdl.network import Network
from jaxdl.recipes.images import photograph_tiles
from jaxdl.recipes.seeing import preparation

#: Name of the output layer of the library's classifiers.
OUTPUT = "out"


def half_of_classes(data: Dataset, second: bool) -> Dataset:
    """Returns the examples of the first or of the second half of the classes.

    Args:
      data: set with K classes.
      second: if True, the classes from K // 2 on, which are then numbered from 0.

    Raises:
      InputError: fewer than 4 classes, so that a half would have a single one.

    Example:
      >>> data = Dataset({"input": np.arange(4.0), "label": np.arange(4)}, "four", 4)
      >>> half_of_classes(data, second=True)["label"].tolist()
      [0, 1]
    """
    if data.classes is None or data.classes < 4:
        raise InputError("data", data.name, "a set with at least 4 classes, two for each half")
    middle = data.classes // 2
    label = np.asarray(data["label"])
    half = data.take(np.flatnonzero((label >= middle) == second))
    first = middle * second
    classes = data.classes - middle if second else middle
    names = data.class_names
    if names is not None:
        names = names[first : first + classes]
    arrays = {**half.arrays, "label": np.asarray(half["label"]) - first}
    return dataclasses.replace(half, arrays=arrays, classes=classes, class_names=names)


def reduced(data: Dataset, shape: tuple[int, ...]) -> Dataset:
    """Returns images of a smaller size, whose pixels are means of squares.

    The largest center whose sides are the same multiple of the new ones is averaged.

    Args:
      data: set of images `[N, H, W, C]`.
      shape: new shape of an image, `[h, w, C]`.

    Raises:
      InputError: a shape that is larger, or has other channels.

    Example:
      >>> data = Dataset({"input": np.ones((1, 28, 28, 1), np.float32)}, "white")
      >>> reduced(data, (8, 8, 1))["input"].shape
      (1, 8, 8, 1)
    """
    images = np.asarray(data["input"])
    given = images.shape[1:]
    factor = min(given[0] // shape[0], given[1] // shape[1])
    if factor < 1 or given[2:] != tuple(shape[2:]):
        allowed = f"at most {list(given)}, the shape of {data.name}, with as many channels"
        raise InputError("shape", list(shape), allowed)
    height, width = shape[:2]
    top = (given[0] - factor * height) // 2
    left = (given[1] - factor * width) // 2
    center = images[:, top : top + factor * height, left : left + factor * width]
    blocks = center.reshape(len(images), height, factor, width, factor, -1)
    return dataclasses.replace(data, arrays={**data.arrays, "input": blocks.mean((2, 4))})


def photograph_regions(size: int = 64) -> tuple[Dataset, Dataset]:
    """Returns squares of twelve regions of two photographs, whose regions are the classes.

    Each photograph is enlarged to twice its size and divided into two rows and three columns.
    Squares do not overlap. Every third square of a region is in the test set.

    Args:
      size: height and width of a square in pixels.

    Returns:
      `(train, test)`, with `input [N, size, size, 3]` in [0, 1] and `label [N]`.

    Source: scikit-learn, `load_sample_images`, CC BY 2.0.

    Example:
      >>> train, test = photograph_regions()
      >>> len(train), len(test), train.classes
      (288, 144, 12)
    """
    squares = photograph_tiles(size, 2.0)
    names: list[str] = []
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for photograph, tiles in zip(("temple", "flower"), squares, strict=True):
        rows = np.array_split(np.arange(tiles.shape[0] // 2 * 2), 2)
        columns = np.array_split(np.arange(tiles.shape[1] // 3 * 3), 3)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                region = tiles[row][:, column].reshape(-1, size, size, 3)
                for k, square in enumerate(region):
                    part = "test" if k % 3 == 1 else "train"
                    parts[part].append(square)
                    labels[part].append(len(names))
                names.append(
                    f"{photograph} {('upper', 'lower')[i]} {('left', 'middle', 'right')[j]}"
                )
    train, test = (
        Dataset(
            {"input": np.stack(parts[part]), "label": np.array(labels[part], np.int32)},
            "photographs",
            len(names),
            class_names=tuple(names),
        )
        for part in ("train", "test")
    )
    return train, test


def prepared_for(net: Network, data: Dataset, path: str) -> Dataset:
    """Returns images in [0, 1] as the inputs that a loaded network reads.

    Args:
      net: the network.
      data: set of images `[N, H, W, C]`.
      path: path of the network, for the message.

    Raises:
      InputError: images with other channels.

    Example: see `experiments/fine_tune.py`.
    """
    given = data["input"].shape[1:]
    shape = net.fields["input"].shape
    if len(shape) != 3 or given[-1] != shape[-1]:
        allowed = f"images with {shape[-1]} channels, as {path} reads"
        raise InputError("data", f"{data.name} {list(given)}", allowed)
    prepare = preparation(net.preprocessing)
    if prepare is None:
        return data
    images = np.asarray(prepare(jnp.asarray(data["input"])))
    return dataclasses.replace(data, arrays={**data.arrays, "input": images})


def few_repeated(data: Dataset, count: int, size: int) -> Dataset:
    """Returns few examples again and again, so that sets of different counts have one size.

    Equal sizes have equal steps in an epoch, and one compiled program.

    Args:
      data: set with classes.
      count: number of examples, see `jaxdl.data.first_labels`.
      size: number of rows of the result.

    Example:
      >>> data = Dataset({"input": np.arange(4.0), "label": np.arange(4) % 2}, "four", 2)
      >>> few_repeated(data, 2, 5)["input"].tolist()
      [0.0, 1.0, 0.0, 1.0, 0.0]
    """
    few = first_labels(data, count)
    return few.take(np.resize(np.arange(count), size))


def head_and_body(params: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Returns the name of the head of a network, and the names of the layers below it.

    The head is the part of the network with the output layer. It is new for a new task.

    Args:
      params: parameters of a classifier of the library.

    Returns:
      The head, such as `head` or `out`, and the names of all layers outside of it.

    Raises:
      InputError: no layer or several are named `out`, or there is none below the head.

    Example:
      >>> head_and_body({"conv_0": {"bias": 0}, "head": {"out": {"bias": 0}}})
      ('head', ('conv_0',))
    """
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in named_leaves(params)))
    heads = [name.partition("/")[0] for name in layers if name.rpartition("/")[2] == OUTPUT]
    body = tuple(name for name in layers if name.partition("/")[0] not in heads)
    if len(heads) != 1 or not body:
        allowed = f"a network with one layer named {OUTPUT!r}, and layers below its head"
        raise InputError("layers", layers, allowed)
    return heads[0], body


def gains(
    curves: Mapping[str, Float[np.ndarray, "S L"]], scratch: str
) -> dict[str, Float[np.ndarray, " L"]]:
    """Returns the mean gain of each method over a training from scratch, in points.

    Example:
      >>> gains({"scratch": np.array([[0.5]]), "frozen": np.array([[0.75]])}, "scratch")
      {'frozen': array([25.])}
    """
    start = curves[scratch].mean(0)
    return {
        name: 100 * (values.mean(0) - start) for name, values in curves.items() if name != scratch
    }
