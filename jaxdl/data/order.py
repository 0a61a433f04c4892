"""The order of examples is a pure function of (key, step): a run's position in its data is its step.

    rows(key, step) = permutation_e[B s : B (s + 1)],   e, s = divmod(step, N // B)

One fresh permutation per epoch from the stream "data"; the N mod B rows left over rest for that
epoch. Rows that go on from one another (`Dataset.contiguous`) are read in order, in B lanes at once. A device
sees the data through a `Window`: a resident set is one window per epoch whose arrays never change; a
streamed set is read on the host into windows of a few steps.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key, Shaped

from jaxdl.core import Batch
from jaxdl.data.dataset import Dataset
from jaxdl.rng import fold, stream

#: Sets up to this size live on the device; larger ones are streamed. 2 GiB.
RESIDENT_BYTES = 2**31

#: Steps that one streamed window holds.
WINDOW_STEPS = 16


class Window(NamedTuple):
    """Rows on the device and the steps that read them.

    Attributes:
      arrays: the fields, `[N, ...]` each.
      order: `[S, B]`, the rows of each step; -1 where a batch has no more. For several runs in one
        program `[S, N, B]` where each reads its own.
      first: the step that reads `order[0]`.
    """

    arrays: dict[str, Array]
    order: Int[Array, "S *N B"]
    first: int

    @property
    def last(self) -> int:
        """The first step that this window does not serve."""
        return self.first + self.order.shape[0]


def epoch_order(
    key: Key[Array, ""], epoch: int, size: int, batch_size: int
) -> Int[np.ndarray, "S B"]:
    """The rows of each step of one epoch, a permutation cut into batches.

    Args:
      key: the run's root key; the stream "data" is taken here. Or `[M]`, of M runs in one program.
      epoch: from 0.
      size: N, examples in the set.
      batch_size: B, at most N.

    Returns:
      int32 `[N // B, B]`, or `[N // B, M, B]`.

    Example:
      >>> import jaxdl
      >>> epoch_order(jaxdl.root(0), 0, 7, 3).shape
      (2, 3)
    """
    shuffled = np.asarray(_permutation(fold(stream(key, "data"), epoch), size), np.int32)
    steps = size // batch_size
    rows = shuffled[..., : steps * batch_size].reshape(*key.shape, steps, batch_size)
    return rows if key.ndim == 0 else rows.swapaxes(0, 1)


def contiguous_order(epoch: int, size: int, batch_size: int) -> Int[np.ndarray, "S B"]:
    """The rows of each step of one epoch over contiguous rows: lane b of every batch goes on from the batch before.

        row(t, b) = (b S + t) mod N,    S = N // B,    t = S epoch + s

    Each lane reads the whole set round and round, the lanes S rows apart: whoever carries a state along is always
    where it left off, but for the jump from the last row to the first.

    Args:
      epoch: from 0.
      size: N, rows in the set.
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
    """Every row once, in order, for evaluation: the last batch is filled up with -1.

    Example:
      >>> sequential_order(5, 3).tolist()
      [[0, 1, 2], [3, 4, -1]]
    """
    steps = -(-size // batch_size)
    rows = np.full(steps * batch_size, -1, np.int32)
    rows[:size] = np.arange(size, dtype=np.int32)
    return rows.reshape(steps, batch_size)


def gather(arrays: dict[str, Shaped[Array, "N ..."]], rows: Int[Array, " B"]) -> Batch:
    """The batch of these rows, with a `mask`: 0 where a row is -1, or where the set's own `mask` is.

    Padding repeats row 0. If the set has a mask of its own, rows that do not count are 0 in all floating
    fields instead, because a NaN there would spoil the gradient of a masked mean: NaN times 0 is NaN.

    Args:
      arrays: the fields of the set; `mask [N, ...]` may be one of them, 0 or false where nothing counts.
      rows: row numbers, -1 for padding.

    Returns:
      The fields `[B, ...]`, `mask` as float32; `[B]` if the set has none.

    Example:
      >>> gather({"x": jnp.array([5, 6])}, jnp.array([1, -1]))["mask"].tolist()
      [1.0, 0.0]
    """
    batch = {name: x.at[jnp.maximum(rows, 0)].get(mode="clip") for name, x in arrays.items()}
    if "mask" not in batch:
        return {**batch, "mask": (rows >= 0).astype(jnp.float32)}
    mask = _only(rows >= 0, batch["mask"].astype(jnp.float32))
    counts = (mask > 0).any(tuple(range(1, mask.ndim)))
    return {name: _only(counts, x) for name, x in batch.items()} | {"mask": mask}


def _only(here: Bool[Array, " B"], x: Shaped[Array, "B ..."]) -> Shaped[Array, "B ..."]:
    """The rows that are here, the others 0; whole numbers as they are."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return jnp.where(here.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros((), x.dtype))


def training_windows(
    data: Dataset, key: Key[Array, ""], batch_size: int, start: int, place: Callable[[Any], Any]
) -> Iterator[Window]:
    """The windows of a run from step `start` on, without end.

    Args:
      data: the training set.
      key: the run's root key.
      batch_size: examples per step.
      start: the first step to serve; a window may begin before it.
      place: puts host arrays onto the devices (`Strategy.place`).

    Yields:
      `Window`s, the first one holding step `start`, each next one beginning where the last ends.
    """
    steps = data.size // batch_size
    in_order = contiguous_order if data.contiguous else partial(epoch_order, key)
    order = partial(in_order, size=data.size, batch_size=batch_size)
    if data.nbytes <= RESIDENT_BYTES:
        arrays = place(dict(data.arrays))
        for epoch in _from(start // steps):
            yield Window(arrays, place(order(epoch)), epoch * steps)
    else:
        yield from _streamed(data, order, steps, start, place)


def evaluation_windows(
    data: Dataset, batch_size: int, place: Callable[[Any], Any]
) -> Iterator[Window]:
    """Windows that show every example exactly once.

    Example:
      >>> import jaxdl
      >>> _, test = jaxdl.data.load("digits")
      >>> [w.order.shape for w in evaluation_windows(test, 100, lambda x: x)]
      [(4, 100)]
    """
    order = sequential_order(data.size, batch_size)
    if data.nbytes <= RESIDENT_BYTES:
        yield Window(place(dict(data.arrays)), place(order), 0)
        return
    for first in range(0, len(order), WINDOW_STEPS):
        yield _read(data, order[first : first + WINDOW_STEPS], first, place)


def _streamed(
    data: Dataset, order: Callable, steps: int, start: int, place: Callable
) -> Iterator[Window]:
    """Windows read ahead by Grain's threads: in order, and starting anywhere at no cost."""
    import grain

    per_epoch = -(-steps // WINDOW_STEPS)

    def window(i: int) -> Window:
        epoch, block = divmod(i, per_epoch)
        rows = order(epoch)[block * WINDOW_STEPS : (block + 1) * WINDOW_STEPS]
        return _read(data, rows, epoch * steps + block * WINDOW_STEPS, lambda x: x)

    epoch, step = divmod(start, steps)
    first = epoch * per_epoch + step // WINDOW_STEPS
    ahead = grain.MapDataset.range(first, 2**31 - 1).map(window)
    for host in ahead.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)):
        yield Window(place(host.arrays), place(host.order), host.first)


def _read(data: Dataset, rows: Int[np.ndarray, "S B"], first: int, place: Callable) -> Window:
    """A window of its own: only the rows that these steps read, numbered anew."""
    flat = rows.reshape(-1)
    here = np.where(flat >= 0, np.arange(flat.size, dtype=np.int32), -1).reshape(rows.shape)
    arrays = {name: np.asarray(x[np.maximum(flat, 0)]) for name, x in data.arrays.items()}
    return Window(place(arrays), place(here), first)


def _from(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


@partial(jax.jit, static_argnums=1)
def _permutation(key: Key[Array, ""], size: int) -> Int[Array, " N"]:
    return (
        jax.random.permutation(key, size)
        if key.ndim == 0
        else jax.vmap(lambda k: _permutation(k, size))(key)
    )
