"""The fold of each example, by the splitters of scikit-learn."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, Shaped

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.rng import stream


def class_labels(data: Dataset) -> Int[np.ndarray, " N"] | None:
    """Returns the integer labels of a set, None if it has none."""
    if "label" not in data.arrays:
        return None
    label = np.asarray(data["label"])
    if label.ndim != 1 or label.dtype.kind not in "iu":
        return None
    return label


def fold_numbers(
    size: int,
    count: int,
    key: Key[Array, ""] | None,
    labels: Int[np.ndarray, " N"] | None,
    groups: Shaped[np.ndarray, " N"] | None,
) -> Int[np.ndarray, " N"]:
    """Returns the fold of each example, by the splitters of scikit-learn."""
    from sklearn import model_selection

    shuffled = np.arange(size)
    if key is not None:
        shuffled = np.asarray(jax.random.permutation(stream(key, "folds"), size))
    splitter: Any = model_selection.KFold(count)
    of_row = None
    if labels is not None:
        _check_smallest(labels, count)
        splitter = model_selection.StratifiedKFold(count)
        of_row = labels[shuffled]
    if groups is not None:
        groups = _checked_groups(groups, size, count)
        names, places = np.unique(groups, return_inverse=True)
        if key is not None:
            order = jax.random.permutation(stream(key, "folds"), len(names))
            places = np.asarray(order)[places]
        splitter = model_selection.GroupKFold(count)
        groups = places[shuffled]
    number = np.empty(size, np.int32)
    for fold, (_, held_out) in enumerate(splitter.split(shuffled, of_row, groups)):
        number[shuffled[held_out]] = fold
    return number


def _check_smallest(labels: Int[np.ndarray, " N"], count: int) -> None:
    """Raises InputError for more folds than examples of the smallest class."""
    classes, sizes = np.unique(labels, return_counts=True)
    smallest = int(sizes.argmin())
    if count > sizes[smallest]:
        allowed = f"at most {sizes[smallest]}, the examples of class {classes[smallest]}"
        raise InputError("count", count, f"{allowed}; or stratified=False")


def _checked_groups(
    groups: Shaped[np.ndarray, " N"], size: int, count: int
) -> Shaped[np.ndarray, " N"]:
    """Returns groups as an array; raises InputError for another shape or too few of them."""
    try:
        groups = np.asarray(groups)
    except (TypeError, ValueError):
        raise InputError("groups", groups, f"[{size}], one group per example") from None
    if groups.shape != (size,):
        raise InputError("groups shape", list(groups.shape), f"[{size}], one group per example")
    if groups.dtype.kind not in "iuUSb":
        raise InputError("groups", groups.dtype.name, "integers or texts, one group per example")
    different = len(np.unique(groups))
    if count > different:
        raise InputError("count", count, f"at most {different}, the number of groups")
    return groups


def check_classes(labels: Int[np.ndarray, " N"], number: Int[np.ndarray, " N"], count: int) -> None:
    """Raises InputError for a fold whose training set lacks a class."""
    classes = set(np.unique(labels).tolist())
    for fold in range(count):
        missing = classes - set(np.unique(labels[number != fold]).tolist())
        if missing:
            given = f"fold {fold} holds out all examples of class {min(missing)}"
            raise InputError("folds", given, "stratified=True, a key, or fewer folds")
