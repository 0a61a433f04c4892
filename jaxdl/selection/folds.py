"""Cross-validation: folds of a set, and sources in which every member reads its own rows."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, Shaped

from jaxdl.core import State
from jaxdl.data import standardize
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import RESIDENT_BYTES, Window, epoch_order, sequential_order
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError, at_least, of_kind, one_of
from jaxdl.functions import bind, predict_batched
from jaxdl.rng import check_single_key
from jaxdl.selection.splits import check_classes, class_labels, fold_numbers


class MemberRows:
    """A source in which each of M members reads other rows of one set.

    Member m reads `rows[m]` as a `Dataset` of these rows is read: the same key gives the same
    batches. An epoch of the source is one of the smallest member. All members train the same number
    of steps, so a member with more rows reads each of them less often.

    Args:
      data: the set.
      rows: row numbers of each member.
      preprocessing: preprocessing of each member; None means that of the set.

    Attributes:
      data: the set.
      rows: row numbers of each member.
      name: name of the set.
      size: number of rows of the smallest member.
      preprocessing: preprocessing of each member.

    Raises:
      InputError: a contiguous set, or one that is too large to be on a device as a whole.
    """

    contiguous = False

    def __init__(
        self,
        data: Dataset,
        rows: Sequence[Int[np.ndarray, " N"]],
        preprocessing: Sequence[Preprocessing] | None = None,
    ):
        _check_shuffled(data)
        if data.nbytes > RESIDENT_BYTES:
            raise InputError("data", f"{data.nbytes} bytes", f"at most {RESIDENT_BYTES}, for folds")
        self.data = data
        self.rows = tuple(np.asarray(each, np.int32) for each in rows)
        self.name = data.name
        self.size = min(len(each) for each in self.rows)
        self.preprocessing = tuple(preprocessing or [data.preprocessing] * len(self.rows))

    @property
    def arrays(self) -> Mapping[str, Any]:
        """Fields of the set."""
        return self.data.arrays

    @functools.cached_property
    def sha256(self) -> str:
        """The checksum of the set and of the rows of all members."""
        digest = hashlib.sha256(self.data.sha256.encode())
        for each in self.rows:
            digest.update(f" {len(each)} ".encode() + each.tobytes())
        return digest.hexdigest()

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of whole batches of the smallest member."""
        return self.size // batch_size

    def training(
        self, key: Key[Array, "*N"], batch_size: int, start: int, place: Callable[[Any], Any]
    ) -> Iterator[Window]:
        """Yields the windows of all members from step `start`, without end.

        Raises:
          InputError: not one key per member.
        """
        members = len(self.rows)
        if key.shape != (members,):
            allowed = f"{members} keys in a row, one per member, such as folds.keys(key)"
            raise InputError("key", f"keys of shape {list(key.shape)}", allowed)
        steps = self.steps_per_epoch(batch_size)
        arrays = place(dict(self.data.arrays))
        for epoch in itertools.count(start // steps):
            first = epoch * steps
            own = [
                _steps_of(each, rows, batch_size, first, steps)
                for each, rows in zip(key, self.rows, strict=True)
            ]
            yield Window(arrays, place(np.stack(own, 1)), first)

    def evaluation(self, batch_size: int, place: Callable[[Any], Any]) -> Iterable[Window]:
        """Returns one window, in which every member reads each of its rows once."""
        longest = max(len(each) for each in self.rows)
        order = sequential_order(longest, batch_size)
        own = [np.where(order < len(each), order, -1) for each in self.rows]
        chosen = [
            np.where(positions >= 0, rows[np.maximum(positions, 0)], -1)
            for positions, rows in zip(own, self.rows, strict=True)
        ]
        return [Window(place(dict(self.data.arrays)), place(np.stack(chosen, 1)), 0)]


def _steps_of(
    key: Key[Array, ""], rows: Int[np.ndarray, " N"], batch_size: int, first: int, steps: int
) -> Int[np.ndarray, "S B"]:
    """Returns the rows of some steps of one member, as training on its rows alone reads them."""
    per_epoch = len(rows) // batch_size
    begun = first // per_epoch
    ended = (first + steps - 1) // per_epoch
    epochs = [epoch_order(key, epoch, len(rows), batch_size) for epoch in range(begun, ended + 1)]
    skipped = first - begun * per_epoch
    return rows[np.concatenate(epochs)[skipped : skipped + steps]]


@dataclasses.dataclass(frozen=True, eq=False)
class Folds:
    """A set divided into folds: one is held out, the others are the training set of a member.

    Member m holds out fold m mod K.

    Attributes:
      data: the set.
      number: `[N]`, the fold of each example, in [0, K).
      count: K, number of folds.
      repeats: number of members for each fold.
      scaled: names of the fields that are standardized, each fold with the statistics of its
        training set alone.

    Example: see `kfold`.
    """

    data: Dataset
    number: Int[np.ndarray, " N"]
    count: int
    repeats: int = 1
    scaled: tuple[str, ...] = ()

    @property
    def members(self) -> int:
        """Number of members: a run for each fold and repeat."""
        return self.count * self.repeats

    def keys(self, key: Key[Array, "*N"]) -> Key[Array, " M"]:
        """Returns the keys of all members; the folds of one repeat share their key.

        Args:
          key: one key, or one per repeat.

        Example:
          >>> from jaxdl.rng import root
          >>> folds = kfold(Dataset({"x": np.arange(6)}, "six"), 3)
          >>> folds.keys(root(0)).shape, folds.repeated(2).keys(root([0, 1])).shape
          ((3,), (6,))
        """
        if key.shape not in ((), (self.repeats,)):
            allowed = f"one key, or {self.repeats} in a row; folds.repeated(n) has n repeats"
            raise InputError("key", f"keys of shape {list(key.shape)}", allowed)
        repeats = jnp.broadcast_to(key, (self.repeats,))
        return jnp.repeat(repeats, self.count)

    def repeated(self, repeats: int) -> "Folds":
        """Returns the same folds with several members for each, for several keys or a sweep.

        Member m belongs to repeat m // K.
        """
        at_least("repeats", repeats, 1)
        return dataclasses.replace(self, repeats=repeats)

    @functools.cached_property
    def _copies(self) -> Dataset:
        """The set, or a copy of it for each fold, scaled with the fold's statistics."""
        data = self.data
        if not self.scaled:
            return data
        copies = [self._scaled(fold) for fold in range(self.count)]
        arrays = {
            field: np.concatenate([np.asarray(each[field]) for each in copies])
            for field in data.arrays
        }
        return Dataset(arrays, data.name, data.classes, class_names=data.class_names)

    @functools.cached_property
    def train(self) -> MemberRows:
        """Training sets of all members, as one source for `jaxdl.train`."""
        return self._source(lambda fold: np.flatnonzero(self.number != fold))

    @functools.cached_property
    def held_out(self) -> MemberRows:
        """Held-out examples of all members, as one source for `jaxdl.evaluate`."""
        return self._source(lambda fold: np.flatnonzero(self.number == fold))

    def train_set(self, fold: int) -> Dataset:
        """Returns the training set of one fold."""
        return self._pair(fold)[0]

    def held_out_set(self, fold: int) -> Dataset:
        """Returns the held-out examples of one fold, scaled like its training set."""
        return self._pair(fold)[1]

    @functools.cached_property
    def preprocessing(self) -> tuple[Preprocessing, ...]:
        """Preprocessing of each member, with the scaling of its training set."""
        if not self.scaled:
            return (self.data.preprocessing,) * self.members
        each = [self.train_set(fold).preprocessing for fold in range(self.count)]
        return tuple(each * self.repeats)

    def out_of_fold(
        self, f: Callable[..., Any], states: State, fields: Sequence[str] = ("input",)
    ) -> Any:
        """Computes the outputs for each example by the network that was trained without it.

        Args:
          f: a function of a task, such as `task.predict`.
          states: states of all members.
          fields: names of the fields that are the inputs of `f`.

        Returns:
          `[N, ...]`, in the order of the set; with R repeats `[R, N, ...]`.
        """
        if states.step.shape != (self.members,):
            given = f"states of shape {list(states.step.shape)}"
            raise InputError("states", given, f"[{self.members}], the states of all members")
        repeats = []
        for repeat in range(self.repeats):
            parts = []
            for fold in range(self.count):
                member = states.member(repeat * self.count + fold)
                inputs = [self.held_out_set(fold)[name] for name in fields]
                parts.append(predict_batched(bind(f, member), *inputs))
            order = np.argsort(np.argsort(self.number, kind="stable"), kind="stable")
            repeats.append(jax.tree.map(lambda *y, o=order: np.concatenate(y)[o], *parts))
        if self.repeats == 1:
            return repeats[0]
        return jax.tree.map(lambda *y: np.stack(y), *repeats)

    def _pair(self, fold: int) -> tuple[Dataset, Dataset]:
        """Returns the training set and the held-out examples of a fold, scaled."""
        if not 0 <= fold < self.count:
            raise InputError("fold", fold, f"an integer in [0, {self.count})")
        train = self.data.take(np.flatnonzero(self.number != fold))
        held_out = self.data.take(np.flatnonzero(self.number == fold))
        for field in self.scaled:
            train, held_out = standardize(train, held_out, field=field)
        return train, held_out

    def _source(self, rows_of: Callable[[int], Int[np.ndarray, " B"]]) -> MemberRows:
        """Returns the source of all members; scaled folds have a copy of the set each."""
        rows = [rows_of(fold) for fold in range(self.count)]
        if self.scaled:
            rows = [each + fold * self.data.size for fold, each in enumerate(rows)]
        return MemberRows(self._copies, rows * self.repeats, self.preprocessing)

    def _scaled(self, fold: int) -> Dataset:
        """Returns the whole set, scaled with the statistics of a fold's training set."""
        train = self.data.take(np.flatnonzero(self.number != fold))
        scaled = self.data
        for field in self.scaled:
            _, scaled = standardize(train, scaled, field=field)
        return scaled


def kfold(
    data: Dataset,
    count: int,
    *,
    key: Key[Array, ""] | None = None,
    stratified: bool | None = None,
    groups: Shaped[np.ndarray, " N"] | None = None,
    scaled: Sequence[str] = (),
) -> Folds:
    """Divides a set into folds for cross-validation.

    Without a key, the folds are those of scikit-learn with `shuffle=False`: `KFold`,
    `StratifiedKFold` or `GroupKFold`. With a key, the rows are in the order of a permutation first.

    Args:
      data: the set, without the test set.
      count: K, at least 2.
      key: the root key of a run, whose stream "folds" gives the order. None means the
        order of the set.
      stratified: if True, each fold has the same share of each class, up to one example. None means
        True for a set with classes and without groups.
      groups: `[N]`, a group for each example. Examples of one group are in one fold.
      scaled: names of fields that are standardized within each fold.

    Returns:
      The folds.

    Raises:
      InputError: fewer than 2 folds, more folds than examples, groups, or examples of the smallest
        class; groups that are not `[N]`; a training set that lacks a class.

    Source: Stone (1974), Cross-validatory choice and assessment of statistical predictions.

    Example:
      >>> import jaxdl, optax
      >>> digits, _ = jaxdl.data.load("digits")
      >>> folds = kfold(digits, 5, key=jaxdl.root(0))
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> states = jaxdl.train(net, folds.train, key=folds.keys(jaxdl.root(0)), steps=100)
      >>> accuracies = jaxdl.evaluate(net, states, folds.held_out)["accuracy"]
      >>> accuracies.shape, bool((accuracies > 0.85).all())
      ((5,), True)
      >>> folds.out_of_fold(task.predict, states).shape == (len(digits), 10)
      True
    """
    of_kind("data", data, Dataset, "a jaxdl.data.Dataset")
    _check_shuffled(data)
    if key is not None:
        check_single_key(key)
    at_least("count", count, 2)
    if count > data.size:
        raise InputError("count", count, f"at most {data.size}, the number of examples")
    of_kind("stratified", stratified, bool | None, "True, False or None")
    if isinstance(scaled, str):
        raise InputError("scaled", scaled, f"a list of fields, such as [{scaled!r}]")
    of_kind("scaled", scaled, Sequence, "a list of fields, such as ['input']")
    for field in scaled:
        one_of("scaled", field, data.arrays)
        if not np.issubdtype(data[field].dtype, np.floating):
            raise InputError("scaled", field, "a field of floating-point numbers, such as input")
    labels = class_labels(data)
    if stratified is None:
        stratified = labels is not None and groups is None
    if stratified and groups is not None:
        raise InputError("stratified", True, "False with groups, which decide the folds")
    if stratified and labels is None:
        raise InputError("stratified", True, "False for a set without integer labels [N]")
    number = fold_numbers(data.size, count, key, labels if stratified else None, groups)
    if labels is not None:
        check_classes(labels, number, count)
    return Folds(data, number, count, scaled=tuple(scaled))


def _check_shuffled(data: Dataset) -> None:
    """Raises InputError for a contiguous set, which folds would cut into pieces."""
    if data.contiguous:
        allowed = "a set whose rows can be shuffled, not windows of a text"
        raise InputError("data", data.name, allowed)
