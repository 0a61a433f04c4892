"""The preprocessing of a set, which a trained network needs besides its weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.data.columns import Column, columns_from_json
from jaxdl.data.crop import CenterCrop
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.mapped_array import MappedArray, blocks
from jaxdl.errors import InputError

#: Pairs `(shift, scale)`, float64 `[C]` or scalars, in the order in which they are applied.
Steps = tuple[tuple[np.ndarray, np.ndarray], ...]

#: Scaling of pixels to [0, 1]: of all inputs in uint8, and of images in uint16.
PIXELS = (np.zeros(()), np.full((), 255.0))
DEEP_PIXELS = (np.zeros(()), np.full((), 65535.0))

#: Rounding errors of a range that was scaled and scaled back.
ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Preprocessing:
    """The scaling of the fields of a set, the names of its classes, and the encoding of inputs.

        x' = (x - shift) / scale,   for each pair of a field

    Attributes:
      scaling: `{field: pairs (shift, scale)}`, such as the mean and the standard deviation of
        `jaxdl.data.standardize`. A field without an entry is not scaled.
      class_names: name of each class; None if they have none.
      text: encoding of texts as ids; None if the set has no texts.
      columns: columns of the table that the inputs come from, for `jaxdl.data.encode_rows`. None
        for other inputs.
      range: smallest and largest input of the set before the scaling; None if it is unknown, or
        for integers. Inputs in [0, 1] are taken for pixels.
      crop: resizing and crop of photographs, which come before the scaling. None means that images
        have the size of the training set.

    Example:
      >>> scaling = {"input": ((np.array([1.0]), np.array([2.0])),)}
      >>> preprocessing = Preprocessing(scaling, ("cat", "dog"))
      >>> preprocessing(np.array([[5.0]])).tolist()
      [[2.0]]
      >>> again = Preprocessing.from_json(preprocessing.to_json())
      >>> again.class_names, again(np.array([[5.0]])).tolist()
      (('cat', 'dog'), [[2.0]])
    """

    scaling: Mapping[str, Steps] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    text: TextEncoding | None = None
    columns: tuple[Column, ...] | None = None
    range: tuple[float, float] | None = None
    crop: CenterCrop | None = None

    def __call__(
        self, values: Num[np.ndarray, "N ..."], field: str = "input"
    ) -> Num[np.ndarray, "N ..."]:
        """Returns the values of a field as the network was trained on them.

        The bits are those of the set, for values of the same dtype. If inputs of the set were in
        [0, 1], pixels are divided first, as in `jaxdl.data.load`: those in uint8 by 255, and
        images `[N, H, W, C]` in uint16 by 65535.

        Example:
          >>> Preprocessing()(np.array([[51]], np.uint8)).tolist()
          [[0.20000000298023224]]
          >>> Preprocessing(range=(0.0, 255.0))(np.array([[51]], np.uint8)).tolist()
          [[51]]
        """
        steps = self.scaling.get(field, ())
        dtype = np.asarray(values).dtype
        if field == "input" and self.is_unit:
            if dtype == np.uint8:
                steps = (PIXELS, *steps)
            elif dtype == np.uint16 and np.ndim(values) == 4:
                steps = (DEEP_PIXELS, *steps)
        if not steps:
            return values
        return MappedArray(np.asarray(values), steps)[:]

    @property
    def is_unit(self) -> bool:
        """True if inputs were in [0, 1] before the scaling, as pixels are, or are unknown."""
        if self.range is None:
            return True
        return self.range[0] >= -ROUNDING and self.range[1] <= 1 + ROUNDING

    def to_json(self) -> dict[str, Any]:
        """Returns the values for a JSON file, from which `from_json` reads exactly the same."""
        scaling = {
            field: [[shift.tolist(), scale.tolist()] for shift, scale in steps]
            for field, steps in self.scaling.items()
        }
        names = None
        if self.class_names is not None:
            names = list(self.class_names)
        text = None
        if self.text is not None:
            text = self.text.to_json()
        columns = None
        if self.columns is not None:
            columns = [column.to_json() for column in self.columns]
        limits = None
        if self.range is not None:
            limits = list(self.range)
        return {
            "scaling": scaling,
            "class_names": names,
            "text": text,
            "columns": columns,
            "range": limits,
            "crop": None if self.crop is None else dataclasses.asdict(self.crop),
        }

    def restored(
        self, values: Num[np.ndarray, "N ..."], field: str = "target"
    ) -> Num[np.ndarray, "N ..."]:
        """Returns values of a field in their own unit, from those of the network.

        Example:
          >>> scaling = {"target": ((np.array([1.0]), np.array([2.0])),)}
          >>> Preprocessing(scaling).restored(np.array([[2.0]])).tolist()
          [[5.0]]
        """
        for shift, scale in reversed(self.scaling.get(field, ())):
            values = values * scale.astype(values.dtype) + shift.astype(values.dtype)
        return values

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Preprocessing":
        """Returns the preprocessing that `to_json` returned.

        Raises:
          InputError: other contents.
        """
        try:
            scaling = {
                str(field): tuple((_finite(shift), _finite(scale)) for shift, scale in steps)
                for field, steps in stored["scaling"].items()
            }
            if not all(scale.all() for steps in scaling.values() for _, scale in steps):
                raise ValueError("a scale of 0")
            names = stored["class_names"]
            text = stored["text"]
            limits = stored.get("range")
            if limits is not None:
                low, high = _finite(limits).tolist()
                limits = (float(low), float(high))
            crop = stored.get("crop")
            if crop is not None:
                crop = CenterCrop(**crop)
        except InputError:
            raise
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise InputError("preprocessing", "other contents", "that of a run") from None
        if names is not None:
            names = checked_names(names)
        if text is not None:
            text = TextEncoding.from_json(text)
        return cls(scaling, names, text, columns_from_json(stored.get("columns")), limits, crop)


def input_range(
    array: Num[np.ndarray, "N ..."] | MappedArray, steps: Steps
) -> tuple[float, float] | None:
    """Returns the smallest and the largest number of an array before its scaling.

    Args:
      array: the scaled array.
      steps: pairs `(shift, scale)` that were applied to it.

    Returns:
      `(smallest, largest)`. None for integers, which are not scaled, or if some are not finite.

    Example:
      >>> input_range(np.array([[-1.0], [2.0]]), ((np.array([1.0]), np.array([2.0])),))
      (-1.0, 5.0)
    """
    if array.dtype.kind in "biu":
        return None
    channels = 1
    if any(each.size > 1 for pair in steps for each in pair):
        channels = array.shape[-1]
    limits = []
    for _, block in blocks(array):
        rows = block.reshape(-1, channels)
        limits += [rows.min(0), rows.max(0)]
    ends = np.stack(limits).astype(np.float64)
    ends = Preprocessing({"input": steps}).restored(ends, "input")
    if not np.isfinite(ends).all():
        return None
    return float(ends.min()), float(ends.max())


def checked_names(names: Any, classes: int | None = None) -> tuple[str, ...]:
    """Returns names of classes as a tuple; raises unless they are one text for each class.

    Example:
      >>> checked_names(["cat", "dog"], 3)
      Traceback (most recent call last):
      jaxdl.errors.InputError: class_names: got ['cat', 'dog'], allowed: a text for each of 3 ...
    """
    is_list = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not is_list:
        raise InputError("class_names", names, "a list of texts, one for each class")
    if classes is not None and len(names) != classes:
        raise InputError("class_names", names, f"a text for each of {classes} classes")
    return tuple(names)


def _finite(values: Any) -> Float[np.ndarray, "*C"]:
    """Returns a number or a list of numbers as float64; raises ValueError if one is not finite."""
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("not finite")
    return array
