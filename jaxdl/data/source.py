"""Sources: the part of a data set that training and evaluation use."""

import hashlib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Array, Key

from jaxdl.data.order import Indexed, Window, epoch_order, sequential_order
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.rng import stream

if TYPE_CHECKING:
    from jaxdl.data.dataset import Dataset


class Source(Protocol):
    """A source of batches, such as a `Dataset`, `paired` sets, or `Simulated`.

    Attributes:
      name: name of the source in results.
      sha256: checksum of its contents.
      size: largest possible batch size.
      contiguous: if True, each batch continues the batch before it (`Dataset.contiguous`).
    """

    @property
    def name(self) -> str: ...

    @property
    def contiguous(self) -> bool: ...

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of steps that read the source once."""
        ...

    def training(
        self, key: Key[Array, "*N"], batch_size: int, start: int, place: Callable[[Any], Any]
    ) -> Iterator[Window]:
        """Yields the windows of a run from step `start`, without end.

        Args:
          key: the root key of a run, or keys `[N]` of several.
          batch_size: examples per step.
          start: a step of the first window, which may begin before it.
          place: puts host arrays on the devices (`Strategy.place`).
        """
        ...

    def evaluation(self, batch_size: int, place: Callable[[Any], Any]) -> Iterable[Window]:
        """Returns windows that contain every example once; each iteration gives the same ones."""
        ...


class Simulated:
    """A source without fields, for learners that act in an environment.

    Its batches have only the field `mask`, which is 1 in training. In an evaluation each row of a
    batch is an episode.

    Args:
      steps_per_epoch: number of steps that count as an epoch, at least 1.
      name: name of the source in results.
      episodes: number of episodes of an evaluation, at least 1. None means those of one batch.
      arrays: an example of each field that the network reads, `[N, ...]`, for its description in a
        file.

    Raises:
      InputError: fewer than 1 step or episode.

    Example:
      >>> from jaxdl.rng import root
      >>> window = next(Simulated(100).training(root(0), 4, 250, lambda host: host))
      >>> window.arrays, window.first, window.order.shape
      ({}, 200, (100, 4))
    """

    #: Row i of a batch is the same environment as row i of the batch before it.
    contiguous = True
    size = sys.maxsize

    def __init__(
        self,
        steps_per_epoch: int,
        name: str = "simulated",
        *,
        episodes: int | None = None,
        arrays: Mapping[str, Any] | None = None,
    ):
        at_least("steps_per_epoch", steps_per_epoch, 1)
        if episodes is not None:
            at_least("episodes", episodes, 1)
        self.steps = steps_per_epoch
        self.name = name
        self.episodes = episodes
        self.arrays = dict(arrays or {})
        self.preprocessing = Preprocessing()
        self.sha256 = hashlib.sha256(f"{name} {steps_per_epoch}".encode()).hexdigest()

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of steps that count as an epoch."""
        return self.steps

    def training(
        self, key: Key[Array, "*N"], batch_size: int, start: int, place: Callable[[Any], Any]
    ) -> Iterator[Window]:
        """Yields the windows of a run from step `start`, without end."""
        order = place(np.zeros((self.steps, *key.shape, batch_size), np.int32))
        for epoch in itertools.count(start // self.steps):
            yield Window({}, order, epoch * self.steps)

    def evaluation(self, batch_size: int, place: Callable[[Any], Any]) -> Iterable[Window]:
        """Returns one window with a row for each episode; -1 pads the last batch."""
        return [Window({}, place(sequential_order(self.episodes or batch_size, batch_size)), 0)]


class Paired:
    """Two sets whose examples do not belong together, made by `paired`.

    Attributes:
      a: the first set.
      b: the second set.
      name: both names.
      size: size of the smaller set.
      sha256: checksum of both checksums.
      arrays: fields of both sets, such as `input_a` and `input_b`; and `input`, which is that of
        the first set. A loaded network reads it.
      preprocessing: that of the first set.
    """

    contiguous = False

    def __init__(self, a: "Dataset", b: "Dataset"):
        self.a = a
        self.b = b
        self.name = f"{a.name} and {b.name}"
        self.size = min(a.size, b.size)
        self.sha256 = hashlib.sha256(f"{a.sha256} {b.sha256}".encode()).hexdigest()
        self.arrays = {
            f"{field}_{letter}": array
            for letter, data in (("a", a), ("b", b))
            for field, array in data.arrays.items()
        }
        if "input" in a.arrays:
            self.arrays["input"] = a.arrays["input"]
        self.preprocessing = a.preprocessing

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of steps that read the smaller set once."""
        return self.size // batch_size

    def training(
        self, key: Key[Array, "*N"], batch_size: int, start: int, place: Callable[[Any], Any]
    ) -> Iterator[Window]:
        """Yields the windows of a run from step `start`, without end."""
        if not 1 <= batch_size <= self.size:
            allowed = f"from 1 to {self.size}, the size of the smaller set"
            raise InputError("batch_size", batch_size, allowed)
        steps = self.steps_per_epoch(batch_size)
        arrays = {"a": place(dict(self.a.arrays)), "b": place(dict(self.b.arrays))}
        order = np.arange(steps * key.size * batch_size, dtype=np.int32)
        order = place(order.reshape(steps, *key.shape, batch_size))
        keys = {"a": stream(key, "a"), "b": stream(key, "b")}
        for epoch in itertools.count(start // steps):
            fields = {}
            for name, data in (("a", self.a), ("b", self.b)):
                rows = epoch_order(keys[name], epoch, data.size, batch_size)[:steps]
                fields[name] = Indexed(place(rows.reshape(-1)), arrays[name])
            yield Window(fields, order, epoch * steps)

    def evaluation(self, batch_size: int, place: Callable[[Any], Any]) -> Iterable[Window]:
        """Returns one window; where the smaller set has no more examples, its mask is 0."""
        longer = max(self.a.size, self.b.size)
        order = sequential_order(longer, batch_size)
        fields = {}
        for name, data in (("a", self.a), ("b", self.b)):
            rows = sequential_order(data.size, order.size)[0]
            fields[name] = Indexed(place(rows), place(dict(data.arrays)))
        positions = np.arange(order.size, dtype=np.int32).reshape(order.shape)
        return [Window(fields, place(positions), 0)]


def paired(a: "Dataset", b: "Dataset") -> Paired:
    """Returns a source that reads two sets side by side, each in a separate order.

    A batch has the fields of both: `input_a` and `input_b`, `mask_a` and `mask_b`. An epoch reads
    the smaller set once, and as many examples of the larger one. In an evaluation every example of
    both sets counts once. Both sets are placed on the devices as a whole.

    Args:
      a: the first set, such as photographs.
      b: the second set, such as paintings.

    Raises:
      InputError: a contiguous set.

    Example:
      >>> from jaxdl import data
      >>> digits, _ = data.load("digits")
      >>> spirals, _ = data.load("spirals")
      >>> both = paired(digits, spirals)
      >>> both.size == min(len(digits), len(spirals))
      True
    """
    from jaxdl.data.dataset import Dataset

    for field, data in (("a", a), ("b", b)):
        of_kind(field, data, Dataset, "a Dataset, such as of jaxdl.data.load")
        if data.contiguous:
            raise InputError("data", data.name, "a set whose rows can be shuffled")
    return Paired(a, b)
