"""Inputs on one scale: statistics of the training set, applied to all sets."""

import dataclasses

import numpy as np
from jaxtyping import Float, Shaped

from jaxdl.data.dataset import Dataset
from jaxdl.data.mapped_array import MappedArray, blocks


def standardize(train: Dataset, *others: Dataset, field: str = "input") -> tuple[Dataset, ...]:
    """Gives every channel of the training set mean 0 and variance 1, and moves the other sets with it.

        x'_c = (x_c - mean_c) / std_c

    The statistics are the training set's alone; a channel that is constant there is only shifted.

    Args:
      train: the set to take the statistics from.
      *others: sets to change in the same way (validation, test).
      field: which field, `[N, ..., C]`; the statistics are over all axes but the last.

    Returns:
      The sets in the order given, the field as float32.

    Example:
      >>> train, test = (Dataset({"input": np.array(x)}, "x") for x in ([[1.0], [3.0]], [[5.0]]))
      >>> [data["input"].ravel().tolist() for data in standardize(train, test)]
      [[-1.0, 1.0], [3.0]]
    """
    array = train[field]
    mean, std = _statistics(
        dataclasses.replace(array, dtype=array.working) if isinstance(array, MappedArray) else array
    )

    def moved(data: Dataset) -> Dataset:
        array = data[field]
        if isinstance(array, MappedArray):
            changed = array.then(mean, std)
        else:
            changed = MappedArray(array).then(mean, std)[:]
        return dataclasses.replace(data, arrays={**data.arrays, field: changed})

    return tuple(moved(data) for data in (train, *others))


def _statistics(
    array: Shaped[np.ndarray, "N ... C"],
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Mean and standard deviation of every channel in float64, 1 where the channel is constant."""

    def over(reduce: np.ufunc, of=lambda x: x) -> np.ndarray:
        each = [reduce.reduce(of(x.reshape(-1, x.shape[-1])), axis=0) for _, x in blocks(array)]
        return reduce.reduce(np.stack(each), axis=0)

    count = np.prod(array.shape[:-1])
    mean = over(np.add, lambda x: x.astype(np.float64)) / count
    variance = over(np.add, lambda x: (x - mean) ** 2) / count
    constant = over(np.maximum) == over(np.minimum)
    return mean, np.where(constant, 1.0, np.sqrt(variance))
