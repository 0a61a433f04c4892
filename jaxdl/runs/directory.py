"""The directory of a run: its owner, its files, and the environment that the run was made in."""

import contextlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import jax
import numpy as np

from jaxdl.data.files import (
    check_utf8,
    escapes_root,
    expand_path,
    open_regular_file,
    parse_json_object,
    read_bytes,
    write_atomically,
)
from jaxdl.data.owner import LOCK, Owner, own
from jaxdl.environment import changed_settings, environment
from jaxdl.errors import InputError, RunError
from jaxdl.runs.comparison import flat
from jaxdl.runs.options import PLACEMENT, Options, flat_options, identity
from jaxdl.training.writers import strict

#: Parts of an environment that are refused (`changed_settings`), that options determine, or that
#: change no result.
NOT_CONVERTED = ("xla_flags", "settings/", "cpu_threads", "cores")

#: Parts of a result that are objects of numbers. Only runs of several seeds have `metrics_std`.
NUMBERS = ("metrics", "metrics_std", "seconds", "throughput")

#: The way out if a file of a run is damaged.
REMEDIES = {
    "config.json": "remove its directory to start the run again",
    **dict.fromkeys(
        ("data.json", "conversions.json", "environment.json", "result.json"),
        "remove it; the command of the run writes it again",
    ),
}


def peak_memory() -> dict[str, int | None]:
    """Returns the peak memory of this process in bytes, on the host and on the fullest device.

    A value is None if it is not measured. CPU devices have no statistics, because their arrays are
    in the memory of the host. The host's value needs the counters of POSIX.

    Example:
      >>> sorted(peak_memory()), peak_memory()["host_bytes"] > 2**20
      (['device_bytes', 'host_bytes'], True)
    """
    host = None
    with contextlib.suppress(ImportError):
        import resource

        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if platform.system() != "Darwin":  # macOS counts bytes, other systems count kilobytes
            host *= 1024
    peaks = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    return {
        "host_bytes": host,
        "device_bytes": max((peak for peak in peaks if peak is not None), default=None),
    }


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically; raises RunError, naming it, if it cannot be written."""
    write_text(path, json.dumps(_strict(value), indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text atomically; raises RunError, naming the file, if it cannot be written."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None


def _strict(value: Any) -> Any:
    """Replaces NaN and infinities, which JSON lacks, by strings."""
    if isinstance(value, dict):
        return {name: _strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    if isinstance(value, float):
        return strict(value)
    return value


def check_out(out: Path, config: Options) -> dict[str, tuple[Any, Any]]:
    """Checks that a run with these options may use the directory; writes nothing.

    Returns:
      Options that differ from the stored run, by name, as `(stored, given)`. Only options that
      select the devices may differ.

    Raises:
      InputError: the path is not a directory, or cannot be one.
      RunError: the directory contains a run with other options or other settings of JAX and XLA,
        unrelated files, or links to files outside of it.
    """
    expand_path(out, "out")
    check_utf8(out, "out")
    if not out.exists():
        return {}
    if not out.is_dir():
        raise InputError("out", str(out), "a directory; this is a file")
    for path in out.rglob("*"):
        if escapes_root(path, out):
            raise RunError(f"out: {path} is a link to a file outside of {out}; remove the link")
    file = out / "config.json"
    if not file.exists():
        # A process that is killed while it claims the directory leaves these files.
        own_files = {LOCK, *(path.name for path in out.glob("config.json*.partial"))}
        if any(path.name not in own_files for path in out.iterdir()):
            raise RunError(f"out: {out} holds files but no config.json; choose an empty directory")
        return {}
    differences = _option_differences(read_json(file), config)
    mapped = config.devices.strategy == "pmap"
    refused = {
        name: pair for name, pair in differences.items() if not _is_placement(name, pair, mapped)
    }
    if refused:
        remedy = "use the stored ones, another directory, or remove this one"
        raise RunError(
            f"out: {out} belongs to a run with other options: {_pairs(refused)}; {remedy}"
        )
    # A finished run has no steps left that other settings could change.
    if not (out / "result.json").exists():
        settings = changed_settings(_started_in(out))
        if settings:
            raise RunError(
                f"out: {out} was started with other settings, which change the results: "
                f"{_pairs(settings)}; use the stored ones, or another directory"
            )
    return differences


def _pairs(differences: Mapping[str, tuple[Any, Any]]) -> str:
    """Returns differences as a text with both values."""
    return ", ".join(
        f"{name} (stored {stored!r}, given {given!r})"
        for name, (stored, given) in differences.items()
    )


def _started_in(out: Path) -> dict[str, Any]:
    """Reads the environment in which a run was started or resumed; `{}` if it is not recorded."""
    file = out / "environment.json"
    if not file.exists():
        return {}
    return read_json(file)


def _environment_changes(out: Path, now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the parts of the environment that differ from the stored ones, by name."""
    stored = flat(_started_in(out))
    given = flat(now)
    ignored: tuple[str, ...] = NOT_CONVERTED
    if now["platform"] == "cpu":
        ignored = *ignored, "device_count"
    return {
        name: (each, given.get(name))
        for name, each in stored.items()
        if each != given.get(name) and not name.startswith(ignored)
    }


def _option_differences(file: dict[str, Any], config: Options) -> dict[str, tuple[Any, Any]]:
    """Returns the options that differ from those in a `config.json`, as `(stored, given)`."""
    given = json.loads(json.dumps(identity(config)))
    defaults = flat_options(type(config)())
    # Options that were added after the run was started have their default.
    stored = json.loads(json.dumps({name: defaults.get(name) for name in given})) | file
    if given["steps"] is not None and stored["steps"] is not None:
        stored["epochs"] = given["epochs"]  # not used
    names = sorted(given.keys() | stored.keys())
    pairs = {name: (stored.get(name), given.get(name)) for name in names}
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and not _is_undetermined(name, pair)
    }


def _is_undetermined(name: str, pair: tuple[Any, Any]) -> bool:
    """Returns True for a device option without a value in one of two runs."""
    return name in PLACEMENT and None in pair


def _is_placement(name: str, pair: tuple[Any, Any], mapped: bool) -> bool:
    """Returns True if an option only changes the devices.

    The strategy `pmap` and its number of devices change the run (`Pmapped`).
    """
    if mapped and name == "cpu_devices":
        return False
    return name in PLACEMENT and "pmap" not in pair


def claim(out: Path, config: Options, wait_for: str = "") -> Owner:
    """Makes this process the owner of the directory; stores the options and the environment.

    Options and parts of the environment that changed since the run was started (see `check_out`)
    are printed and added to `conversions.json`.

    Args:
      out: directory of the run.
      config: its options.
      wait_for: activity of another owner, whose end is waited for; see `own`.

    Returns:
      The owner. Its end lets other processes use the directory.

    Raises:
      InputError: the directory cannot be made or written.
      RunError: the directory belongs to another run or process.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        owner = own(out, wait_for=wait_for)
        try:
            _store_identity(out, config)
        except BaseException:
            owner.close()
            raise
    except OSError as error:
        allowed = f"a directory that can be written ({error.strerror})"
        raise InputError("out", str(out), allowed) from None
    return owner


def _store_identity(out: Path, config: Options) -> None:
    """Removes left-over partial files; stores options, environment, and what changed of them."""
    for left_over in out.glob("*.json*.partial"):
        left_over.unlink()
    options = check_out(out, config)
    here = environment()
    changes = options | _environment_changes(out, here)
    if changes:
        changed = conversions(out)
        for name, (stored, given) in changes.items():
            print(f"resuming with {name} {given} instead of {stored}", file=sys.stderr)
            changed[name] = [*changed.get(name, [stored]), given]
        write_json(out / "conversions.json", changed)
    if options or not (out / "config.json").exists():
        write_json(out / "config.json", identity(config))
    if _started_in(out) != here:
        write_json(out / "environment.json", here)


def conversions(out: Path) -> dict[str, list[Any]]:
    """Reads what changed when a run was resumed, each with its values in order.

    These are options that select the devices, and parts of the environment.

    Raises:
      RunError: the file has other contents.
    """
    file = out / "conversions.json"
    if not file.exists():
        return {}
    changed = read_json(file)
    if not are_conversions(changed):
        raise RunError(f"{file} was not written by a run; choose another directory")
    return changed


def are_conversions(value: Any) -> TypeGuard[dict[str, list[Any]]]:
    """Returns True for an object of options with at least two values each, as `claim` writes it."""
    return isinstance(value, dict) and all(
        isinstance(values, list) and len(values) > 1 for values in value.values()
    )


def check_data(out: Path, sets: dict[str, str]) -> None:
    """Raises if the run in the directory was started with other data.

    The names of data sets may be equal, so their bytes are compared.

    Args:
      out: directory of the run.
      sets: SHA-256 of each set.

    Raises:
      RunError: a checksum differs; the message contains both.
    """
    file = out / "data.json"
    if not file.exists():
        return
    stored_sets = read_json(file)
    for part in sorted(stored_sets.keys() | sets.keys()):
        stored = stored_sets.get(part, "none")
        given = sets.get(part, "none")
        if stored != given:
            raise RunError(
                f"out: {out} was started with other data: "
                f"{part} (stored {stored!s:.12}, given {given[:12]})"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file that contains a JSON object; raises RunError, naming it, if that fails."""
    try:
        return parse_json_object(read_bytes(path))
    except (OSError, ValueError) as error:
        remedy = REMEDIES.get(path.name, "choose another file")
        raise RunError(f"{path} cannot be read: {error}; {remedy}") from None


def read_result(path: Path) -> dict[str, Any]:
    """Reads a `result.json` of `Run.finish`; raises RunError, naming it, for other contents."""
    result = read_json(path)
    if not _is_result(result):
        raise RunError(f"{path} is not a result written by a run; choose another directory")
    numbers = {
        part: {name: float(x) for name, x in result[part].items()}
        for part in NUMBERS
        if part in result
    }
    return result | numbers


def _is_result(value: dict[str, Any]) -> bool:
    """Returns True if an object has the parts of a result that are read again."""
    parts = {"metrics_std": {}} | value
    if not all(_are_numbers(parts.get(name)) for name in NUMBERS):
        return False
    sets = value.get("data")
    return (
        {"total", "compile"} <= value["seconds"].keys()
        and "examples_per_second" in value["throughput"]
        and isinstance(value.get("warnings", []), list)
        and are_conversions(value.get("conversions", {}))
        and isinstance(sets, dict)
        and all(
            isinstance(each, dict) and {"name", "sha256", "size"} <= each.keys()
            for each in sets.values()
        )
    )


def _are_numbers(value: Any) -> bool:
    """Returns True for an object of numbers, as `write_json` writes them."""
    return isinstance(value, dict) and all(
        (isinstance(number, float | int) and abs(number) < 2**1000)
        or number in ("NaN", "Infinity", "-Infinity")
        for number in value.values()
    )


def read_array(path: Path) -> Any:
    """Reads an array from a `.npy` file that a run wrote.

    Args:
      path: file to read.

    Raises:
      RunError: the file does not contain an array; the message names the file.
    """
    try:
        open_regular_file(path).close()
        # The file is mapped, so a header with a too large shape does not allocate memory.
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:
        # A damaged header raises too many types of exceptions to list them.
        raise RunError(
            f"{path} cannot be read: {type(error).__name__}: {error}; remove its directory"
        ) from None
