"""Signs that a training and a test set are not what they are taken for."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Num, Shaped

from jaxdl.data.dataset import Dataset
from jaxdl.data.mapped_array import MappedArray, blocks
from jaxdl.errors import InputError

#: Inputs above this value are unusually large for a network, unless they are standardized.
LARGEST_INPUT = 100

#: The most examples of one class per example of another in a balanced set.
BALANCED = 20


#: Fields that every set of a task has if one of them does. Losses may read further ones.
FIELDS = ("input", "label", "target", "length")


def find_faults(train: Dataset, test: Dataset) -> list[str]:
    """Compares a training and a test set with each other, and each with itself.

    The sets are read once, in blocks. Each fault is a sentence:

    - labels: classes without examples, classes of the test set only, strong imbalance;
    - rows: equal inputs in both sets, or with different labels;
    - values: constant columns of vectors, inputs that are all equal, series that are taken for grey
      images, values above 100.

    Args:
      train: the training set; labels are compared if its `label` is integers `[N]`.
      test: the test set.

    Returns:
      The faults, an empty list if there are none.

    Raises:
      InputError: a test set with other fields or shapes (`check_alike`).

    Example:
      >>> x = np.arange(8.0).reshape(4, 2)
      >>> train = Dataset({"input": x, "label": [1, 2, 1, 2]}, "train", 3)
      >>> test = Dataset({"input": x[:1], "label": [1]}, "test", 3)
      >>> for fault in find_faults(train, test):
      ...     print(fault)
      label: class 0 of 3 has no example; labels that start at 1 need y - 1
      input: 1 of 1 test examples is in the training set too
    """
    check_alike(train, test)
    train = _that_count(train)
    test = _that_count(test)
    faults = []
    label, test_label = (_labels(data) for data in (train, test))
    if label is not None and test_label is not None:
        faults += _label_faults(label, test_label, train.classes)
    if "input" not in train.arrays or train.contiguous:
        return faults
    # Windows of a text or of a series may well be equal.
    compares = label is not None or train["input"].ndim == 4
    summary = _summary(train["input"], compares)
    if compares:
        faults += _repeated(summary.rows, _summary(test["input"], compares).rows, label)
    return faults + _value_faults(train["input"], summary)


def check_alike(train: Dataset, other: Dataset, name: str = "test") -> None:
    """Raises unless another set has the fields of the training set, with the same kind of values.

    Its floating-point fields have the same shape, except for the number of steps of sequences with
    a `length`. Integers have the same number of axes. A set may have further fields.

    Args:
      train: the training set.
      other: the other set.
      name: its name for the message.

    Raises:
      InputError: a missing field of those that tasks read, or another kind or shape of values.

    Example:
      >>> check_alike(Dataset({"input": np.zeros(3)}, "a"), Dataset({"input": [1, 2]}, "b"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: test input: got 'int64[2]', allowed: float64[N], as in training
    """
    for field in sorted(train.arrays.keys() - {"mask"}):
        if field not in other.arrays and field in FIELDS:
            allowed = f"also {field!r}, a field of the training set"
            raise InputError(f"{name} fields", sorted(other.arrays), allowed)
        if field not in other.arrays:
            continue
        expected = train.arrays[field]
        given = other.arrays[field]
        first = 1
        if "length" in train.arrays and field != "length":
            first = 2
        is_alike = given.ndim == expected.ndim and _kind(given) == _kind(expected)
        if _kind(expected) is jnp.floating:
            is_alike = is_alike and given.shape[first:] == expected.shape[first:]
        if not is_alike:
            shape = ", ".join(map(str, ["N", *expected.shape[1:]]))
            allowed = f"{expected.dtype}[{shape}], as in training"
            raise InputError(f"{name} {field}", f"{given.dtype}{list(given.shape)}", allowed)


def _kind(array: Shaped[np.ndarray, "..."] | MappedArray) -> Any:
    """Returns the kind of the values of an array: Booleans, integers or floating-point numbers."""
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    return next(kind for kind in kinds if jnp.issubdtype(array.dtype, kind))


def _that_count(data: Dataset) -> Dataset:
    """Returns the examples that the mask of a set does not leave out; all of them without one."""
    if "mask" not in data.arrays:
        return data
    rows = np.flatnonzero((np.asarray(data["mask"]) != 0).reshape(len(data), -1).any(1))
    if len(rows) in (0, len(data)):
        return data
    return data.take(rows)


class _Summary(NamedTuple):
    """The values of a field in short.

    Attributes:
      low: the smallest value at each position of an example.
      high: the largest value at each position of an example.
      rows: a hash of each example.
    """

    low: Num[np.ndarray, "..."]
    high: Num[np.ndarray, "..."]
    rows: Int[np.ndarray, " N"]


def _summary(array: Num[np.ndarray, "N ..."] | MappedArray, with_hashes: bool) -> _Summary:
    """Reads an array once, in blocks; without hashes `rows` is empty."""
    lows: list[Any] = []
    highs: list[Any] = []
    rows: list[int] = []
    for _, block in blocks(array):
        lows.append(block.min(0))
        highs.append(block.max(0))
        if with_hashes:
            rows += [hash(row.tobytes()) for row in block]
    return _Summary(np.stack(lows).min(0), np.stack(highs).max(0), np.array(rows, np.int64))


def _labels(data: Dataset) -> Int[np.ndarray, " N"] | None:
    """Returns the labels of a set whose examples have one class each, else None."""
    label = data.arrays.get("label")
    if label is None or label.ndim != 1 or label.dtype.kind not in "iu":
        return None
    label = np.asarray(label)
    if label.min() < 0:
        return None
    return label


def _label_faults(
    train: Int[np.ndarray, " N"], test: Int[np.ndarray, " M"], classes: int | None
) -> list[str]:
    """Returns the faults of the labels of both sets."""
    if classes is None:
        classes = int(max(train.max(), test.max())) + 1
    count = np.bincount(train, minlength=classes)
    in_test = np.bincount(test, minlength=classes)
    faults = []
    missing = np.flatnonzero((count == 0) & (in_test == 0))
    if missing.size:
        hint = ""
        if missing[0] == 0:
            hint = "; labels that start at 1 need y - 1"
        faults.append(f"label: {_classes(missing)} of {classes} {_have(missing)} no example{hint}")
    only_test = np.flatnonzero((count == 0) & (in_test > 0))
    if only_test.size:
        examples = in_test[only_test].sum()
        faults.append(
            f"label: {_classes(only_test)} of {classes} {_have(only_test)} no training example, "
            f"but {examples} of {len(test)} in the test set"
        )
    present = np.flatnonzero(count)
    least = present[count[present].argmin()]
    most = count.argmax()
    if count[most] > BALANCED * count[least]:
        share = 100 * count[most] / len(train)
        faults.append(
            f"label: class {most} has {count[most]:,} training examples and class {least} "
            f"{count[least]:,}; always class {most} is right in {share:.1f} % of them"
        )
    return faults


def _classes(classes: Int[np.ndarray, " K"]) -> str:
    """Returns a few numbers of classes as text."""
    if len(classes) == 1:
        return f"class {classes[0]}"
    shown = ", ".join(str(label) for label in classes[:5])
    if len(classes) > 5:
        shown += f" and {len(classes) - 5} more"
    return f"classes {shown}"


def _have(items: Shaped[np.ndarray, " K"]) -> str:
    return "has" if len(items) == 1 else "have"


def _repeated(
    train: Int[np.ndarray, " N"], test: Int[np.ndarray, " M"], label: Int[np.ndarray, " N"] | None
) -> list[str]:
    """Returns the faults of equal inputs, which have equal hashes."""
    faults = []
    shared = int(np.isin(test, train).sum())
    if shared:
        verb = "is" if shared == 1 else "are"
        faults.append(
            f"input: {shared:,} of {len(test):,} test examples {verb} in the training set too"
        )
    if label is not None:
        order = np.argsort(train, kind="stable")
        rows = train[order]
        differs = (rows[1:] == rows[:-1]) & (label[order][1:] != label[order][:-1])
        count = len(np.unique(rows[1:][differs]))
        if count:
            inputs = "input occurs" if count == 1 else "inputs occur"
            faults.append(
                f"label: {count:,} training {inputs} several times, with different labels"
            )
    return faults


def _value_faults(array: Num[np.ndarray, "N ..."] | MappedArray, summary: _Summary) -> list[str]:
    """Returns the faults of the values of floating-point inputs."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return []
    shape = array.shape[1:]
    constant = summary.low == summary.high
    low = float(summary.low.min())
    high = float(summary.high.max())
    faults = []
    if constant.all():
        faults.append("input: all training examples are equal")
    elif len(shape) == 1 and constant.any():
        columns = np.flatnonzero(constant)
        faults.append(
            f"input: {len(columns)} of {shape[0]} columns {_have(columns)} one value only, "
            f"first column {columns[0]}"
        )
    if _looks_like_a_series(shape, low, high):
        faults.append(
            f"input: {list(shape)} is taken for grey images, with values from {low:.4g} to "
            f"{high:.4g}; a series [N, T, D] needs a set with a field `length`"
        )
    if max(-low, high) > LARGEST_INPUT:
        faults.append(
            f"input: values from {low:.4g} to {high:.4g}; divide pixels by 255, or standardize"
        )
    return faults


def _looks_like_a_series(shape: tuple[int, ...], low: float, high: float) -> bool:
    """Returns True for grey images of another shape or range than those of pictures."""
    if len(shape) != 3 or shape[2] != 1:
        return False
    height, width, _ = shape
    is_long = max(height, width) >= 3 * min(height, width)
    return is_long or (height != width and (low < 0 or high > 1))
