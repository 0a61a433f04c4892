"""A data set of named arrays with one row per example; functions that split and check it."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, Shaped

from jaxdl.data import order
from jaxdl.data.arrays import (
    canonical,
    check_mask,
    check_range,
    checked_scaling,
    frozen,
    values_that_count,
)
from jaxdl.data.columns import Column
from jaxdl.data.describe import describe
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.mapped_array import MappedArray, blocks
from jaxdl.data.preprocessing import Preprocessing, Steps, checked_names, input_range
from jaxdl.errors import InputError, at_least, lengths_within, of_kind, one_of
from jaxdl.rng import stream

if TYPE_CHECKING:
    from jaxdl.data.source import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Named arrays with one row per example.

    Attributes:
      arrays: `{field: [N, ...]}`, real numbers. Arrays that can be written are copied, in native
        byte order. A field larger than `mapped_array.IN_MEMORY` may be a `MappedArray`.
        Classifiers read `input` and `label`.
      name: name of the set in results.
      classes: number of classes; labels are in [0, classes). None means that the set has no
        classes.
      contiguous: if True, each row continues where the previous one ends, like the windows of a
        text. Training then reads the rows in order (`jaxdl.data.order.contiguous_order`) instead of
        shuffling them.
      class_names: name of each class; None if they have none.
      scaling: `{field: pairs (shift, scale)}` that were applied to fields, such as by
        `jaxdl.data.standardize`. A run stores them with its weights (`Preprocessing`).
      text: encoding that made `input` from texts; None without texts.
      columns: columns of the table that `input` comes from (`jaxdl.data.tables`); None if it comes
        from none.

    Raises:
      InputError: no fields, no rows, or fields with different numbers of rows; values that are not
        real numbers or do not fit into JAX's 32 bits; a label out of range; a scaling that does not
        fit the fields.

    Example:
      >>> arrays = {"input": np.zeros((3, 2), np.float32), "label": np.array([0, 1, 1])}
      >>> data = Dataset(arrays, "mine", classes=2)
      >>> len(data), data["input"].shape
      (3, (3, 2))
    """

    arrays: Mapping[str, Shaped[np.ndarray, "N ..."] | MappedArray] = dataclasses.field(repr=False)
    name: str
    classes: int | None = None
    contiguous: bool = False
    class_names: tuple[str, ...] | None = None
    scaling: Mapping[str, Steps] = dataclasses.field(default_factory=dict, repr=False)
    text: TextEncoding | None = dataclasses.field(default=None, repr=False)
    columns: tuple[Column, ...] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        of_kind("arrays", self.arrays, Mapping, "a dictionary {field: array [N, ...]}")
        arrays = {field: canonical(field, array) for field, array in self.arrays.items()}
        _check_rows(arrays)
        object.__setattr__(self, "arrays", MappingProxyType(arrays))
        if self.class_names is not None:
            names = checked_names(self.class_names, self.classes)
            object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "scaling", checked_scaling(self.scaling, arrays))
        check_labels(self)
        for field, array in arrays.items():
            if isinstance(array, np.ndarray):
                check_range(field, array)

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns the parts of a copy, whose arrays are read-only too."""
        return _restored, ({**vars(self), "arrays": dict(self.arrays)},)

    @property
    def size(self) -> int:
        """N, the number of examples."""
        return len(next(iter(self.arrays.values())))

    @property
    def nbytes(self) -> int:
        """The size of all fields in memory, in bytes, including fields that stay on disk."""
        return sum(array.nbytes for array in self.arrays.values())

    @functools.cached_property
    def sha256(self) -> str:
        """The checksum of name, dtype, shape and bytes of each field, in the order of the names."""
        digest = hashlib.sha256()
        for field, array in sorted(self.arrays.items()):
            digest.update(f"{field} {array.dtype.str} {array.shape}\n".encode())
            for _, block in blocks(array):
                digest.update(np.ascontiguousarray(block).tobytes())
        return digest.hexdigest()

    @property
    def preprocessing(self) -> Preprocessing:
        """The scaling of the fields, the names of the classes, and the encoding of inputs."""
        limits = None
        if "input" in self.arrays:
            limits = input_range(self.arrays["input"], self.scaling.get("input", ()))
        return Preprocessing(self.scaling, self.class_names, self.text, self.columns, limits)

    def __str__(self) -> str:
        """Returns fields, classes and columns as text (`jaxdl.data.describe`)."""
        return describe(self)

    def __len__(self) -> int:
        return self.size

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of whole batches in the set."""
        return self.size // batch_size

    def training(
        self, key: Key[Array, "*N"], batch_size: int, start: int, place: Callable[[Any], Any]
    ) -> Iterator[order.Window]:
        """Yields the windows of a run (`jaxdl.data.order.training_windows`)."""
        return order.training_windows(self, key, batch_size, start, place)

    def evaluation(self, batch_size: int, place: Callable[[Any], Any]) -> Iterable[order.Window]:
        """Returns the windows of an evaluation (`jaxdl.data.order.evaluation_windows`)."""
        return order.evaluation_windows(self, batch_size, place)

    def __getitem__(self, field: str) -> Shaped[np.ndarray, "N ..."]:
        """Returns the array of a field; raises InputError for an unknown field."""
        array: Any = self.arrays[one_of("field", field, self.arrays)]
        return array

    def take(self, rows: Int[np.ndarray, " B"]) -> "Dataset":
        """Returns the examples with these row numbers, at least one, in this order.

        The result is not contiguous.
        """
        arrays = {field: _take(array, rows) for field, array in self.arrays.items()}
        return dataclasses.replace(self, arrays=arrays, contiguous=False)


def split(data: Dataset, key: Key[Array, ""], fraction: float) -> tuple[Dataset, Dataset]:
    """Splits a training set into a training and a validation part at random.

    The validation part is the first `round(fraction * N)` rows of a permutation. Its key is the
    stream "split" of the stream "data" of `key`. A set with classes is split by class: of each
    class c the first `n_c` rows in the permutation are validated. Both parts preserve the order of
    the set.

        n_c = floor(fraction * N_c), plus 1 for the largest remainders, so that the sum is
        round(fraction * N)

    Args:
      data: the training set.
      key: the root key of a run.
      fraction: fraction of the rows in the validation part, in (0, 1).

    Returns:
      `(train, validation)`, disjoint and together all of `data`.

    Raises:
      InputError: a fraction outside (0, 1), a fraction that leaves a part empty, or a contiguous
        set.

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
            "a set whose rows can be shuffled; divide a text by `split_text` before making windows",
        )
    count = round(fraction * data.size)
    if not 0 < count < data.size:
        raise InputError(
            "fraction",
            fraction,
            f"a fraction that leaves both parts of {data.size} examples non-empty",
        )
    # The stream "data" itself orders the epochs, so the split has a separate stream below it.
    shuffled = np.asarray(jax.random.permutation(stream(stream(key, "data"), "split"), data.size))
    chosen = shuffled[:count]
    if data.classes is not None and "label" in data.arrays:
        label = np.asarray(data["label"])
        if label.ndim == 1 and label.dtype.kind in "iu":
            chosen = _by_class(label, shuffled, fraction)
    return _partition(data, chosen)


def _by_class(
    label: Int[np.ndarray, " N"], shuffled: Int[np.ndarray, " N"], fraction: float
) -> Int[np.ndarray, " B"]:
    """Returns `round(fraction * N)` rows, of each class the first ones of a permutation."""
    classes, place, sizes = np.unique(label, return_inverse=True, return_counts=True)
    wanted = fraction * sizes
    counts = np.floor(wanted).astype(int)
    missing = round(fraction * len(label)) - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1
    order = place[shuffled]
    return np.concatenate([shuffled[order == i][: counts[i]] for i in range(len(classes))])


def holdout(data: Dataset, fraction: float = 0.2) -> tuple[Dataset, Dataset]:
    """Splits off a test set that depends on the labels only, and on no seed.

    The split is stratified. Of each class with n > 1 examples, `max(1, round(fraction * n))` are in
    the test set. A set without labels is split as one class.

    Args:
      data: a set with integer labels `label [N]`, or without labels.
      fraction: fraction of the rows in the test set, in (0, 1).

    Returns:
      `(train, test)`, disjoint and together all of `data`.

    Raises:
      InputError: a fraction outside (0, 1), or a set that is too small to split.

    Example:
      >>> train, test = holdout(Dataset({"label": np.arange(10) % 2}, "ten"))
      >>> len(train), sorted(test["label"].tolist())
      (8, [0, 1])
    """
    if not 0 < fraction < 1:
        raise InputError("fraction", fraction, "a number in (0, 1)")
    labels = np.asarray(data.arrays.get("label", np.zeros(data.size, np.int32)))
    if labels.ndim != 1:
        raise InputError("label shape", labels.shape, "[N]")
    # NumPy guarantees that the numbers of RandomState never change; those of Generator may.
    random = np.random.RandomState(0)
    chosen = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        count = 0
        if len(rows) > 1:
            count = max(1, round(fraction * len(rows)))
        chosen.append(rows[:count])
    test = np.concatenate(chosen)
    if not 0 < len(test) < data.size:
        raise InputError(
            "size", data.size, "a set with several examples per class, to split off a test set"
        )
    return _partition(data, test)


def check_source(data: Any, field: str = "data") -> None:
    """Raises unless the value is a `Source`; checks lengths and mask of a `Dataset`.

    Args:
      data: the value.
      field: its name for the message.

    Raises:
      InputError: a value without the parts of a source, or a bad length or mask.

    Example:
      >>> check_source({"input": np.zeros(3)})
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got <class 'dict'>, allowed: a jaxdl.data.Dataset or Source
    """
    parts = ("name", "size", "contiguous", "steps_per_epoch", "training", "evaluation")
    if not all(hasattr(data, part) for part in parts):
        raise InputError(field, type(data), "a jaxdl.data.Dataset or Source")
    if isinstance(data, Dataset):
        check_lengths(data)
        check_mask(data.arrays)


def check_labels(data: Dataset) -> None:
    """Raises if an integer label of a value that counts is outside [0, classes).

    Example:
      >>> Dataset({"label": np.array([0, 2])}, "mine", classes=2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label[1]: got 2, allowed: an integer in [0, 2)
    """
    label = data.arrays.get("label")
    if data.classes is None:
        return
    at_least("classes", data.classes, 1)
    # A set of one class is refused by `check_classification`.
    if data.classes < 2 or not isinstance(label, np.ndarray) or label.dtype.kind not in "iu":
        return
    if label.min(initial=0) >= 0 and label.max(initial=0) < data.classes:
        return
    bad = (label < 0) | (label >= data.classes)
    bad &= values_that_count(data.arrays, "label")
    if bad.any():
        row = int(bad.reshape(len(bad), -1).any(-1).argmax())
        value = label[row][bad[row]].flat[0].item()
        raise InputError(f"label[{row}]", value, f"an integer in [0, {data.classes})")


def check_lengths(data: Dataset) -> None:
    """Raises if the set has a field `length` that is not integers in [1, T].

    T is the number of steps of `input [N, T, ...]`.

    Example:
      >>> mine = Dataset({"input": np.zeros((2, 5)), "length": np.array([5, 0])}, "mine")
      >>> check_lengths(mine)
      Traceback (most recent call last):
      jaxdl.errors.InputError: length[1]: got 0, allowed: an integer in [1, 5]
    """
    if "length" not in data.arrays or "input" not in data.arrays:
        return
    if data["input"].ndim < 2:
        raise InputError("input shape", data["input"].shape, "[N, T, ...] in a set with a `length`")
    lengths_within(data["length"], data["input"].shape[1])


def check_batch_size(data: "Source", batch_size: int, devices: int = 1) -> None:
    """Raises unless `1 <= batch_size <= N` and the devices can divide a batch evenly.

    Example:
      >>> check_batch_size(Dataset({"x": np.arange(3)}, "three"), 4)
      Traceback (most recent call last):
      jaxdl.errors.InputError: batch_size: got 4, allowed: an integer from 1 to 3, the size of three
    """
    is_integer = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if not is_integer or not 1 <= batch_size <= data.size:
        raise InputError(
            "batch_size", batch_size, f"an integer from 1 to {data.size}, the size of {data.name}"
        )
    if batch_size % devices:
        raise InputError("batch_size", batch_size, f"a multiple of the {devices} devices")


def _partition(data: Dataset, second: Int[np.ndarray, " B"]) -> tuple[Dataset, Dataset]:
    """Returns the rows that are not in `second` and those that are, both in their order."""
    chosen = np.zeros(data.size, bool)
    chosen[second] = True
    return data.take(np.flatnonzero(~chosen)), data.take(np.flatnonzero(chosen))


def _take(
    array: Shaped[np.ndarray, "N ..."] | MappedArray, rows: Int[np.ndarray, " B"]
) -> Shaped[np.ndarray, "B ..."] | MappedArray:
    """Returns rows of an array; those of a `MappedArray` stay on disk."""
    if isinstance(array, MappedArray):
        return array.take(rows)
    return frozen(array[rows])


def _restored(fields: dict[str, Any]) -> Dataset:
    """Returns a copy of a set from its attributes."""
    for array in fields["arrays"].values():
        if isinstance(array, np.ndarray):
            frozen(array)
    data = object.__new__(Dataset)
    vars(data).update(fields, arrays=MappingProxyType(fields["arrays"]))
    return data


def _check_rows(arrays: Mapping[str, Shaped[np.ndarray, "N ..."] | MappedArray]) -> None:
    """Raises unless there is a field, and all fields have the same number of rows, at least 1."""
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
