"""Standardization with the statistics of the training set."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

from jaxdl.data.arrays import frozen
from jaxdl.data.dataset import Dataset
from jaxdl.data.mapped_array import MappedArray, blocks


def standardize(train: Dataset, *others: Dataset, field: str = "input") -> tuple[Dataset, ...]:
    """Scales each channel to mean 0 and variance 1 in the training set, in all sets alike.

        x'_c = (x_c - mean_c) / std_c

    The statistics are those of the training set. A channel that is constant in the training set is
    only shifted.

    Args:
      train: the set whose statistics are used.
      *others: further sets to scale in the same way (validation, test).
      field: the field to scale, `[N, ..., C]`; the statistics are over all axes but the last.

    Returns:
      All sets in the given order, with the field as float32. Their `scaling` has mean and standard
      deviation.

    Example:
      >>> train = Dataset({"input": np.array([[1.0], [3.0]])}, "train")
      >>> test = Dataset({"input": np.array([[5.0]])}, "test")
      >>> [data["input"].ravel().tolist() for data in standardize(train, test)]
      [[-1.0, 1.0], [3.0]]
    """
    array = train[field]
    if isinstance(array, MappedArray):
        # The statistics need all digits of the data.
        array = dataclasses.replace(array, dtype=array.compute_dtype)
    mean, std = _statistics(array)

    def rescaled(data: Dataset) -> Dataset:
        array = data[field]
        if isinstance(array, MappedArray):
            changed = array.rescale(mean, std)
        else:
            changed = frozen(MappedArray(array).rescale(mean, std)[:])
        steps = (*data.scaling.get(field, ()), (mean, std))
        return dataclasses.replace(
            data,
            arrays={**data.arrays, field: changed},
            scaling={**data.scaling, field: steps},
        )

    return tuple(rescaled(data) for data in (train, *others))


def _statistics(
    array: Shaped[np.ndarray, "N ... C"],
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Returns mean and standard deviation of each channel; the latter is 1 for constant channels.

    Both are computed in float64.
    """
    count = np.prod(array.shape[:-1])
    mean = _reduce_channels(array, np.add, lambda x: x.astype(np.float64)) / count
    variance = _reduce_channels(array, np.add, lambda x: (x - mean) ** 2) / count
    largest = _reduce_channels(array, np.maximum)
    smallest = _reduce_channels(array, np.minimum)
    return mean, np.where(largest == smallest, 1.0, np.sqrt(variance))


def _reduce_channels(
    array: Shaped[np.ndarray, "N ... C"],
    reduction: np.ufunc,
    transform: Callable[[np.ndarray], np.ndarray] = lambda x: x,
) -> Shaped[np.ndarray, " C"]:
    """Reduces the transformed array over all axes but the last, block by block."""
    partial_results = [
        reduction.reduce(transform(block.reshape(-1, block.shape[-1])), axis=0)
        for _, block in blocks(array)
    ]
    return reduction.reduce(np.stack(partial_results), axis=0)
