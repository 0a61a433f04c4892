"""Generated tasks that ask how long a network remembers: a sequence without its past says nothing."""

import numpy as np

from jaxdl.data.dataset import Dataset
from jaxdl.errors import at_least

#: Copy memory: how many symbols are to be kept, and how many kinds there are (0 blank, 9 "now").
KEPT = 10
SYMBOLS = 10


def adding(length: int, count: int, seed: int = 0) -> Dataset:
    """The adding problem: the sum of two marked numbers among many.

        x_t = (u_t, [t = i] + [t = j]),    y = u_i + u_j

    with u_t uniform in [0, 1), i uniform in the first half of the steps (`length // 2` of them) and j
    in the second. Who always says 1, the mean, has the mean squared error 1/6.

    Args:
      length: T, at least 2.
      count: N, at least 1.
      seed: of the numbers; another seed, another set, as for a test set.

    Returns:
      `input [N, T, 2]` float32, `target [N, 1]` float32 in [0, 2).

    Raises:
      InputError: a length or count that is too small, a negative seed.

    Example:
      >>> data = adding(50, 1000)
      >>> data["input"].shape, data["target"].shape
      ((1000, 50, 2), (1000, 1))

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation, 1997, experiment 4;
    of a fixed length and with one mark per half as in Arjovsky et al., "Unitary Evolution Recurrent Neural
    Networks", ICML 2016.
    """
    _check(length, 2, count, seed)
    draw = np.random.RandomState(seed)
    rows = np.arange(count)
    inputs = np.zeros((count, length, 2), np.float32)
    # Multiples of 2^-24 are exact in float32; a float64 just below 1 would become 1.
    inputs[..., 0] = draw.randint(0, 2**24, (count, length), np.int32) / 2**24
    first = draw.randint(0, length // 2, count)
    second = draw.randint(length // 2, length, count)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    target = inputs[rows, first, :1] + inputs[rows, second, :1]
    return Dataset({"input": inputs, "target": target}, f"adding-{length}")


def copy_memory(length: int, count: int, seed: int = 0) -> Dataset:
    """Copy memory: ten symbols, a long blank, then a sign on which the symbols are to be said.

        input:  s_1 ... s_10   0 (T - 1 times)    9 (11 times)
        label:  0 (T + 10 times)                  s_1 ... s_10

    with s_i uniform in 1..8. Who knows when to speak, but not what, has the mean cross-entropy
    10 ln 8 / (T + 20) in nats per step.

    Args:
      length: T, how many steps a symbol is to be kept beyond the ten, at least 1.
      count: N, at least 1.
      seed: of the symbols; another seed, another set, as for a test set.

    Returns:
      `input [N, T + 20]` int32 and `label [N, T + 20]` int32, both in [0, 10).

    Raises:
      InputError: a length or count that is too small, a negative seed.

    Example:
      >>> data = copy_memory(3, 1)
      >>> data["input"][0].tolist()
      [5, 8, 6, 1, 4, 4, 4, 8, 2, 4, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]
      >>> data["label"][0].tolist()
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 8, 6, 1, 4, 4, 4, 8, 2, 4]

    Source: as in Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
    Sequence Modeling", arXiv:1803.01271, 2018; after Hochreiter and Schmidhuber, 1997.
    """
    _check(length, 1, count, seed)
    inputs, label = np.zeros((2, count, length + 2 * KEPT), np.int32)
    inputs[:, :KEPT] = label[:, -KEPT:] = np.random.RandomState(seed).randint(
        1, SYMBOLS - 1, (count, KEPT)
    )
    inputs[:, -KEPT - 1 :] = SYMBOLS - 1
    return Dataset({"input": inputs, "label": label}, f"copy-memory-{length}", SYMBOLS)


def _check(length: int, shortest: int, count: int, seed: int) -> None:
    at_least("length", length, shortest)
    at_least("count", count, 1)
    at_least("seed", seed, 0)
