"""The fingerprint of a run, by which a checkpoint of another run is refused."""

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, Sweep
from jaxdl.data.source import Source
from jaxdl.environment import changed_settings, environment
from jaxdl.errors import CheckpointError
from jaxdl.training.canonical import DIGITS, hash_of
from jaxdl.training.program import Example, Program, traced_evaluate, traced_init, traced_step
from jaxdl.training.strategies import Pmapped, Strategy
from jaxdl.xla import OPTIMIZER

#: A JSON object. An empty one belongs to no run.
Fingerprint = dict[str, Any]

#: Packages whose code decides how a learner is traced. Under other versions, or on another
#: platform, hashes of programs are not compared.
TRACING = ("python", "jaxdl", "jax", "jaxlib", "flax", "optax")

#: Parts of the environment that `changed_settings` compares, and that never change a result.
NOT_RECORDED = ("xla_flags", "settings", "cores")

TO_DO = "another run needs another store; to resume this one, use the value of the checkpoint"


def fingerprint(
    learner: Learner | Sweep,
    example: Example,
    program: Program,
    strategy: Strategy,
    data: Source,
    validation: Source | None,
    key: Key[Array, "*N"],
    batch_size: int,
    early_stopping: str | None,
) -> Fingerprint:
    """Returns everything that decides the states of a run, except its number of steps.

    Args:
      learner: the learner.
      example: names, shapes and dtypes of a batch.
      program: the compiled program, which reuses traces that are made here.
      strategy: the strategy.
      data: the training set.
      validation: the validation set.
      key: the root key of the run, or keys `[N]` of several.
      batch_size: examples per step.
      early_stopping: the rule of early stopping, and how often it is applied.
    """
    mapped = None
    if isinstance(strategy, Pmapped):
        mapped = f"pmap on {len(strategy.devices)} devices"
    placed = None
    if len(strategy.devices) == 1 and not program.several:
        placed = program.abstract.step.sharding
    sets = {"data": data}
    if validation is not None:
        sets["validation"] = validation
    return {
        "key": key_text(key),
        **{part: source_text(each) for part, each in sets.items()},
        "batch_size": batch_size,
        "early stopping": early_stopping,
        "strategy": mapped,
        "names": {part: each.name for part, each in sets.items()},
        "programs": programs(learner, example, placed, early_stopping is not None),
        "environment": environment(),
    }


def source_text(data: Source) -> str:
    """Returns the checksum of a set and the order in which it is read; its name is no part."""
    if data.contiguous:
        return f"{data.sha256[:DIGITS]} in its own order"
    return data.sha256[:DIGITS]


def key_text(key: Key[Array, "*N"]) -> str:
    """Returns one or several keys as text; of many keys the first ones and a hash.

    Example:
      >>> import jaxdl
      >>> key_text(jaxdl.root(7)), key_text(jaxdl.root([7, 8]))
      ('fry 0 7', 'fry 0 7, 0 8')
    """
    rows = np.asarray(jax.random.key_data(key)).reshape(key.size, -1)
    kind = str(key.dtype).removeprefix("key<").removesuffix(">")
    shown = ", ".join(" ".join(map(str, row)) for row in rows[:4])
    if len(rows) > 4:
        digits = hashlib.sha256(rows.tobytes()).hexdigest()[:DIGITS]
        shown += f" and {len(rows) - 4} more ({digits})"
    if key.ndim and len(rows) == 1:
        shown += " alone in a row"
    return f"{kind} {shown}"


def programs(
    learner: Learner | Sweep, example: Example, placed: Any, validates: bool
) -> dict[str, str]:
    """Returns the hashes of what a learner computes, by its part.

    Args:
      learner: the learner.
      example: names, shapes and dtypes of a batch.
      placed: the sharding of a program on one device; None for other programs.
      validates: if True, the evaluation is hashed too.
    """
    step = hash_of(traced_step(learner, example, placed), OPTIMIZER, ".opt")
    init = hash_of(traced_init(learner, example), OPTIMIZER, ".opt")
    hashes = {
        "step": step["all"],
        "loss": step["outside"],
        "optimizer": step["inside"][: DIGITS // 2] + init["inside"][: DIGITS // 2],
        "initialization": init["outside"],
    }
    if validates:
        evaluation = hash_of(traced_evaluate(learner, example, placed), OPTIMIZER, ".opt")
        hashes["evaluation"] = evaluation["all"]
    return hashes


def check_fingerprint(stored: Mapping[str, Any], given: Fingerprint) -> None:
    """Raises CheckpointError if a checkpoint belongs to another run than the given one.

    Args:
      stored: the fingerprint in the checkpoint.
      given: that of this run.
    """
    if not _is_complete(stored):
        raise CheckpointError(
            "store: the checkpoint has no fingerprint, because an earlier version wrote it; "
            "give this run another store, in which it starts again"
        )
    compared = (stored.keys() | given.keys()) - {"names", "programs", "environment"}
    if stored.get("validation") is None:
        # No value was measured yet, so a validation set and early stopping may be added.
        compared -= {"validation", "early stopping"}
    for name in sorted(compared):
        if stored.get(name) != given.get(name):
            raise _other_run(name, _named(stored, name), _named(given, name))
    for name, (before, now) in changed_settings(stored["environment"]).items():
        raise _other_run(name, before, now)
    if not _traces_alike(stored["environment"], given["environment"]):
        return
    part = _other_part(stored["programs"], given["programs"])
    if part is not None:
        name, described = part
        hashes = stored["programs"].get(name), given["programs"].get(name)
        raise _other_run(described, f"program {hashes[0]}", f"program {hashes[1]}")


def warn_of_conversion(stored: Mapping[str, Any], given: Fingerprint) -> None:
    """Warns if a run is resumed under other versions, or on another machine or devices."""
    before, now = (_recorded(each["environment"]) for each in (stored, given))
    changes = [
        f"{name} is {before.get(name)} in the checkpoint and {now.get(name)} in this run"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if not changes:
        return
    effect = "the results may be rounded differently"
    if not _traces_alike(stored["environment"], given["environment"]):
        effect = "loss, model and optimizer were not compared"
    warnings.warn(f"store: {'; '.join(changes)}; {effect}", stacklevel=4)


def _is_complete(stored: Mapping[str, Any]) -> bool:
    """Returns True if a stored fingerprint has the parts of `fingerprint`."""
    parts = [stored.get(name) for name in ("names", "programs", "environment")]
    if not all(isinstance(part, Mapping) for part in parts):
        return False
    return isinstance(stored["environment"].get("versions"), Mapping)


def _other_run(name: str, stored: object, given: object) -> CheckpointError:
    return CheckpointError(
        f"store: {name} is {stored} in the checkpoint and {given} in this run; {TO_DO}"
    )


def _named(values: Mapping[str, Any], name: str) -> str:
    """Returns a value with the name of its set."""
    if name in values["names"]:
        return f"{values['names'][name]} {values[name]}"
    return str(values.get(name))


def _other_part(stored: Mapping[str, str], given: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns the name and the description of the part that differs; None if all are equal."""
    other = {name for name in stored.keys() & given.keys() if stored[name] != given[name]}
    if not other:
        return None
    if {"loss", "optimizer"} <= other or other == {"step"}:
        return "step", "the step (loss, model or optimizer)"
    if "optimizer" in other:
        return "optimizer", "the optimizer"
    if "loss" in other:
        return "loss", "the loss, model or wrapper"
    name = min(other)
    return name, f"the {name}"


def _traces_alike(stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Returns True if equal functions have equal traces in two environments."""
    versions = [[each["versions"].get(name) for name in TRACING] for each in (stored, given)]
    return versions[0] == versions[1] and stored.get("platform") == given.get("platform")


def _recorded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts of an environment that may differ when a run is resumed."""
    parts = {name: each for name, each in values.items() if name not in NOT_RECORDED}
    versions = parts.pop("versions")
    return parts | {f"the version of {name}": each for name, each in versions.items()}
