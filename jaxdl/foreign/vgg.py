"""The layouts of VGG networks: torchvision, timm, Keras 2 and Keras 3."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdl.errors import InputError
from jaxdl.foreign.arrays import Stored, is_float, read_rows
from jaxdl.foreign.layouts import (
    Layout,
    Parameter,
    kernel,
    natural,
    outputs_of,
    photographs,
    vector,
)
from jaxdl.models.vgg import HEAD_SIZE, vgg

#: Numbers of convolutions of the five blocks, by the number of layers with weights.
DEPTHS = {
    "VGG11": (1, 1, 2, 2, 2),
    "VGG13": (2, 2, 2, 2, 2),
    "VGG16": (2, 2, 3, 3, 3),
    "VGG19": (2, 2, 4, 4, 4),
}

#: Means and deviations of ImageNet in RGB, for pixels in [0, 1]. Keras and the first weights, those
#: of Oxford, subtract their mean only, from pixels in [0, 255].
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
OXFORD_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
OXFORD_MEAN_OF_TORCHVISION = (0.48235, 0.45882, 0.40784)
UNSCALED = (1 / 255,) * 3

#: Dense layers of each source.
TORCHVISION_DENSE = ("classifier.0", "classifier.3", "classifier.6")
TIMM_DENSE = ("pre_logits.fc1", "pre_logits.fc2", "head.fc")
KERAS_DENSE = ("fc1", "fc2", "predictions")

#: Outputs of an edge detector on the maps of a VGG16, which the body does not have.
SIDES = frozenset(
    f"{name}/{i}" for name in ("dsn1", "dsn2", "dsn3", "dsn4", "dsn5", "fuse") for i in (0, 1)
)


class _Source(NamedTuple):
    """Names of the layers of a network in a file.

    Attributes:
      name: the library.
      order: "torch" or "keras", the order of axes.
      weight: ending of the name of a kernel.
      bias: ending of the name of a bias.
      blocks: for each block the names of its convolutions.
      dense: names of the dense layers; empty for a body.
    """

    name: str
    order: str
    weight: str
    bias: str
    blocks: list[list[str]]
    dense: tuple[str, ...]


def vgg_layout(arrays: Mapping[str, Stored], path: Path) -> Layout | None:
    """Returns the layout of a VGG network, or None for other arrays.

    Args:
      arrays: arrays of the file by name.
      path: the file, for messages.

    Raises:
      InputError: dense weights that fit no square of maps.

    Example:
      >>> vgg_layout({"w": np.zeros(3)}, Path("x")) is None
      True
    """
    if any(re.fullmatch(r"features\.\d+\.(weight|bias)", key) for key in arrays):
        return _torch(arrays, path)
    if any(re.fullmatch(r"block\d_conv\d/\d", key) for key in arrays):
        layers = {key.rpartition("/")[0] for key in arrays}
        name, blocks = _nearest(layers, lambda depths: _keras_names(depths))
        dense = KERAS_DENSE if layers & set(KERAS_DENSE) else ()
        return _layout(name, _Source("Keras", "keras", "/0", "/1", blocks, dense), arrays, path)
    if all(re.fullmatch(r"(.*/)?(conv2d|dense)(_\d+)?/\d", key) for key in arrays):
        return _by_creation(arrays, path)
    return None


def _torch(arrays: Mapping[str, Stored], path: Path) -> Layout:
    """Returns the layout of torchvision or timm; that of a body, if the classifier is NaN."""
    if any(key.endswith(".running_mean") for key in arrays):
        raise InputError(str(path), "a VGG network with BatchNorm", "one without, such as vgg16")
    layers = {key.rpartition(".")[0] for key in arrays}
    name, blocks = _nearest(layers, _torchvision_names)
    dense: tuple[str, ...] = ()
    library = "torchvision"
    for names in (TORCHVISION_DENSE, TIMM_DENSE):
        if layers & set(names):
            dense = names
    if dense == TIMM_DENSE:
        library = "timm"
    source = _Source(library, "torch", ".weight", ".bias", blocks, dense)
    keys = [f"{layer}{end}" for layer in dense for end in (".weight", ".bias")]
    if keys and all(key in arrays and _is_nan(f"{path}: {key}", arrays[key]) for key in keys):
        layout = _layout(name, source._replace(dense=()), arrays, path)
        preprocessing = photographs(OXFORD_MEAN_OF_TORCHVISION, UNSCALED)
        return layout._replace(
            name=f"{name} without a classifier, whose numbers are NaN",
            preprocessing=preprocessing,
            unused=frozenset(keys),
        )
    return _layout(name, source, arrays, path)


def _is_nan(key: str, array: Stored) -> bool:
    """Returns True if the first and the last row of an array are NaN."""
    if math.prod(array.shape) == 0 or not array.shape or not is_float(array):
        return False
    ends = [read_rows(key, array, slice(i, i + 1)) for i in {0, array.shape[0] - 1}]
    return all(np.isnan(end).all() for end in ends)


def _by_creation(arrays: Mapping[str, Stored], path: Path) -> Layout | None:
    """Returns the layout of Keras 3 without names of layers, whose numbers give the order."""
    layers = sorted({key.rpartition("/")[0] for key in arrays}, key=natural)
    convs = [layer for layer in layers if len(_shape(arrays, f"{layer}/0")) == 4]
    dense = tuple(layer for layer in layers if len(_shape(arrays, f"{layer}/0")) == 2)
    for name, depths in DEPTHS.items():
        if sum(depths) == len(convs) and len(dense) in (0, 3) and _is_vgg(arrays, convs):
            left = iter(convs)
            blocks = [list(itertools.islice(left, depth)) for depth in depths]
            return _layout(name, _Source("Keras", "keras", "/0", "/1", blocks, dense), arrays, path)
    return None


def _is_vgg(arrays: Mapping[str, Stored], convs: Sequence[str]) -> bool:
    return all(_shape(arrays, f"{layer}/0")[:2] == (3, 3) for layer in convs)


def _shape(arrays: Mapping[str, Stored], key: str) -> tuple[int, ...]:
    return tuple(arrays[key].shape) if key in arrays else ()


def _torchvision_names(depths: Sequence[int]) -> list[list[str]]:
    """Returns the names of convolutions: each has an activation, and each block a pooling."""
    number = 0
    blocks = []
    for depth in depths:
        blocks.append([f"features.{number + 2 * i}" for i in range(depth)])
        number += 2 * depth + 1
    return blocks


def _keras_names(depths: Sequence[int]) -> list[list[str]]:
    return [
        [f"block{block + 1}_conv{i + 1}" for i in range(depth)]
        for block, depth in enumerate(depths)
    ]


def _nearest(layers: set[str], names: object) -> tuple[str, list[list[str]]]:
    """Returns the network whose names of convolutions differ least from those of a file."""
    found = {}
    for name, depths in DEPTHS.items():
        blocks = names(depths)  # type: ignore[operator]
        expected = set(itertools.chain(*blocks))
        others = {each for each in layers if each.startswith(("features.", "block"))}
        found[name] = (len(expected ^ others), blocks)
    best = min(found, key=lambda name: found[name][0])
    return best, found[best][1]


def _layout(name: str, source: _Source, arrays: Mapping[str, Stored], path: Path) -> Layout:
    """Returns the layout of a network with these names, with widths as in the file."""
    axis = 0 if source.order == "torch" else -1
    widths = [
        [outputs_of(arrays, layer + source.weight, axis) for layer in block]
        for block in source.blocks
    ]
    parameters = []
    inputs = 3
    layers = itertools.chain(*source.blocks)
    for i, (layer, width) in enumerate(zip(layers, itertools.chain(*widths), strict=True)):
        place = f"params/conv_{i}"
        key = layer + source.weight
        weights = kernel(f"{place}/kernel", key, inputs, width, 3, source.order)
        if i == 0 and source.order == "keras":
            weights = weights._replace(is_flipped=True)
        parameters += [weights, vector(f"{place}/bias", layer + source.bias, width)]
        inputs = width
    preprocessing = photographs(MEAN, DEVIATION)
    if source.order == "keras":
        preprocessing = photographs(OXFORD_MEAN, UNSCALED)
    if not source.dense:
        model = vgg(widths, outputs=None)
        unused = SIDES & arrays.keys()
        title = f"{source.name}'s {name} without a head"
        return Layout(title, model, parameters, preprocessing, frozenset(unused))
    dense = [outputs_of(arrays, layer + source.weight, axis) for layer in source.dense]
    size = _head_size(source, arrays, inputs, path)
    parameters += _dense(source, dense, inputs, size)
    model = vgg(widths, dense[:-1], dense[-1], head_size=size)
    return Layout(f"{source.name}'s {name}", model, parameters, preprocessing)


def _head_size(source: _Source, arrays: Mapping[str, Stored], channels: int, path: Path) -> int:
    """Returns the height and width of the maps that the first dense layer reads."""
    key = source.dense[0] + source.weight
    if key not in arrays:
        return HEAD_SIZE
    shape = tuple(arrays[key].shape)
    if source.order == "keras":
        inputs = math.prod(shape[:-1])
    else:
        inputs = math.prod(shape[1:])
    size = math.isqrt(max(1, inputs // channels))
    if size**2 * channels != inputs:
        allowed = f"weights of S x S maps with {channels} channels"
        raise InputError(f"{path}: {key}", list(shape), allowed)
    return size


def _dense(source: _Source, widths: Sequence[int], channels: int, size: int) -> list[Parameter]:
    """Returns the parameters of the dense layers, the first of which reads maps."""
    parameters = []
    inputs = channels * size**2
    places = ("params/head/dense_0", "params/head/dense_1", "params/head/out")
    for place, layer, width in zip(places, source.dense, widths, strict=True):
        window = (size, size) if place.endswith("dense_0") else (1, 1)
        shape = (inputs, width)
        key = layer + source.weight
        weights = Parameter(f"{place}/kernel", key, shape, shape)
        if source.order == "torch":
            stored: tuple[int, ...] = (width, inputs)
            if source.name == "timm" and not place.endswith("out"):
                stored = (width, inputs // math.prod(window), *window)
            weights = Parameter(f"{place}/kernel", key, stored, shape, window)
        parameters += [weights, vector(f"{place}/bias", layer + source.bias, width)]
        inputs = width
    return parameters
