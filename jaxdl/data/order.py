"""The order in which training and evaluation read the examples of a set.

The order is a pure function of the run's key and the step:

    rows(key, step) = permutation_e[B s : B (s + 1)],   e, s = divmod(step, N // B)

with N examples in the set, B examples in a batch, e the epoch and s the step within the epoch. A
resumed run therefore needs only its step to continue with the right examples.

Each epoch has a new permutation, from the stream "data" of the key. The last N mod B rows of the
permutation are skipped in that epoch. A contiguous set (`Dataset.contiguous`) is not shuffled:
`contiguous_order` defines its order.

Compiled programs receive the data as a `Window`: arrays on the device, and the rows of these arrays
that each step reads. A resident set is placed on the device once and has one window per epoch. A
larger set is streamed: a host thread reads windows of a few steps ahead of the device.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key, Shaped

from jaxdl.rng import fold, per_key, stream
from jaxdl.updates import Batch
from jaxdl.xla import quick_options

if TYPE_CHECKING:
    from jaxdl.data.dataset import Dataset

#: Largest size of a resident set, in bytes: 2 GiB. Larger sets are streamed.
RESIDENT_BYTES = 2**31

#: Steps per window of a streamed set.
WINDOW_STEPS = 16


class Indexed(NamedTuple):
    """Fields that a batch reads through separate row numbers.

    Attributes:
      rows: `[R]`; a batch of the rows `i` of a window reads the rows `rows[i]`; -1 for padding.
      arrays: the fields, `[N, ...]` each.
    """

    rows: Int[Array, " R"]
    arrays: dict[str, Array]


class Window(NamedTuple):
    """Rows on the device and the steps that read them.

    Attributes:
      arrays: the fields, `[N, ...]` each, or groups of fields that are `Indexed`.
      order: `[S, B]`, the rows of `arrays` that each of S steps reads; -1 for padding. It is
        `[S, M, B]` for M runs in one program that read different rows.
      first: the step that reads `order[0]`.
    """

    arrays: dict[str, Any]
    order: Int[Array, "S *M B"]
    first: int

    @property
    def end(self) -> int:
        """The first step after the window."""
        return self.first + self.order.shape[0]


def epoch_order(
    key: Key[Array, ""], epoch: int, size: int, batch_size: int
) -> Int[np.ndarray, "S B"]:
    """Returns the rows of each step of one epoch: a permutation, cut into batches.

    Args:
      key: the run's root key, from which the stream "data" is taken; or the `[M]` root keys of M
        runs in one program.
      epoch: the number of the epoch, from 0.
      size: N, the number of examples in the set.
      batch_size: B, at most N.

    Returns:
      int32 `[N // B, B]`, or `[N // B, M, B]` for M runs.

    Example:
      >>> import jaxdl
      >>> epoch_order(jaxdl.root(0), 0, 7, 3).shape
      (2, 3)
    """
    shuffled = np.asarray(_permutation(fold(stream(key, "data"), epoch), size), np.int32)
    steps = size // batch_size
    rows = shuffled[..., : steps * batch_size].reshape(*key.shape, steps, batch_size)
    return np.moveaxis(rows, -2, 0)


def contiguous_order(epoch: int, size: int, batch_size: int) -> Int[np.ndarray, "S B"]:
    """Returns the rows of each step of one epoch of a contiguous set.

        row(t, b) = (b S + t) mod N,    S = N // B,    t = S epoch + s

    Position b of a batch holds the row that follows position b of the batch before. So each of the
    B positions reads the whole set again and again, S rows ahead of the previous position. A
    recurrent state that is carried between batches continues the same text. The only break is the
    jump from the last row of the set to the first.

    Args:
      epoch: the number of the epoch, from 0.
      size: N, the number of rows in the set.
      batch_size: B, at most N.

    Returns:
      int32 `[N // B, B]`.

    Example:
      >>> contiguous_order(0, 7, 3).tolist(), contiguous_order(1, 7, 3).tolist()
      ([[0, 2, 4], [1, 3, 5]], [[2, 4, 6], [3, 5, 0]])
    """
    steps = size // batch_size
    first = np.arange(batch_size, dtype=np.int64) * steps + epoch * steps
    return ((first[None] + np.arange(steps)[:, None]) % size).astype(np.int32)


def sequential_order(size: int, batch_size: int) -> Int[np.ndarray, "S B"]:
    """Returns every row once, in order, for evaluation; -1 pads the last batch.

    Example:
      >>> sequential_order(5, 3).tolist()
      [[0, 1, 2], [3, 4, -1]]
    """
    steps = -(-size // batch_size)
    rows = np.full(steps * batch_size, -1, np.int32)
    rows[:size] = np.arange(size, dtype=np.int32)
    return rows.reshape(steps, batch_size)


def gather(arrays: dict[str, Any], rows: Int[Array, " B"]) -> Batch:
    """Returns the batch of these rows, with a `mask` of the examples that count.

    The mask is 0 where a row number is -1, and where the `mask` of the set itself is 0. Without a
    `mask` in the set, padding has the values of row 0. With one, all floating-point fields are 0 in
    rows that do not count. A NaN in such a row would otherwise reach the gradient of a masked mean,
    because NaN times 0 is NaN.

    Args:
      arrays: the fields of the set, among them possibly a `mask [N, ...]` that is 0 or False for
        values that do not count. The fields of a group that is `Indexed` get its name as a suffix.
      rows: row numbers, -1 for padding.

    Returns:
      The fields `[B, ...]`, and a float32 `mask`, which is `[B]` if the set has no `mask`.

    Example:
      >>> gather({"x": jnp.array([5, 6])}, jnp.array([1, -1]))["mask"].tolist()
      [1.0, 0.0]
    """
    groups = {name: x for name, x in arrays.items() if isinstance(x, Indexed)}
    if groups:
        return _gather_groups(groups, rows)
    batch = {name: x.at[jnp.maximum(rows, 0)].get(mode="clip") for name, x in arrays.items()}
    if "mask" not in batch:
        return {**batch, "mask": (rows >= 0).astype(jnp.float32)}
    mask = _zero_unless(rows >= 0, batch["mask"].astype(jnp.float32))
    counts = (mask != 0).any(tuple(range(1, mask.ndim)))
    return {name: _zero_unless(counts, x) for name, x in batch.items()} | {"mask": mask}


def _gather_groups(groups: dict[str, Indexed], rows: Int[Array, " B"]) -> Batch:
    """Returns the fields of all groups, each with the name of its group as a suffix."""
    batch = {}
    for group, (own_rows, arrays) in groups.items():
        for name, x in gather(arrays, own_rows[rows]).items():
            batch[f"{name}_{group}"] = x
    return batch


def training_windows(
    data: "Dataset", key: Key[Array, ""], batch_size: int, start: int, place: Callable[[Any], Any]
) -> Iterator[Window]:
    """Yields the windows of a run from step `start`, without end.

    Args:
      data: the training set.
      key: the run's root key.
      batch_size: examples per step.
      start: the first step that the caller needs.
      place: puts host arrays on the devices (`Strategy.place`).

    Yields:
      `Window`s without gaps between them. The first one contains step `start` and may begin before
      it.
    """
    steps = data.size // batch_size

    def epoch_rows(epoch: int) -> Int[np.ndarray, "S B"]:
        if data.contiguous:
            return contiguous_order(epoch, data.size, batch_size)
        return epoch_order(key, epoch, data.size, batch_size)

    if data.nbytes > RESIDENT_BYTES:
        yield from _streamed(data, epoch_rows, steps, start, place)
        return
    arrays = place(dict(data.arrays))
    for epoch in itertools.count(start // steps):
        yield Window(arrays, place(epoch_rows(epoch)), epoch * steps)


def evaluation_windows(
    data: "Dataset", batch_size: int, place: Callable[[Any], Any]
) -> Iterable[Window]:
    """Returns windows that contain every example exactly once.

    The one window of a resident set is placed once. The windows of a larger set are read in each
    iteration.

    Example:
      >>> import jaxdl
      >>> _, test = jaxdl.data.load("digits")
      >>> [w.order.shape for w in evaluation_windows(test, 100, lambda x: x)]
      [(4, 100)]
    """
    order = sequential_order(data.size, batch_size)
    if data.nbytes <= RESIDENT_BYTES:
        return [Window(place(dict(data.arrays)), place(order), 0)]
    return _StreamedEvaluation(data, order, place)


class _StreamedEvaluation:
    """The windows of a streamed set, which every iteration reads again."""

    def __init__(self, data: "Dataset", order: Int[np.ndarray, "S B"], place: Callable[[Any], Any]):
        self.data = data
        self.order = order
        self.place = place

    def __iter__(self) -> Iterator[Window]:
        for first in range(0, len(self.order), WINDOW_STEPS):
            rows = self.order[first : first + WINDOW_STEPS]
            yield _read(self.data, rows, first, self.place)


class Windows:
    """The training windows of a run, found by step.

    Args:
      windows_from: `windows_from(step)`, the windows from a step on, as `Source.training` yields
        them.
    """

    def __init__(self, windows_from: Callable[[int], Iterator[Window]]):
        self._windows_from = windows_from
        self._windows: Iterator[Window] = iter(())
        self._window: Window | None = None

    def at(self, step: int) -> Window:
        """Returns the window of a step; steps in ascending order are read once."""
        if self._window is None or step < self._window.first:
            self._windows = self._windows_from(step)
            self._window = next(self._windows)
        while step >= self._window.end:
            self._window = next(self._windows)
        return self._window


def _streamed(
    data: "Dataset",
    epoch_rows: Callable[[int], Int[np.ndarray, "S B"]],
    steps: int,
    start: int,
    place: Callable[[Any], Any],
) -> Iterator[Window]:
    """Yields windows that a thread of Grain reads ahead, in order.

    The windows are numbered, and the rows of each follow from its number. Reading can therefore
    start at any window without reading those before it.

    Args:
      data: the training set.
      epoch_rows: `epoch_rows(epoch)` returns the rows of each step of an epoch.
      steps: steps per epoch.
      start: a step of the first window.
      place: puts host arrays on the devices.
    """
    import grain

    windows_per_epoch = -(-steps // WINDOW_STEPS)

    def read_window(number: int) -> Window:
        epoch, index = divmod(number, windows_per_epoch)
        first = index * WINDOW_STEPS
        rows = epoch_rows(epoch)[first : first + WINDOW_STEPS]
        return _read(data, rows, epoch * steps + first, lambda x: x)

    epoch, step = divmod(start, steps)
    first_window = epoch * windows_per_epoch + step // WINDOW_STEPS
    windows = grain.MapDataset.range(first_window, 2**31 - 1).map(read_window)
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    for window in windows.to_iter_dataset(options):
        yield Window(place(window.arrays), place(window.order), window.first)


def _read(
    data: "Dataset", rows: Int[np.ndarray, "S B"], first: int, place: Callable[[Any], Any]
) -> Window:
    """Returns a window whose arrays hold only the rows that its steps read, renumbered from 0."""
    flat = rows.reshape(-1)
    renumbered = np.where(flat >= 0, np.arange(flat.size, dtype=np.int32), -1)
    arrays = {name: np.asarray(x[np.maximum(flat, 0)]) for name, x in data.arrays.items()}
    return Window(place(arrays), place(renumbered.reshape(rows.shape)), first)


def _zero_unless(keep: Bool[Array, " B"], x: Shaped[Array, "B ..."]) -> Shaped[Array, "B ..."]:
    """Returns `x` with 0 in the rows where `keep` is False; integers are returned unchanged."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return jnp.where(keep.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros((), x.dtype))


def _permutation(key: Key[Array, "*M"], size: int) -> Int[Array, "*M N"]:
    """Returns a permutation of `size` rows, or `[M, N]` permutations for `[M]` keys."""
    return _compiled_permutation(size)(key)


@cache
def _compiled_permutation(size: int) -> Callable[[Key[Array, "*M"]], Int[Array, "*M N"]]:
    return jax.jit(partial(per_key, partial(_permute, size)), compiler_options=quick_options())


def _permute(size: int, key: Key[Array, ""]) -> Int[Array, " N"]:
    return jax.random.permutation(key, size)
