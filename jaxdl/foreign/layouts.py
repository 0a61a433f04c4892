"""The layouts of foreign weights: for each parameter of a network, the array that it comes from."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Float

from jaxdl.data.preprocessing import CenterCrop, Preprocessing
from jaxdl.errors import InputError
from jaxdl.foreign.arrays import RawArray, Stored, check_total, copy_rows, is_float, shown

#: Most names in a message.
SHOWN = 40


class Parameter(NamedTuple):
    """A parameter of a network, and its array in a file.

    Attributes:
      path: its place in the variables, such as `params/conv_0/kernel`.
      key: name of the array in the file.
      source: shape of the array in the file.
      shape: shape of the parameter.
      window: height and width of the window of a kernel of PyTorch, whose outputs are the first
        axis. None for arrays in the order of the parameter.
      is_flipped: True for a kernel of BGR images.
    """

    path: str
    key: str
    source: tuple[int, ...]
    shape: tuple[int, ...]
    window: tuple[int, int] | None = None
    is_flipped: bool = False


class Layout(NamedTuple):
    """A network, the arrays of its parameters, and the preprocessing of its images.

    Attributes:
      name: a name for messages.
      model: the network.
      parameters: all parameters of the network.
      preprocessing: scaling and crop of images.
      unused: names of arrays that the network does not have.
    """

    name: str
    model: nn.Module
    parameters: list[Parameter]
    preprocessing: Preprocessing
    unused: frozenset[str] = frozenset()


def photographs(
    mean: Sequence[float], deviation: Sequence[float], filter: str = "bilinear"
) -> Preprocessing:
    """Returns the preprocessing of photographs in [0, 1]: 224 pixels of 256, then a scaling.

        x' = (x - mean) / deviation,    for each channel in the order RGB

    Args:
      mean: one number for each channel.
      deviation: one number for each channel.
      filter: filter of the resizing, see `CenterCrop`.

    Example:
      >>> photographs((0.5,) * 3, (0.25,) * 3)(np.ones((1, 1, 1, 3), np.float32)).tolist()
      [[[[2.0, 2.0, 2.0]]]]
    """
    steps = ((np.array(mean, np.float64), np.array(deviation, np.float64)),)
    return Preprocessing(
        {"input": steps}, range=(0.0, 1.0), crop=CenterCrop(224, 256, filter=filter)
    )


def checked(layout: Layout, arrays: Mapping[str, Stored], path: Path) -> Layout:
    """Returns a layout; raises unless a file has just its arrays, with these shapes.

    Args:
      layout: the layout.
      arrays: arrays of the file by name.
      path: the file.

    Raises:
      InputError: arrays that are missing, that are left over, of another shape, or no floats.

    Example:
      >>> checked(Layout("VGG", nn.Dense(1), [], Preprocessing()), {"w": np.zeros(3)}, Path("x"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got 'w', allowed: the arrays of VGG; these are left over
    """
    keys = [each.key for each in layout.parameters]
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise InputError(f"{path}: {_listed(missing)}", "no array", f"all arrays of {layout.name}")
    left = sorted(arrays.keys() - set(keys) - layout.unused)
    if left:
        allowed = f"the arrays of {layout.name}; these are left over"
        raise InputError(str(path), _listed(left), allowed)
    for each in layout.parameters:
        array = arrays[each.key]
        if tuple(array.shape) != each.source or not is_float(array):
            allowed = f"floats {list(each.source)}, as {layout.name} needs"
            raise InputError(f"{path}: {each.key}", shown(array), allowed)
    check_total(path, [arrays[key] for key in keys])
    return layout


def read_variables(layout: Layout, arrays: Mapping[str, Stored], path: Path) -> dict[str, Any]:
    """Returns the variables of a network, whose arrays are read one after the other.

    Args:
      layout: a checked layout.
      arrays: arrays of the file by name.
      path: the file, for messages.

    Returns:
      `{"params": ..., collection: ...}`, float32 in memory.

    Raises:
      InputError: numbers that are not finite.

    Example:
      >>> layout = Layout("x", nn.Dense(1), [Parameter("params/bias", "b", (2,), (2,))],
      ...     Preprocessing())
      >>> read_variables(layout, {"b": np.zeros(2)}, Path("x"))
      {'params': {'bias': array([0., 0.], dtype=float32)}}
    """
    variables: dict[str, Any] = {}
    for each in layout.parameters:
        array = _read(each, arrays[each.key], f"{path}: {each.key}")
        *folders, name = each.path.split("/")
        place = variables
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = array
    return variables


def _read(parameter: Parameter, source: Stored, name: str) -> Float[np.ndarray, "..."]:
    """Returns an array of a file in the order of its parameter."""
    if isinstance(source, RawArray) and source.strides is not None:
        # Rows that do not lie one after the other are read together.
        source = source[:]
    target = np.empty(parameter.shape, np.float32)
    if parameter.window is None:
        copy_rows(name, source, target, to_last_axes=False)
    else:
        outputs = parameter.source[0]
        inputs = math.prod(parameter.source[1:]) // math.prod(parameter.window)
        windows = target.reshape(*parameter.window, inputs, outputs)
        copy_rows(name, Rows(source, (inputs, *parameter.window)), windows, to_last_axes=True)
    if parameter.is_flipped:
        target[...] = target[:, :, ::-1].copy()
    return target


@dataclasses.dataclass(frozen=True)
class Rows:
    """An array of a file whose rows have another shape.

    Attributes:
      array: `[O, ...]`.
      row: shape of a row.
    """

    array: Stored
    row: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """`[O, *row]`."""
        return (self.array.shape[0], *self.row)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array."""
        return self.array.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        block = np.asarray(self.array[rows])
        return block.reshape(-1, *self.row)


def kernel(
    path: str, key: str, inputs: int, outputs: int, size: int, order: str = "torch"
) -> Parameter:
    """Returns the kernel of a convolution, `[size, size, inputs, outputs]`.

    Args:
      path: place of the kernel in the variables.
      key: name of the array.
      inputs: number of input channels of a kernel, 1 for a depthwise convolution.
      outputs: number of kernels.
      size: height and width.
      order: "torch" for `[outputs, inputs, size, size]`, "keras" for the order of the parameter.

    Example:
      >>> kernel("params/conv_0/kernel", "features.0.weight", 3, 8, 5).source
      (8, 3, 5, 5)
    """
    shape = (size, size, inputs, outputs)
    if order == "keras":
        return Parameter(path, key, shape, shape)
    return Parameter(path, key, (outputs, inputs, size, size), shape, (size, size))


def vector(path: str, key: str, size: int) -> Parameter:
    """Returns a bias or another parameter with one axis.

    Example:
      >>> vector("params/conv_0/bias", "features.0.bias", 8).shape
      (8,)
    """
    return Parameter(path, key, (size,), (size,))


def outputs_of(arrays: Mapping[str, Stored], key: str, axis: int = 0) -> int:
    """Returns the size of an axis of an array, and 1 if the file does not have it.

    A missing or empty array is found when the layout is checked.

    Example:
      >>> outputs_of({"w": np.zeros((4, 3))}, "w"), outputs_of({}, "w")
      (4, 1)
    """
    shape = arrays[key].shape if key in arrays else ()
    if not -len(shape) <= axis < len(shape):
        return 1
    return max(1, shape[axis])


def natural(name: str) -> tuple[Any, ...]:
    """Returns the key that sorts names by the numbers in them.

    Example:
      >>> sorted(["conv2d_10", "conv2d_9", "conv2d"], key=natural)
      ['conv2d', 'conv2d_9', 'conv2d_10']
    """
    parts = re.split(r"([0-9]+)", name)
    # Python refuses to convert very long numbers. A number with more digits is larger.
    stripped = [part.lstrip("0") for part in parts]
    digits = [(len(part), part) for part in stripped]
    return tuple(digits[i] if i % 2 else part.rstrip("_") for i, part in enumerate(parts))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    if len(names) > SHOWN:
        shown += f" and {len(names) - SHOWN} more"
    return shown
