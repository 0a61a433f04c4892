"""The hidden units of a network, and the places of each unit in its arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.layer_names import named_leaves
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.nn.norm import norm_of


class Place(NamedTuple):
    """An axis of an array that has the units of a layer.

    Attributes:
      array: name of the array among the variables, such as `params/dense_0/kernel`.
      axis: number of the axis. It has P values for each of the U units, `[P, U]` in row-major
        order. P is above 1 in the first dense layer after maps, for their positions.

    Example: see `hidden_units`.
    """

    array: str
    axis: int


class Units(NamedTuple):
    """The hidden units of a layer.

    Attributes:
      name: name of the layer, such as `conv_0` or `head/dense_0`.
      size: U, the number of units.
      inward: places in the arrays of the layer and of its norm.
      outward: place in the kernel of the next layer.

    Example: see `hidden_units`.
    """

    name: str
    size: int
    inward: tuple[Place, ...]
    outward: Place


def hidden_units(model: nn.Module, variables: Mapping[str, Any]) -> list[Units]:
    """Returns the layers of hidden units that can be permuted, beginning at the input.

    Another order of the hidden units of a layer, in all of their places, is the same function.

    Args:
      model: an `MLP` or a `CNN`.
      variables: its parameters and collections, or their shapes.

    Returns:
      The units of each hidden layer.

    Raises:
      InputError: another module, skip connections, groups of channels or of a norm, no hidden
        layers, or variables of another network.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model = MLP((4,), 3)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 2)), train=False)
      >>> units = hidden_units(model, variables)[0]
      >>> units.name, units.size, [place.axis for place in units.inward], units.outward.array
      ('dense_0', 4, [0, 1], 'params/out/kernel')
    """
    layers = _layers(model)
    if len(layers) < 2:
        raise InputError("model", f"{type(model).__name__} without hidden layers", "one with some")
    arrays = {name: np.shape(x) for name, x in named_leaves(variables).items()}
    units = []
    for layer, following in zip(layers, layers[1:], strict=False):
        kernels = [f"params/{each.name}/kernel" for each in (layer, following)]
        for kernel in kernels:
            if kernel not in arrays:
                shown = f"no {kernel.removeprefix('params/')}"
                raise InputError("parameters", shown, "those of the model")
        inward = tuple(
            Place(name, len(shape) - 1)
            for name, shape in arrays.items()
            if _layer_of(name) in (layer.name, layer.norm)
        )
        outward = Place(kernels[1], len(arrays[kernels[1]]) - 2)
        found = Units(layer.name, arrays[kernels[0]][-1], inward, outward)
        _check_sizes(found, arrays)
        units.append(found)
    return units


def reorder(array: Any, axis: int, order: Int[np.ndarray, " U"]) -> Float[np.ndarray, "..."]:
    """Returns an array with the units along an axis in another order.

    Args:
      array: an array with P U values along the axis, `[P, U]` in row-major order.
      axis: number of the axis.
      order: `[U]`, the old index of each new unit.

    Example:
      >>> reorder(np.array([1, 2, 3, 4]), 0, np.array([1, 0])).tolist()
      [2, 1, 4, 3]
    """
    size = len(order)
    positions = np.arange(np.shape(array)[axis] // size)
    indices = np.add.outer(size * positions, order).ravel()
    return np.take(np.asarray(array), indices, axis)


def rows(array: Float[np.ndarray, "..."], axis: int, size: int) -> Float[np.ndarray, "N U"]:
    """Returns the numbers of each unit along an axis as a column.

    Example:
      >>> rows(np.array([[1, 2, 3, 4]]), 1, 2).tolist()
      [[1, 2], [3, 4]]
    """
    return np.moveaxis(array, axis, -1).reshape(-1, size)


class _Layer(NamedTuple):
    """The names of a layer and of its norm."""

    name: str
    norm: str


def _layers(model: nn.Module) -> list[_Layer]:
    """Returns the layers with kernels, from the input to the output."""
    if type(model) not in (MLP, CNN):
        allowed = "an MLP, or a CNN without skip connections and groups"
        raise InputError("model", type(model).__name__, allowed)
    fields: Any = model
    norm = norm_of(fields.norm)
    if norm is not None and norm.kind == "group":
        allowed = "another norm, such as 'batch' or 'layer'; groups divide units by their order"
        raise InputError("norm", "group", allowed)
    if type(model) is MLP:
        return _dense_layers(fields.hidden, "")
    layers = []
    for i, stage in enumerate(fields.stages):
        if stage.residual:
            reason = "False; a skip connection ties the units of several layers"
            raise InputError(f"stages[{i}].residual", True, reason)
        if stage.groups > 1:
            reason = "1; groups divide units by their order"
            raise InputError(f"stages[{i}].groups", stage.groups, reason)
        layers += [_Layer(f"conv_{name}", f"norm_{name}") for name in stage.names(i)]
    if fields.outputs is None:
        return layers
    return layers + _dense_layers(fields.dense, "head/")


def _dense_layers(hidden: Sequence[int], prefix: str) -> list[_Layer]:
    numbers = range(len(hidden))
    layers = [_Layer(f"{prefix}dense_{i}", f"{prefix}norm_{i}") for i in numbers]
    return [*layers, _Layer(f"{prefix}out", "")]


def _layer_of(array: str) -> str:
    """Returns the name of the layer of an array in a collection."""
    return array.partition("/")[2].rpartition("/")[0]


def _check_sizes(units: Units, arrays: Mapping[str, tuple[int, ...]]) -> None:
    for name, axis in (*units.inward, units.outward):
        shape = arrays[name]
        if not shape or not shape[axis] or shape[axis] % units.size:
            allowed = f"a multiple of the {units.size} units of {units.name} on axis {axis}"
            raise InputError(name, shape, allowed)
