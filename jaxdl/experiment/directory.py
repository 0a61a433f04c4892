"""A run's directory: whose it is, and files that are there whole or not at all."""

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeGuard

import jax
import numpy as np

from jaxdl import rng
from jaxdl.data.files import content, json_object, leads_out, path_of, plain
from jaxdl.errors import InputError, RunError
from jaxdl.experiment.backend import cores, threads
from jaxdl.experiment.options import ELSEWHERE, LENGTH, Options, identity
from jaxdl.training.writers import strict

#: Parts of a result that are objects of numbers, `metrics_std` of several seeds only.
NUMBERS = ("metrics", "metrics_std", "seconds", "throughput")

#: What Linux says of a processor that decides which instructions are used, and how arrays are cut for its cache.
INSTRUCTIONS = ("cpu family", "model", "stepping", "cache size", "flags", "Features", "CPU part")

PACKAGES = ("jaxdl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def environment() -> dict[str, Any]:
    """What the numbers depend on besides the program: versions, devices, random numbers, flags."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "platform": jax.default_backend(),
        "machine": platform.machine(),
        "device_kind": jax.devices()[0].device_kind,
        "device_count": jax.device_count(),
        "processes": jax.process_count(),
        "processor": processor(),
        "cores": cores(),
        # There are no fewer than devices.
        "cpu_threads": max(
            threads(), jax.local_device_count() if jax.default_backend() == "cpu" else 1
        ),
        "prng": str(jax.random.key_impl(rng.root(0))),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def processor(about: Path = Path("/proc/cpuinfo")) -> str:
    """The host's processor: its name, and a hash of all that compiled code and routines choose by.

    Args:
      about: where the system describes it; where it does not, Python's word is taken.

    Example:
      >>> len(processor().split()[-1])
      8
    """
    rows = about.read_text().partition("\n\n")[0].splitlines() if about.exists() else []
    said = {name.strip(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    chosen = [f"{name} {said[name]}" for name in INSTRUCTIONS if name in said] or [
        platform.processor()
    ]
    name = said.get("model name") or platform.processor() or platform.machine()
    return f"{name} {hashlib.sha256(' '.join(chosen).encode()).hexdigest()[:8]}"


def peak_memory() -> dict[str, int | None]:
    """The most bytes that this process has held, on the host and on its fullest device.

    None where nobody counts: devices such as a CPU, whose arrays are the host's, and a host without POSIX's counters.

    Example:
      >>> sorted(peak_memory()), peak_memory()["host_bytes"] > 2**20
      (['device_bytes', 'host_bytes'], True)
    """
    host = None
    with contextlib.suppress(ImportError):
        import resource

        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if platform.system() == "Darwin" else 1024
        )
    counted = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    return {
        "host_bytes": host,
        "device_bytes": max((peak for peak in counted if peak is not None), default=None),
    }


def write_json(path: Path, value: Any) -> None:
    """Writes a file in one piece: it is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(_strict(value), indent=1, allow_nan=False) + "\n")
    partial.replace(path)


def _strict(value: Any) -> Any:
    """The value without the NaN and infinities that JSON lacks: those as strings."""
    if isinstance(value, dict):
        return {name: _strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return strict(value) if isinstance(value, float) else value


def check_out(out: Path, config: Options) -> dict[str, tuple[Any, Any]]:
    """Raises if the directory is another run's; writes nothing.

    Returns:
      What of the options the run in the directory may have changed in, by name: there and here. Those are where its
      steps run, and a larger length where nothing was planned by it.

    Raises:
      InputError: there is something that is no directory, or nothing can be there.
      RunError: it holds a run with other options, files of somebody else, or links to what is not in it.
    """
    path_of(out, "out")
    if not out.exists():
        return {}
    if not out.is_dir():
        raise InputError("out", str(out), "a directory; this is a file")
    for path in out.rglob("*"):
        if leads_out(path, out):
            raise RunError(
                f"out: {path} is a link that leads out of {out}, where nothing is to be written; remove it"
            )
    mine = json.loads(json.dumps(identity(config)))
    file = out / "config.json"
    if not file.exists():
        # A kill while the directory was claimed leaves the half of that file.
        if any(path.name != "config.json.partial" for path in out.iterdir()):
            raise RunError(f"out: {out} holds files but no config.json; choose an empty directory")
        return {}
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    theirs = json.loads(json.dumps({name: defaults.get(name) for name in mine})) | read_json(file)
    if mine["steps"] is not None and theirs["steps"] is not None:
        theirs["epochs"] = mine["epochs"]  # says nothing
    differ = {k: (theirs.get(k), mine.get(k)) for k in sorted(mine.keys() | theirs.keys())}
    differ = {
        k: (there, here)
        for k, (there, here) in differ.items()
        if there != here and not _open(k, there, here)
    }
    refused = {
        k: pair
        for k, pair in differ.items()
        if not (_elsewhere(k, pair) or _longer(k, pair, config))
    }
    if refused:
        said = ", ".join(
            f"{k} is {there!r} there and {here!r} here" for k, (there, here) in refused.items()
        )
        planned = refused.keys() <= set(LENGTH) and config.length_dependent_option
        why = f"; {planned} goes by the length, which cannot change" if planned else ""
        raise RunError(f"out: {out} belongs to a run with other options: {said}{why}")
    return differ


def _open(name: str, there: Any, here: Any) -> bool:
    """Whether one of the two was left open where steps run: what it came to is not known."""
    return name in ELSEWHERE and None in (there, here)


def _elsewhere(name: str, pair: tuple[Any, Any]) -> bool:
    """Whether an option is about where steps run and nothing else; `pmap` means something else (see `Pmapped`)."""
    return name in ELSEWHERE and "pmap" not in pair


def _longer(name: str, pair: tuple[Any, Any], config: Options) -> bool:
    """Whether an option makes the run in the directory longer and nothing else."""
    numbers = all(type(x) in (int, float) for x in pair)
    return name in LENGTH and numbers and pair[1] > pair[0] and not config.length_dependent_option


def claim(out: Path, config: Options, step: int = 0) -> None:
    """Makes the directory this run's: from here on it is refused to runs with other options.

    What the run goes on with since `step` though it was begun otherwise (see `check_out`) is told, and added to
    `conversions.json`. The result of a run that becomes longer is kept as `result-STEPS.json`.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        changes = check_out(out, config)
        file = out / "conversions.json"
        if changes:
            for name, (there, here) in changes.items():
                print(
                    f"goes on after step {step} with {name} {here}, begun with {there}",
                    file=sys.stderr,
                )
            if (out / "result.json").exists():
                done = read_json(out / "result.json").get("steps")
                (out / "result.json").replace(
                    out / f"result-{done if type(done) is int else step}.json"
                )
            write_json(file, {"changed": [*conversions(out), {"step": step, "options": changes}]})
        if changes or not (out / "config.json").exists():
            write_json(out / "config.json", identity(config))
    except OSError as error:
        raise InputError(
            "out", str(out), f"a directory that can be written ({error.strerror})"
        ) from None


def conversions(out: Path) -> list[Any]:
    """What a run has changed in on its way, as `claim` wrote it; raises RunError where the file holds anything else."""
    file = out / "conversions.json"
    found = read_json(file).get("changed") if file.exists() else []
    if not are_conversions(found):
        raise RunError(f"{file} is not what a run wrote; choose another directory")
    return found


def are_conversions(found: Any) -> TypeGuard[list[Any]]:
    """Whether it is a list of steps with the options that changed there, old and new."""
    return isinstance(found, list) and all(
        isinstance(each, dict)
        and type(each.get("step")) is int
        and isinstance(each.get("options"), dict)
        and all(isinstance(pair, list) and len(pair) == 2 for pair in each["options"].values())
        for each in found
    )


def check_data(out: Path, sets: dict[str, str]) -> None:
    """Raises if the run in the directory was begun with other data: its name may be the same, its bytes are not.

    Args:
      out: the run's directory.
      sets: the SHA-256 of each set.

    Raises:
      RunError: with both checksums.
    """
    file = out / "data.json"
    theirs = read_json(file) if file.exists() else sets
    for part in sorted(theirs.keys() | sets.keys()):
        there = theirs.get(part, "none")
        here = sets.get(part, "none")
        if there != here:
            raise RunError(
                f"out: {out} was begun with other data: {part} is {there!s:.12} there and {here[:12]} here"
            )


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file holds; raises RunError, naming it, where that cannot be read."""
    try:
        return json_object(content(path))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from None


def read_result(path: Path) -> dict[str, Any]:
    """What `Run.finish` wrote; raises RunError, naming the file, for anything else."""
    found = read_json(path)
    sets = found.get("data")
    fine = (
        all(_numbers(found.get(part, {} if part == "metrics_std" else None)) for part in NUMBERS)
        and {"total", "compile"} <= found["seconds"].keys()
        and "examples_per_second" in found["throughput"]
        and isinstance(found.get("warnings", []), list)
        and are_conversions(found.get("conversions", []))
        and isinstance(sets, dict)
        and all(
            isinstance(each, dict) and {"name", "sha256", "size"} <= each.keys()
            for each in sets.values()
        )
    )
    if not fine:
        raise RunError(f"{path} is no result that a run wrote; choose another directory")
    numbers = {
        part: {name: float(x) for name, x in found[part].items()}
        for part in NUMBERS
        if part in found
    }
    return found | numbers


def read_array(path: Path) -> Any:
    """An array that a run left in a `.npy` file.

    Args:
      path: the file.

    Raises:
      RunError: there is anything else; names the file.
    """
    try:
        plain(path).close()
        # A view of the file: a header that says more than there is gets no memory.
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:
        # Damage makes the header's parser fail in too many ways to list them.
        raise RunError(
            f"{path} cannot be read: {type(error).__name__}: {error}; remove its directory"
        ) from None


def _numbers(found: Any) -> bool:
    """Whether it is an object of numbers, as `write_json` writes them."""
    return isinstance(found, dict) and all(
        (isinstance(value, float | int) and abs(value) < 2**1000)
        or value in ("NaN", "Infinity", "-Infinity")
        for value in found.values()
    )
