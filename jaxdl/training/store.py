"""Where states are kept: Orbax underneath, and what is trusted decided here.

Orbax writes one pytree per directory, asynchronously and atomically. A step counts only when its `manifest.json` is
there, written after Orbax's commit: the SHA-256 of every file, the state's layout and the validations so far.
"""

import contextlib
import math
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxdl.core import State
from jaxdl.errors import CheckpointError, at_least
from jaxdl.training.leaves import check_layout, check_names, layout
from jaxdl.training.manifest import Damaged, History, read_manifest, verify, write_manifest


@runtime_checkable
class Store(Protocol):
    """Saves states, gives them back."""

    def save(self, state: State, history: History) -> None:
        """Keeps a state and the validation values `(step, value)` seen so far."""

    def restore(self, abstract: State, step: int | None = None) -> tuple[State, History] | None:
        """The newest good state (or that of `step`), in the shapes and places of `abstract`; None if there is none."""

    def close(self) -> None:
        """Waits until everything is kept; raises if something could not be."""


class InMemory:
    """A store that lasts as long as the process: for tests, and for early stopping without a directory."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[State, History]] = {}

    def save(self, state: State, history: History) -> None:
        self.states[state.steps_done] = jax.tree.map(jnp.copy, state), list(history)
        kept = keep({step: _value(step, history) for step in self.states})
        self.states = {step: self.states[step] for step in kept}

    def restore(self, abstract: State, step: int | None = None) -> tuple[State, History] | None:
        if not self.states and step is None:
            return None
        number = max(self.states) if step is None else step
        if number not in self.states:
            raise CheckpointError(f"step {number} is not kept; there are {sorted(self.states)}")
        state, history = self.states[number]
        check_layout(f"step {number} in memory", layout(state), layout(abstract))
        return jax.tree.map(
            lambda x, to: jax.device_put(jnp.copy(x), to.sharding), state, abstract
        ), list(history)

    def close(self) -> None:
        pass


class Directory:
    """A store of numbered step directories; whatever else the directory holds is left alone.

    Args:
      path: the directory; made if it is not there.
      last: how many of the newest steps are kept besides the best and the last finite one, at least 1.
      warn: is told of steps that are passed over as they are damaged, and where that leads.

    Raises:
      InputError: `last` below 1.
    """

    def __init__(
        self, path: str | os.PathLike, last: int = 2, warn: Callable[[str], Any] = warnings.warn
    ):
        at_least("last", last, 1)
        self.warn = warn
        self.path = Path(path).resolve()
        self.last = last
        self.saving = 0
        self.pending: threading.Thread | None = None
        self.failure: Exception | None = None

    def save(self, state: State, history: History) -> None:
        """Copies the state and writes it in the background; raises what this or the previous save ran into."""
        self.close()
        check_names(self.path, state)
        self.saving = state.steps_done
        target = self.path / str(self.saving)
        self._try(_make_room, target)
        self._agree()
        response = self._try(_begin, target, state)
        self._agree()
        finish = self._finish, response, target, layout(state), list(history)
        self.pending = threading.Thread(target=self._try, args=finish)
        self.pending.start()

    def restore(self, abstract: State, step: int | None = None) -> tuple[State, History] | None:
        self.close()
        check_names(self.path, abstract)
        found = None
        damage = []
        for number in [step] if step is not None else sorted(self.steps(), reverse=True):
            try:
                found = self._load(abstract, number)
                break
            except Damaged as error:
                if step is not None:
                    raise
                damage.append(str(error))
        if damage:
            self.warn(
                f"{'; '.join(damage)}; {f'going back to step {number}' if found else 'no step is left'}"
            )
        return found

    def steps(self) -> list[int]:
        """The steps that are complete, in order; whether their bytes are intact is seen on restore."""
        return sorted(
            int(p.parent.name) for p in self.path.glob("*/manifest.json") if _is_step(p.parent)
        )

    def close(self) -> None:
        if self.pending is not None:
            self.pending.join()
            self.pending = None
            self._agree()

    def _try(self, function: Callable, *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            self.failure = error

    def _agree(self) -> None:
        """Waits for all processes; what one of them ran into ends the run for all."""
        if jax.process_count() > 1:
            failed = multihost_utils.process_allgather(np.asarray(self.failure is not None))
            if failed.any():
                self.failure = self.failure or OSError("another process could not write")
        if self.failure is not None:
            failure = self.failure
            self.failure = None
            raise CheckpointError(
                f"saving step {self.saving} to {self.path} failed: {failure}"
            ) from failure

    def _finish(
        self, response: Any, target: Path, layout: dict[str, str], history: History
    ) -> None:
        response.result()
        if jax.process_index() == 0:
            write_manifest(target, layout, history)
            self._tidy(int(target.name), history)

    def _tidy(self, saved: int, history: History) -> None:
        """Removes what is not worth keeping, and what a kill left behind; a half-removed step must not count.

        The step just saved stays even if later ones are there: those may be damaged. What a step was worth may have
        been measured after it was saved, so the newest history counts before the step's own.
        """
        values = {}
        for step in self.steps():
            with contextlib.suppress(Damaged):
                own = read_manifest(self.path / str(step))["history"]
                values[step] = _value(step, [*own, *history])
        kept = {*keep(values, self.last), saved}
        for where in self.path.iterdir():
            if _is_step(where) and int(where.name) not in kept and not _foreign(where):
                (where / "manifest.json").unlink(missing_ok=True)
                shutil.rmtree(where, ignore_errors=True)

    def _load(self, abstract: State, step: int) -> tuple[State, History]:
        from orbax.checkpoint import v1 as ocp

        where = self.path / str(step)
        manifest = read_manifest(where)
        verify(where, manifest["files"])
        check_layout(str(where), manifest["layout"], layout(abstract))
        try:
            state = State(**ocp.load(where / "state", _as_dict(abstract)))
        except Exception as error:
            # Not `Damaged`: these are the bytes that were written, and going back would cost the run its newest steps.
            raise CheckpointError(
                f"{where / 'state'} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        check_layout(str(where), layout(state), manifest["layout"])
        if state.steps_done != step:
            raise Damaged(f"{where} holds step {state.steps_done}")
        return state, manifest["history"]


def keep(values: Mapping[int, float | None], last: int = 2) -> list[int]:
    """The steps worth keeping: the newest ones, the best finite one, the last finite one.

    Args:
      values: per step its validation value, smaller is better; None: was not validated.
      last: how many of the newest are kept, at least 1.

    Returns:
      Steps in order. NaN and infinity are never best; among equals the earliest is.

    Example:
      >>> keep({1: 0.5, 2: 0.2, 3: float("nan"), 4: 0.7, 5: float("nan")}, last=1)
      [2, 4, 5]
    """
    finite = [step for step, value in values.items() if value is not None and math.isfinite(value)]
    best = min(finite, key=lambda step: (values[step], step), default=None)
    wanted = {*sorted(values)[-last:], best, max(finite, default=None)}
    return sorted(step for step in wanted if step is not None)


def _make_room(target: Path) -> None:
    if jax.process_index() == 0:
        if foreign := _foreign(target):
            raise CheckpointError(
                f"{foreign[0]} is no part of a checkpoint and would be lost; move it away"
            )
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)


def _foreign(where: Path) -> list[Path]:
    """What neither this file nor Orbax, killed or not, writes into the directory of a step."""
    there = [where] if where.is_file() or where.is_symlink() else sorted(where.glob("*"))
    return [
        p
        for p in there
        if p.name != "state" and not p.name.startswith(("state.orbax-", "manifest.json"))
    ]


def _begin(target: Path, state: State) -> Any:
    from orbax.checkpoint import v1 as ocp

    patient = ocp.Context()
    patient.asynchronous.timeout_secs = (
        30 * 24 * 3600
    )  # a machine may sleep; Orbax gives up after 20 minutes
    # In the background, threads would wait for minutes for a directory that cannot be made, and the process for them.
    patient.asynchronous.create_directories_asynchronously = False
    with patient:
        # The training loop gives its buffers away at the next step, so the writer gets its own.
        return ocp.save_async(target / "state", _as_dict(jax.tree.map(jnp.copy, state)))


def _is_step(where: Path) -> bool:
    """Whether a store would give this name to a step: `7`, not `007`."""
    return where.name.isdecimal() and where.name == str(int(where.name))


def _as_dict(state: State) -> dict[str, Any]:
    """Orbax gets plain dictionaries and Optax's tuples."""
    return {"step": state.step, "params": state.params, "opt": state.opt, "extra": state.extra}


def _value(step: int, history: Sequence) -> float | None:
    """The value that was measured at this very step, if one was."""
    return next((value for at, value in reversed(history) if at == step), None)
