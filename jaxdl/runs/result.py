"""The contents of `result.json`."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.core import State
from jaxdl.data.source import Source
from jaxdl.environment import environment
from jaxdl.runs.directory import conversions, peak_memory
from jaxdl.runs.options import flat_options
from jaxdl.training import state_sha256

if TYPE_CHECKING:
    from jaxdl.runs.run import Run


def result_of(
    run: "Run[Any]", state: State, metrics: Mapping[str, Any], data: Mapping[str, Source]
) -> dict[str, Any]:
    """Returns the result of a run.

    Args:
      run: the run after its training.
      state: its state, on the host.
      metrics: numbers by name, as for `Run.finish`.
      data: sets by their part in the run.
    """
    latest = run.latest.latest
    # The result of a finished run is read from its file, where tuples are lists.
    options = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flat_options(run.config).items()
    }
    result: dict[str, Any] = {
        "experiment": run.name,
        "config": options,
        "seed": run.config.run.seed,
        "steps": state.steps_done,
        "metrics": {name: float(np.mean(value)) for name, value in metrics.items()},
        "state_sha256": state_sha256(state),
    }
    if run.key.ndim:
        result |= _of_members(run, state, metrics)
    result["warnings"] = run.warnings
    result |= run.metadata
    changed = conversions(run.out)
    if changed:
        result["conversions"] = changed
    result["data"] = {
        part: {"name": each.name, "sha256": each.sha256, "size": each.size}
        for part, each in data.items()
    }
    result["environment"] = environment()
    result["seconds"] = {"total": time.perf_counter() - run.started}
    for part in ("compile", "train", "evaluate", "save"):
        result["seconds"][part] = latest.get(f"seconds/{part}", 0.0)
    rate = latest.get("examples_per_second", 0.0)
    if "train/learning_rate" in latest:
        result["learning_rate"] = latest["train/learning_rate"]
    result["throughput"] = {"examples_per_second": rate}
    result["memory"] = peak_memory()
    return result


def _of_members(run: "Run[Any]", state: State, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of a result that only several seeds or folds have."""
    members: list[dict[str, Any]] = [
        {
            "seed": seed,
            "metrics": {name: float(value[i]) for name, value in metrics.items()},
            "state_sha256": state_sha256(state.member(i)),
        }
        for i, seed in enumerate(run.seeds)
    ]
    result: dict[str, Any] = {
        "seeds": list(run.seeds),
        "metrics_std": {name: float(np.std(value, ddof=1)) for name, value in metrics.items()},
        "members": members,
    }
    if run.folds:
        result["folds"] = run.folds
        for i, member in enumerate(members):
            member["fold"] = i % run.folds
    return result
