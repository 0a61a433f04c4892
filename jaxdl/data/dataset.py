"""A data set: named arrays with one row per example, and how to cut it."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, Shaped

from jaxdl.data import mapped_array
from jaxdl.data.mapped_array import MappedArray, blocks
from jaxdl.errors import InputError, one_of
from jaxdl.rng import stream


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Named arrays whose first dimension counts the examples.

    Attributes:
      arrays: `{field: [N, ...]}`, kept as read-only views; a field may be a `MappedArray` if it is
        larger than `mapped_array.IN_MEMORY`. Classifiers read `input` and `label`.
      name: what the set is called in results.
      classes: how many there are, labels being in [0, classes); None: not a classification.
      contiguous: whether each row goes on where the one before ends, as windows of a text do; training then reads
        them in order (`jaxdl.data.order.lanes`) instead of shuffled.

    Raises:
      InputError: no fields, no rows, or fields with different numbers of rows.

    Example:
      >>> data = Dataset({"input": np.zeros((3, 2), np.float32), "label": np.array([0, 1, 1])}, "mine", 2)
      >>> len(data), data["input"].shape
      (3, (3, 2))
    """

    arrays: Mapping[str, Shaped[np.ndarray, "N ..."] | MappedArray] = dataclasses.field(repr=False)
    name: str
    classes: int | None = None
    contiguous: bool = False

    def __post_init__(self) -> None:
        arrays = {field: _kept(array) for field, array in self.arrays.items()}
        _check_rows(arrays)
        object.__setattr__(self, "arrays", arrays)

    @property
    def size(self) -> int:
        """N, the number of examples."""
        return len(next(iter(self.arrays.values())))

    @property
    def nbytes(self) -> int:
        """What all fields take in memory, those on disk included."""
        return sum(array.nbytes for array in self.arrays.values())

    @functools.cached_property
    def sha256(self) -> str:
        """The checksum of the fields in the order of their names: name, dtype, shape, bytes."""
        digest = hashlib.sha256()
        for field, array in sorted(self.arrays.items()):
            digest.update(f"{field} {array.dtype.str} {array.shape}\n".encode())
            for _, block in blocks(array):
                digest.update(np.ascontiguousarray(block).tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, field: str) -> Shaped[np.ndarray, "N ..."]:
        """The array of a field; raises InputError for a field that the set does not have."""
        array: Any = self.arrays[one_of("field", field, self.arrays)]
        return array

    def take(self, rows: Int[np.ndarray, " B"]) -> "Dataset":
        """The examples with these row numbers, in this order; at least one. They follow each other no longer."""
        arrays = {
            f: a.take(rows) if isinstance(a, MappedArray) else a[rows]
            for f, a in self.arrays.items()
        }
        return dataclasses.replace(self, arrays=arrays, contiguous=False)


def split(data: Dataset, key: Key[Array, ""], fraction: float) -> tuple[Dataset, Dataset]:
    """Cuts a training set into a training and a validation part.

    The validation part is the first `round(fraction * N)` of a permutation drawn from the stream
    "split" of the stream "data" of `key`. Both parts keep the order that the set had.

    Args:
      data: the training set.
      key: the root key of a run.
      fraction: in (0, 1), the share that becomes the validation part.

    Returns:
      `(train, validation)`, disjoint, together all of `data`.

    Raises:
      InputError: a fraction outside (0, 1), or one that leaves a part empty; a contiguous set.

    Example:
      >>> from jaxdl.rng import root
      >>> train, validation = split(Dataset({"x": np.arange(10)}, "ten"), root(0), 0.3)
      >>> len(train), len(validation)
      (7, 3)
    """
    if not 0 < fraction < 1:
        raise InputError("fraction", fraction, "a number in (0, 1)")
    if data.contiguous:
        raise InputError(
            "data",
            data.name,
            "rows that can be shuffled; cut a text by `held_out`, before it is windows",
        )
    count = round(fraction * data.size)
    if not 0 < count < data.size:
        raise InputError(
            "fraction",
            fraction,
            f"a share that leaves both parts of {data.size} examples not empty",
        )
    # A stream of its own below "data": the epochs' orders come from "data" itself.
    shuffled = np.asarray(jax.random.permutation(stream(stream(key, "data"), "split"), data.size))
    return _apart(data, shuffled[:count])


def holdout(data: Dataset, fraction: float = 0.2) -> tuple[Dataset, Dataset]:
    """Cuts off a test set, the same one always: it depends on the labels and on no seed.

    Stratified: of each class with n > 1 examples, `max(1, round(fraction * n))` go to the test set.

    Args:
      data: a set with integer labels `label [N]`.
      fraction: in (0, 1), the share that becomes the test set.

    Returns:
      `(train, test)`, disjoint, together all of `data`.

    Raises:
      InputError: a fraction outside (0, 1), or a set too small to be cut.

    Example:
      >>> train, test = holdout(Dataset({"label": np.arange(10) % 2}, "ten"))
      >>> len(train), sorted(test["label"].tolist())
      (8, [0, 1])
    """
    if not 0 < fraction < 1:
        raise InputError("fraction", fraction, "a number in (0, 1)")
    if data["label"].ndim != 1:
        raise InputError("label shape", data["label"].shape, "[N]")
    # NumPy keeps the numbers of RandomState as they are for all time, those of Generator not.
    draw = np.random.RandomState(0)
    chosen = []
    for label in np.unique(data["label"]):
        rows = draw.permutation(np.flatnonzero(data["label"] == label))
        chosen.append(rows[: max(1, round(fraction * len(rows))) if len(rows) > 1 else 0])
    test = np.concatenate(chosen)
    if not 0 < len(test) < data.size:
        raise InputError(
            "size", data.size, "a set with several examples of a class, to cut a test set from"
        )
    return _apart(data, test)


def _apart(data: Dataset, second: Int[np.ndarray, " B"]) -> tuple[Dataset, Dataset]:
    """The rows that are not in `second`, and those that are."""
    chosen = np.zeros(data.size, bool)
    chosen[second] = True
    return data.take(np.flatnonzero(~chosen)), data.take(np.flatnonzero(chosen))


def _kept(
    array: Shaped[np.ndarray, "N ..."] | MappedArray,
) -> Shaped[np.ndarray, "N ..."] | MappedArray:
    """A read-only view; what fits into memory is read into it."""
    if isinstance(array, MappedArray) and array.nbytes > mapped_array.IN_MEMORY:
        return array
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _check_rows(arrays: Mapping[str, Shaped[np.ndarray, "N ..."] | MappedArray]) -> None:
    if not arrays:
        raise InputError("arrays", arrays, "at least one field")
    for field, array in arrays.items():
        if array.ndim == 0:
            raise InputError(f"{field} shape", array.shape, "[N, ...], one row per example")
    first, *_ = arrays
    for field, array in arrays.items():
        if len(array) != len(arrays[first]):
            raise InputError(
                f"{field} rows", len(array), f"{len(arrays[first])}, as many as {first} has"
            )
    if not len(arrays[first]):
        raise InputError(f"{first} rows", 0, "at least 1, not an empty set")
