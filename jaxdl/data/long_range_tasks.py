"""Tasks that test the memory of a network: the target depends on distant inputs."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least

#: Number of symbols that a network must reproduce in `copy_memory`.
COPIED = 10

#: Size of the alphabet of `copy_memory`: 0 is the blank, 1 to 8 are symbols, 9 is the "copy" sign.
ALPHABET = 10


def adding(length: int, count: int, seed: int = 0) -> Dataset:
    """Generates the adding problem: the sum of two marked numbers in a long sequence.

        x_t = (u_t, [t = i] + [t = j]),    y = u_i + u_j

    Here u_t is uniform in [0, 1). The index i is uniform in the first half of the steps
    (`length // 2` of them), and j is uniform in the second half. A constant prediction of the mean,
    1, has a mean squared error of 1/6.

    Args:
      length: T, at least 2.
      count: N, at least 1.
      seed: seed of all random numbers; use another seed to generate a test set.

    Returns:
      A set with `input [N, T, 2]` float32 and `target [N, 1]` float32 in [0, 2).

    Raises:
      InputError: a length or count that is too small, or a negative seed.

    Example:
      >>> data = adding(50, 1000)
      >>> data["input"].shape, data["target"].shape
      ((1000, 50, 2), (1000, 1))

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation, 1997,
    experiment 4. The fixed length and the one mark in each half are as in Arjovsky et al., "Unitary
    Evolution Recurrent Neural Networks", ICML 2016.
    """
    _check_sizes(length, 2, count, seed)
    random = np.random.RandomState(seed)
    rows = np.arange(count)
    inputs = np.zeros((count, length, 2), np.float32)
    # Multiples of 2^-24 are exact in float32; a float64 just below 1 would become 1.
    inputs[..., 0] = random.randint(0, 2**24, (count, length), np.int32) / 2**24
    first = random.randint(0, length // 2, count)
    second = random.randint(length // 2, length, count)
    inputs[rows, first, 1] = 1
    inputs[rows, second, 1] = 1
    target = inputs[rows, first, :1] + inputs[rows, second, :1]
    return Dataset({"input": inputs, "target": target}, f"adding-{length}")


def copy_memory(length: int, count: int, seed: int = 0) -> Dataset:
    """Generates the copy memory task: reproduce ten symbols after a long blank.

        input:  s_1 ... s_10   0 (T - 1 times)    9 (11 times)
        label:  0 (T + 10 times)                  s_1 ... s_10

    Here s_i is uniform in 1..8. The baseline outputs the right blanks and guesses the symbols. Its
    mean cross-entropy is 10 ln 8 / (T + 20) nats per step.

    Args:
      length: T, at least 1; each symbol must be stored for T + 10 steps.
      count: N, at least 1.
      seed: seed of the symbols; use another seed to generate a test set.

    Returns:
      A set with `input [N, T + 20]` int32 and `label [N, T + 20]` int32, both in [0, 10).

    Raises:
      InputError: a length or count that is too small, or a negative seed.

    Example:
      >>> data = copy_memory(3, 1)
      >>> data["input"][0].tolist()
      [5, 8, 6, 1, 4, 4, 4, 8, 2, 4, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]
      >>> data["label"][0].tolist()
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 8, 6, 1, 4, 4, 4, 8, 2, 4]

    Source: Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
    Sequence Modeling", arXiv:1803.01271, 2018; after Hochreiter and Schmidhuber, 1997.
    """
    _check_sizes(length, 1, count, seed)
    symbols = np.random.RandomState(seed).randint(1, ALPHABET - 1, (count, COPIED))
    inputs = np.zeros((count, length + 2 * COPIED), np.int32)
    inputs[:, :COPIED] = symbols
    inputs[:, -COPIED - 1 :] = ALPHABET - 1
    label = np.zeros_like(inputs)
    label[:, -COPIED:] = symbols
    return Dataset({"input": inputs, "label": label}, f"copy-memory-{length}", ALPHABET)


def long_range_sets(
    task: Literal["adding", "copy"], length: int, train: int, test: int, validation: int = 0
) -> dict[str, Dataset]:
    """Generates the sets of a task, each with a separate seed.

    Args:
      task: adding: see `adding`; copy: see `copy_memory`.
      length: T, length of the sequences, or of the blank.
      train: number of training sequences.
      test: number of test sequences.
      validation: number of validation sequences; 0 means no such set.

    Returns:
      `train`, `test` and, if requested, `validation`.

    Raises:
      InputError: see `adding` and `copy_memory`.

    Example:
      >>> {part: len(each) for part, each in long_range_sets("adding", 50, 100, 20).items()}
      {'train': 100, 'test': 20}
    """
    make = {"adding": adding, "copy": copy_memory}[task]
    sets = {"train": make(length, train), "test": make(length, test, seed=1)}
    if validation:
        sets["validation"] = make(length, validation, seed=2)
    return sets


def memoryless_error(
    task: Literal["adding", "copy"], lengths: Int[np.ndarray, " L"]
) -> Float[np.ndarray, " L"]:
    """Returns the loss of the trivial baseline, which remembers nothing, by length.

        adding: Var(u_i + u_j) = 1/6,    copy: 10 ln 8 / (T + 20)

    Args:
      task: adding: the mean squared error; copy: the cross-entropy per step in nats.
      lengths: `[L]`, T of each set.

    Returns:
      `[L]`.

    Example:
      >>> memoryless_error("copy", np.array([100, 1000])).round(3).tolist()
      [0.173, 0.02]
    """
    if task == "adding":
        return np.full(len(lengths), 1 / 6)
    return COPIED * np.log(ALPHABET - 2) / (np.asarray(lengths) + 2 * COPIED)


def image_sequences(
    images: Dataset, by: Literal["row", "pixel"] = "row", permuted: bool = False
) -> Dataset:
    """Returns images as sequences of their rows or pixels.

    Args:
      images: a set with `input [N, H, W, C]`.
      by: part of an image that is one step: row: H steps of W C numbers; pixel: H W steps of C.
      permuted: if True, steps are shuffled in the same way for every image, which separates
        neighbours.

    Returns:
      The set with `input [N, T, D]`; its other fields are the same.

    Raises:
      InputError: inputs that are not images.

    Example:
      >>> images = Dataset({"input": np.arange(8.0).reshape(1, 2, 2, 2)}, "two rows")
      >>> image_sequences(images)["input"].tolist()
      [[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]

    Source: Le, Jaitly, Hinton 2015, A simple way to initialize recurrent networks of rectified
    linear units.
    """
    inputs = np.asarray(images["input"])
    if inputs.ndim != 4:
        raise InputError("data", f"{images.name} {list(inputs.shape)}", "images [N, H, W, C]")
    count, height, width, channels = inputs.shape
    steps = {"row": height, "pixel": height * width}[by]
    sequences = inputs.reshape(count, steps, height * width * channels // steps)
    if permuted:
        sequences = sequences[:, np.random.RandomState(0).permutation(steps)]
    arrays = {**images.arrays, "input": np.ascontiguousarray(sequences)}
    return dataclasses.replace(images, arrays=arrays)


def _check_sizes(length: int, shortest: int, count: int, seed: int) -> None:
    at_least("length", length, shortest)
    at_least("count", count, 1)
    at_least("seed", seed, 0)
