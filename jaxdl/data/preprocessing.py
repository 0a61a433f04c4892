"""The preprocessing of a set, which a trained network needs besides its weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.data.columns import Column, columns_from_json
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

#: Pairs `(shift, scale)`, float64 `[C]` or scalars, in the order in which they are applied.
Steps = tuple[tuple[np.ndarray, np.ndarray], ...]

#: The scaling of pixels in uint8 to [0, 1].
PIXELS = (np.zeros(()), np.full((), 255.0))


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

    def __call__(
        self, values: Num[np.ndarray, "N ..."], field: str = "input"
    ) -> Num[np.ndarray, "N ..."]:
        """Returns the values of a field as the network was trained on them.

        The bits are those of the set, for values of the same dtype. Pixels in uint8 are divided by
        255 first, as in `jaxdl.data.load`.

        Example:
          >>> Preprocessing()(np.array([[51]], np.uint8)).tolist()
          [[0.20000000298023224]]
        """
        steps = self.scaling.get(field, ())
        if np.asarray(values).dtype == np.uint8:
            steps = (PIXELS, *steps)
        if not steps:
            return values
        return MappedArray(np.asarray(values), steps)[:]

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
        return {"scaling": scaling, "class_names": names, "text": text, "columns": columns}

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
            names = stored["class_names"]
            text = stored["text"]
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise InputError("preprocessing", "other contents", "that of a run") from None
        if names is not None:
            names = checked_names(names)
        if text is not None:
            text = TextEncoding.from_json(text)
        return cls(scaling, names, text, columns_from_json(stored.get("columns")))


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
