"""The files of a trained network: `model.json` and `weights.safetensors`."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.files import parse_json_object, read_bytes, sync, write_atomically
from jaxdl.errors import InputError, RunError
from jaxdl.training.manifest import leaves, state_sha256
from jaxdl.version import __version__

#: The description of a network, and its arrays.
MODEL = "model.json"
WEIGHTS = "weights.safetensors"

#: Dtypes by their names in the file.
DTYPES = {
    **{f"F{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BF16": np.dtype(jnp.bfloat16),
    "BOOL": np.dtype(bool),
}

#: Version of the form of both files.
FORMAT = 1


def write_model(directory: Path, description: Mapping[str, Any]) -> None:
    """Writes `model.json`; raises RunError if it cannot be written.

    Args:
      directory: the directory, which is created if missing.
      description: JSON values.
    """
    text = json.dumps({"format": FORMAT, "jaxdl": __version__, **description}, indent=1)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / MODEL, text + "\n")
    except OSError as error:
        raise RunError(f"{directory / MODEL} cannot be written: {error.strerror}") from None


def write_weights(directory: Path, variables: Any, steps: int, members: int | None) -> None:
    """Writes `weights.safetensors`, with the hash of its contents.

    Args:
      directory: an existing directory.
      variables: `{"params": ..., collection: ...}`; of several runs, arrays `[N, ...]`.
      steps: number of steps of the training.
      members: N; None for a single run.

    Raises:
      RunError: the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(leaf, order="C") for name, leaf in leaves(variables).items()}
    metadata = {
        "format": "jaxdl",
        "sha256": _hash(arrays, steps, members or 0),
        "steps": str(steps),
        "members": str(members or 0),
    }
    path = directory / WEIGHTS
    partial = path.with_name(f"{WEIGHTS}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open(partial, "xb") as file:
            file.write(save(arrays, metadata))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync(directory)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None


def read_model(directory: Path) -> dict[str, Any]:
    """Reads `model.json`.

    Returns:
      `task` as JSON; `preprocessing`, a list with one JSON object for all members or one for each;
      and `fields`, the shape and dtype of each field.

    Raises:
      InputError: a missing or damaged file, or one of a later version.
    """
    path = directory / MODEL
    if not path.exists() and (directory / "config.json").exists():
        allowed = f"a run with a {MODEL}; remove the directory and run its command again"
        raise InputError("network", str(directory), allowed)
    try:
        stored = parse_json_object(read_bytes(path))
        if stored["format"] != FORMAT:
            allowed = f"format {FORMAT}; a newer version of jaxdl reads this one"
            raise InputError(str(path), f"format {stored['format']}", allowed)
        fields = {
            str(field): _spec(field, each["shape"], each["dtype"])
            for field, each in stored["fields"].items()
        }
        preprocessing = stored["preprocessing"]
        # Members of a cross-validation have one each.
        if not isinstance(preprocessing, list):
            preprocessing = [preprocessing]
        each = [dict(member) for member in preprocessing]
        return {**stored, "fields": fields, "preprocessing": each}
    except InputError:
        raise
    except FileNotFoundError:
        allowed = f"a directory with {MODEL} and {WEIGHTS}, such as that of a finished run"
        raise InputError("network", str(directory), allowed) from None
    except OSError as error:
        raise InputError(str(path), error.strerror, "a regular file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        allowed = f"a {MODEL} that a run has written"
        raise InputError(str(path), f"{type(error).__name__}: {error}", allowed) from None


def _spec(field: str, shape: Any, dtype: Any) -> jax.ShapeDtypeStruct:
    """Returns the shape and dtype of an example; raises for impossible ones."""
    sizes = tuple(shape)
    if not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise InputError(f"{field} shape", sizes, "positive integers")
    kind = np.dtype(dtype)
    if kind.kind not in "fiub":
        raise InputError(f"{field} dtype", dtype, "numbers")
    return jax.ShapeDtypeStruct(sizes, jax.dtypes.canonicalize_dtype(kind))


def read_weights(
    directory: Path, expected: Mapping[str, Any], member: int
) -> tuple[dict[str, Any], int]:
    """Reads the weights of one run.

    Args:
      directory: the directory.
      expected: shapes and dtypes of the variables.
      member: index of the run; 0 for a single one.

    Returns:
      The variables and the number of steps of the training.

    Raises:
      InputError: a missing or damaged file, arrays that do not fit, or a member out of range.
    """
    arrays, metadata = _read_arrays(directory / WEIGHTS)
    count = metadata["members"]
    _check_member(member, count)
    if count:
        arrays = {name: array[member] for name, array in arrays.items()}
    _check_fit(directory / WEIGHTS, arrays, leaves(expected))
    ordered = [arrays[name] for name in leaves(expected)]
    return jax.tree.unflatten(jax.tree.structure(expected), ordered), metadata["steps"]


def _read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Returns all arrays of a file, and the number of its steps and runs (0 for a single one)."""
    from safetensors import SafetensorError, deserialize

    try:
        content = read_bytes(path)
        arrays = {name: _array(**stored) for name, stored in deserialize(content)}
        size = int.from_bytes(content[:8], "little")
        metadata = parse_json_object(content[8 : 8 + size])["__metadata__"]
        numbers = {"steps": int(metadata["steps"]), "members": int(metadata["members"])}
        intact = metadata["sha256"] == _hash(arrays, **numbers)
    except FileNotFoundError:
        allowed = "a finished run; its command resumes it"
        raise InputError(str(path), "no such file", allowed) from None
    except OSError as error:
        raise InputError(str(path), error.strerror, "a regular file") from None
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        allowed = f"a {WEIGHTS} that jaxdl has written"
        raise InputError(str(path), f"{type(error).__name__}: {error}", allowed) from None
    if not intact:
        raise InputError(str(path), "other contents than were written", "an undamaged copy")
    return arrays, numbers


def _array(dtype: str, shape: Sequence[int], data: bytes) -> np.ndarray:
    """Returns an array of a file; the reader of NumPy lacks some dtypes that it writes."""
    return np.frombuffer(data, DTYPES[dtype]).reshape(shape)


def _hash(arrays: Mapping[str, np.ndarray], steps: int, members: int) -> str:
    """Returns the hash of the contents of a file."""
    return state_sha256({"arrays": dict(arrays), "steps": steps, "members": members})


def _check_member(member: int, count: int) -> None:
    if not 0 <= member < max(1, count):
        raise InputError("member", member, f"an index in [0, {max(1, count)}), one per seed")


def _check_fit(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises InputError, naming the first array, unless all have the expected shapes and dtypes."""
    for name in sorted(found.keys() | expected.keys()):
        shapes = [_shape(arrays, name) for arrays in (found, expected)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{path}: {name}", shapes[0], f"{shapes[1]}, as the model needs")


def _shape(arrays: Mapping[str, Any], name: str) -> str:
    if name not in arrays:
        return "no array"
    return f"{arrays[name].dtype}{list(arrays[name].shape)}"


def read_result(directory: Path) -> dict[str, Any]:
    """Reads the result of the run; returns `{}` if there is none."""
    path = directory / "result.json"
    if not path.exists():
        return {}
    try:
        return parse_json_object(read_bytes(path))
    except (OSError, ValueError) as error:
        allowed = "the result of a run; remove it, or restore it"
        raise InputError(str(path), str(error), allowed) from None
