"""Stores for checkpoints: Orbax writes them, and this module decides which ones are valid.

Orbax writes one pytree per directory, asynchronously and atomically. A step is valid only with its
`manifest.json`, which is written after Orbax's commit. It holds the SHA-256 of every file, the
state's layout, the validations so far and the fingerprint of the run.
"""

import contextlib
import math
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxdl.core import State
from jaxdl.data.files import check_utf8, expand_path
from jaxdl.data.owner import Owner, own
from jaxdl.errors import CheckpointError, InputError, RunError, at_least
from jaxdl.training.manifest import (
    Damaged,
    History,
    check_layout,
    check_names,
    layout,
    leaves,
    read_manifest,
    verify,
    write_manifest,
)


class Checkpoint(NamedTuple):
    """A state, and what is saved with it.

    Attributes:
      state: the state.
      history: the validations so far, `(step, value)`.
      fingerprint: a JSON object that identifies the run (`jaxdl.training.fingerprint`).
    """

    state: State
    history: History
    fingerprint: Mapping[str, Any] = {}


@runtime_checkable
class Store(Protocol):
    """A store for checkpoints, which saves and restores states."""

    def open(self, abstract: State) -> None:
        """Prepares for a run that saves states of these shapes; raises if it could not save."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Saves a checkpoint."""

    def restore(self, abstract: State, step: int | None = None) -> Checkpoint | None:
        """Restores the newest good state, or that of `step`; returns None for an empty store.

        Args:
          abstract: the shapes, dtypes and shardings of the state.
          step: the step to restore; None means the newest.
        """

    def close(self) -> None:
        """Waits until everything is saved; raises CheckpointError if a save failed."""


class InMemory:
    """A store in memory, for tests and for early stopping without a directory."""

    def __init__(self) -> None:
        self.states: dict[int, Checkpoint] = {}

    def open(self, abstract: State) -> None:
        """Returns at once, because memory needs no preparation."""

    def save(self, checkpoint: Checkpoint) -> None:
        state, history, fingerprint = checkpoint
        copy = jax.tree.map(jnp.copy, state)
        self.states[state.steps_done] = Checkpoint(copy, list(history), fingerprint)
        steps = steps_to_keep({step: _value(step, history) for step in self.states})
        self.states = {step: self.states[step] for step in steps}

    def restore(self, abstract: State, step: int | None = None) -> Checkpoint | None:
        if not self.states and step is None:
            return None
        if step is None:
            step = max(self.states)
        if step not in self.states:
            raise CheckpointError(f"step {step} is not saved; there are {sorted(self.states)}")
        state, history, fingerprint = self.states[step]
        check_layout(f"step {step} in memory", layout(state), layout(abstract))
        copy = jax.tree.map(lambda x, to: jax.device_put(jnp.copy(x), to.sharding), state, abstract)
        return Checkpoint(copy, list(history), fingerprint)

    def close(self) -> None:
        """Returns at once, because every state is already saved."""


class Directory:
    """A store in numbered directories, one per step. It does not change other files.

    One process trains with a directory at a time (`jaxdl.data.owner.own`); any may read it.

    Args:
      path: the directory, created if missing; `~` is the home directory.
      last: number of newest steps that are kept besides the best and the last finite one, at
        least 1.
      warn: called with a message if damaged steps are skipped, and with the step used instead.

    Raises:
      InputError: `last` below 1, or a path that no directory can have.
    """

    def __init__(
        self, path: str | os.PathLike, last: int = 2, warn: Callable[[str], Any] = warnings.warn
    ):
        at_least("last", last, 1)
        self.warn = warn
        self.path = expand_path(path, "store").resolve()
        self.last = last
        self.saving = 0
        self.pending: threading.Thread | None = None
        self.failure: Exception | None = None
        self.owner = Owner(self.path)

    def open(self, abstract: State) -> None:
        """Makes this process the owner of the directory until `close`, and creates it if missing.

        Raises:
          InputError: the directory cannot be written, or has no space for a state.
          RunError: another process trains with the directory.
        """
        self.close()
        self._try(self._open, abstract)
        self._raise_failure()

    def save(self, checkpoint: Checkpoint) -> None:
        """Copies the state and writes it in the background.

        Raises:
          CheckpointError: this save could not be started, or the previous one failed.
          RunError: the directory was moved or removed since `open`.
        """
        self._wait()
        state = checkpoint.state
        check_names(self.path, state)
        self.saving = state.steps_done
        target = self.path / str(self.saving)
        self._try(_prepare, target, self.owner)
        self._raise_failure()
        response = self._try(_start_saving, target, state)
        self._raise_failure()
        rest = layout(state), list(checkpoint.history), checkpoint.fingerprint
        args = (self._finish, response, target, *rest)
        self.pending = threading.Thread(target=self._try, args=args)
        self.pending.start()

    def restore(self, abstract: State, step: int | None = None) -> Checkpoint | None:
        self._wait()
        check_names(self.path, abstract)
        if step is not None:
            return self._load(abstract, step)
        damage = []
        restored = None
        outcome = "no step is left"
        for number in sorted(self.steps(), reverse=True):
            try:
                restored = self._load(abstract, number)
            except Damaged as error:
                damage.append(str(error))
            else:
                outcome = f"going back to step {number}"
                break
        if damage:
            self.warn(f"{'; '.join(damage)}; {outcome}")
        return restored

    def steps(self) -> list[int]:
        """Returns the complete steps in order; their files are verified only on restore."""
        return sorted(
            int(path.parent.name)
            for path in self.path.glob("*/manifest.json")
            if _is_step(path.parent)
        )

    def close(self) -> None:
        try:
            self._wait()
        finally:
            self.owner.close()

    def _open(self, abstract: State) -> None:
        """Makes the first process the owner, and looks for space for a state."""
        if jax.process_index() != 0:
            return
        check_utf8(self.path, "store")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.owner = own(self.path)
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            allowed = f"a directory that can be written ({error.strerror})"
            raise InputError("store", str(self.path), allowed) from None
        if not self.owner.locked:
            self.warn(f"{self.path} cannot be locked; train with it in one process only")
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves(abstract).values())
        if size > free:
            allowed = f"a disk with {size} free bytes for a state; this one has {free}"
            raise InputError("store", str(self.path), allowed)

    def _wait(self) -> None:
        """Waits for the save in progress; raises CheckpointError if it failed."""
        if self.pending is not None:
            self.pending.join()
            self.pending = None
            self._raise_failure()

    def _try(self, function: Callable, *args: Any) -> Any:
        """Calls a function and stores its exception, for `_raise_failure`."""
        try:
            return function(*args)
        except Exception as error:
            self.failure = error

    def _raise_failure(self) -> None:
        """Waits for all processes; raises CheckpointError in all of them if one of them failed."""
        if jax.process_count() > 1:
            failed = multihost_utils.process_allgather(np.asarray(self.failure is not None))
            if failed.any():
                self.failure = self.failure or OSError("another process could not write")
        if self.failure is not None:
            failure = self.failure
            self.failure = None
            if isinstance(failure, InputError | RunError):
                raise failure
            # The cause may be that the directory was moved away during the save.
            self.owner.check()
            raise CheckpointError(
                f"saving step {self.saving} to {self.path} failed: {failure}"
            ) from failure

    def _finish(
        self,
        response: Any,
        target: Path,
        layout: dict[str, str],
        history: History,
        fingerprint: Mapping[str, Any],
    ) -> None:
        """Waits for Orbax; then writes the manifest and removes old steps."""
        response.result()
        if jax.process_index() == 0:
            self.owner.check()
            write_manifest(target, layout, history, fingerprint)
            self._remove_old(int(target.name), history)

    def _remove_old(self, saved: int, history: History) -> None:
        """Removes the steps that `steps_to_keep` excludes, and the remains of interrupted saves.

        The step just saved is kept even if there are later ones, since those may be damaged. A step
        may have been validated after it was saved. So the newest history takes precedence over the
        step's stored history. The manifest is removed first, so that a step that is only partly
        removed is not valid.
        """
        values = {}
        for step in self.steps():
            with contextlib.suppress(Damaged):
                stored = read_manifest(self.path / str(step))["history"]
                values[step] = _value(step, [*stored, *history])
        kept = {*steps_to_keep(values, self.last), saved}
        for where in self.path.iterdir():
            if _is_step(where) and int(where.name) not in kept and not _foreign_files(where):
                (where / "manifest.json").unlink(missing_ok=True)
                shutil.rmtree(where, ignore_errors=True)

    def _load(self, abstract: State, step: int) -> Checkpoint:
        """Loads a step after its files and layout have been verified."""
        from orbax.checkpoint import v1 as ocp

        where = self.path / str(step)
        manifest = read_manifest(where)
        verify(where, manifest["files"])
        check_layout(str(where), manifest["layout"], layout(abstract))
        try:
            state = State(**ocp.load(where / "state", _as_dict(abstract)))
        except Exception as error:
            # This is not `Damaged`, because the files are those that were written. Going back to an
            # earlier step would lose the newest steps of the run.
            raise CheckpointError(
                f"{where / 'state'} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        check_layout(str(where), layout(state), manifest["layout"])
        if state.steps_done != step:
            raise Damaged(f"{where} holds step {state.steps_done}")
        return Checkpoint(state, manifest["history"], manifest["fingerprint"])


def steps_to_keep(values: Mapping[int, float | None], last: int = 2) -> list[int]:
    """Returns the steps to keep: the newest ones, the best finite one, the last finite one.

    Args:
      values: validation value of each step, smaller is better; None if it was not validated.
      last: number of newest steps to keep, at least 1.

    Returns:
      The steps in order. NaN and infinity are never best. Of equal values the earliest is best.

    Example:
      >>> steps_to_keep({1: 0.5, 2: 0.2, 3: float("nan"), 4: 0.7, 5: float("nan")}, last=1)
      [2, 4, 5]
    """
    finite = [step for step, value in values.items() if value is not None and math.isfinite(value)]
    best = min(finite, key=lambda step: (values[step], step), default=None)
    steps = {*sorted(values)[-last:], best, max(finite, default=None)}
    return sorted(step for step in steps if step is not None)


def _prepare(target: Path, owner: Owner) -> None:
    """Creates an empty directory for a step; raises if that would delete foreign files."""
    if jax.process_index() == 0:
        owner.check()
        foreign = _foreign_files(target)
        if foreign:
            raise CheckpointError(
                f"{foreign[0]} is not part of a checkpoint and would be lost; move it away"
            )
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)


def _foreign_files(where: Path) -> list[Path]:
    """Returns the files in a step's directory that belong to no checkpoint.

    The temporary files of an interrupted save belong to a checkpoint, too.
    """
    if where.is_file() or where.is_symlink():
        paths = [where]
    else:
        paths = sorted(where.glob("*"))
    prefixes = ("state.orbax-", "manifest.json")
    return [p for p in paths if p.name != "state" and not p.name.startswith(prefixes)]


def _start_saving(target: Path, state: State) -> Any:
    from orbax.checkpoint import v1 as ocp

    context = ocp.Context()
    # A machine may sleep during a save, but Orbax's default timeout is 20 minutes.
    context.asynchronous.timeout_secs = 30 * 24 * 3600
    # If a directory cannot be created, background threads of Orbax would wait for it for minutes.
    # The process would wait for these threads.
    context.asynchronous.create_directories_asynchronously = False
    with context:
        # The next training step donates the buffers of the state, so Orbax gets a copy.
        return ocp.save_async(target / "state", _as_dict(jax.tree.map(jnp.copy, state)))


def _is_step(where: Path) -> bool:
    """Returns True for the name of a step's directory: `7`, not `007`."""
    return where.name.isdecimal() and where.name == str(int(where.name))


def _as_dict(state: State) -> dict[str, Any]:
    """Returns the state as plain dictionaries and Optax's tuples, as Orbax stores it."""
    parts = {"step": state.step, "params": state.params, "opt": state.opt, "extra": state.extra}
    if state.wrapped:
        parts["wrapped"] = state.wrapped
    return parts


def _value(step: int, history: Sequence) -> float | None:
    """Returns the newest value that was measured at this step; None without one."""
    return next((value for at, value in reversed(history) if at == step), None)
