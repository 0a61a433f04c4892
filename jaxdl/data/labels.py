"""Sets with few labels, and sets with random ones."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from jaxdl.data.checks import check_classification, check_labels
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least
from jaxdl.rng import check_single_key, stream


def few_labels(data: Dataset, per_class: int, key: Key[Array, ""]) -> Dataset:
    """Returns a set with as many examples of each class, chosen at random.

    A larger number with the same key contains the examples of a smaller one.

    Args:
      data: a set with integer labels `[N]`.
      per_class: number of examples of each class, at least 1.
      key: root key of the choice.

    Returns:
      The chosen examples, in the order of the set.

    Raises:
      InputError: a class with fewer examples, or a set without labels.

    Example:
      >>> import jaxdl
      >>> train, _ = jaxdl.data.load("digits")
      >>> few = few_labels(train, 3, jaxdl.root(0))
      >>> len(few), np.bincount(few["label"]).tolist()
      (30, [3, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    """
    at_least("per_class", per_class, 1)
    check_single_key(key)
    check_classification(data)
    order = np.asarray(jax.random.permutation(stream(key, "few_labels"), data.size))
    counts = dict.fromkeys(range(int(np.max(data["label"])) + 1), per_class)
    return data.take(_of_each_class(data, order, counts, "per_class", per_class))


def first_labels(data: Dataset, count: int) -> Dataset:
    """Returns the first examples of a set, equally many of each class.

    Args:
      data: a set with integer labels `[N]`.
      count: number of examples. If the number of classes does not divide it, the first classes
        have one more.

    Returns:
      A set of `count` examples in the order of `data`.

    Raises:
      InputError: fewer examples than classes, more than a class has, or a set without labels.

    Example:
      >>> data = Dataset({"input": np.arange(6.0), "label": np.array([0, 0, 1, 1, 0, 1])}, "six", 2)
      >>> first_labels(data, 3)["input"].tolist()
      [0.0, 1.0, 2.0]
    """
    check_labels(data["label"], data.classes)
    classes = np.unique(np.asarray(data["label"])).tolist()
    at_least("labels", count, len(classes))
    each, more = divmod(count, len(classes))
    counts = {label: each + (i < more) for i, label in enumerate(classes)}
    return data.take(_of_each_class(data, np.arange(data.size), counts, "labels", count))


def _of_each_class(
    data: Dataset, order: Int[np.ndarray, " N"], counts: Mapping[int, int], field: str, given: int
) -> Int[np.ndarray, " M"]:
    """Returns the rows of the first examples of each class, ascending.

    Args:
      data: a set with integer labels.
      order: all rows, in the order in which they are chosen.
      counts: number of examples of each class.
      field: name of the number for an error.
      given: the number that the caller has passed.
    """
    labels = np.asarray(data["label"])
    chosen = []
    for label, count in counts.items():
        rows = order[labels[order] == label]
        if len(rows) < count:
            raise InputError(
                field, given, f"at most {len(rows)} of class {label} in the training set"
            )
        chosen.append(rows[:count])
    return np.sort(np.concatenate(chosen))


def random_labels(data: Dataset, key: Key[Array, ""], share: float = 1.0) -> Dataset:
    """Returns a set in which the labels of random examples are shuffled among themselves.

    Such a label has nothing to do with its input. It is right by chance only, and each class keeps
    its number of examples.

    Args:
      data: a set with integer labels `[N]`.
      key: root key of the choice and of the order.
      share: share of the examples, in [0, 1], rounded to whole examples. 1 means all of them.

    Returns:
      The set with the same inputs.

    Raises:
      InputError: a share outside [0, 1], or a set without labels.

    Example:
      >>> import jaxdl
      >>> train, _ = jaxdl.data.load("digits")
      >>> shuffled = random_labels(train, jaxdl.root(0))
      >>> bool((shuffled["label"] == train["label"]).mean() < 0.2)
      True

    Source: Zhang et al. 2017, Understanding deep learning requires rethinking generalization.
    """
    if not 0 <= share <= 1:
        raise InputError("share", share, "a number in [0, 1]")
    check_single_key(key)
    check_classification(data)
    order = np.asarray(jax.random.permutation(stream(key, "random_labels"), data.size))
    chosen = order[: round(share * data.size)]
    labels = np.array(data["label"])
    # The chosen rows are in random order, and those in ascending order get their labels.
    labels[np.sort(chosen)] = labels[chosen]
    return dataclasses.replace(data, arrays={**data.arrays, "label": labels})
