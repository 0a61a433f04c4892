"""Writing a trained network into two files: its description and its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.description import describe_task
from jaxdl.tasks import Task
from jaxdl.weights import write_model, write_weights


class Described(Protocol):
    """A set whose fields and preprocessing a network has."""

    @property
    def arrays(self) -> Mapping[str, Any]: ...

    @property
    def preprocessing(self) -> Preprocessing | Sequence[Preprocessing]: ...


def save(directory: str | Path, task: Task, state: State, data: Dataset) -> None:
    """Writes a trained network into a directory, from which `load` reads it.

    Args:
      directory: the directory, which is created if missing. It gets `model.json` and
        `weights.safetensors`.
      task: the task that was trained. One of yours is not written: `load(directory, task=task)`.
      state: the trained state; of several runs, all are written.
      data: the training set, whose preprocessing and fields are written.

    Raises:
      RunError: a directory that cannot be written.

    Example: see `Network`.
    """
    directory = Path(directory)
    write_model(directory, model_description(task, data))
    save_weights(directory, state)


def save_weights(directory: Path, state: State) -> None:
    """Writes the weights that evaluation uses: averaged ones where there are any."""
    # In a compiled program, as in an evaluation, whose rounding it then has.
    members = [_inference(member) for member in state.members()]
    variables = [
        jax.device_get({"params": each.params, **without_carry(each.extra)}) for each in members
    ]
    stacked = variables[0]
    if state.step.ndim:
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *variables)
    write_weights(directory, stacked, state.steps_done, len(members) if state.step.ndim else None)


@jax.jit
def _inference(state: State) -> State:
    return inference(state)


def without_carry(extra: Any) -> dict[str, Any]:
    """Returns the collections without recurrent states, which belong to a batch of training."""
    return {name: value for name, value in extra.items() if name != "carry"}


def model_description(task: Task, data: Described) -> dict[str, Any]:
    """Returns the contents of `model.json`: task, fields of an example, and preprocessing."""
    fields = {
        field: jax.ShapeDtypeStruct(array.shape[1:], array.dtype)
        for field, array in data.arrays.items()
    }
    return network_description(task, fields, data.preprocessing)


def network_description(
    task: Task,
    fields: Mapping[str, jax.ShapeDtypeStruct],
    preprocessing: Preprocessing | Sequence[Preprocessing],
) -> dict[str, Any]:
    """Returns the contents of `model.json` of a network: task, fields, and preprocessing.

    Members of a cross-validation have one preprocessing each.
    """
    described = {"task": None}
    if task.name:
        described = describe_task(task)
    specs = {
        field: {"shape": list(spec.shape), "dtype": spec.dtype.name}
        for field, spec in fields.items()
    }
    stored: Any
    if isinstance(preprocessing, Preprocessing):
        stored = preprocessing.to_json()
    else:
        stored = [each.to_json() for each in preprocessing]
    return {"task": described, "fields": specs, "preprocessing": stored}
