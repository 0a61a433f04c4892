"""What XLA is told before its backend starts: what a CPU is made into, and where compiled programs are kept."""

import contextlib
import os
from pathlib import Path

import jax

from jaxdl.errors import InputError

#: More than any machine has; a system that cannot start as many threads ends the process without a word.
MOST_THREADS = 1024


def cores() -> int:
    """Those of the host that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Among how many threads XLA divides its sums on a CPU, which decides their last bits: its cores, if not told."""
    for name in ("PJRT_NPROC", "NPROC"):
        with contextlib.suppress(ValueError):
            return max(1, int(os.environ.get(name, "")))
    return cores()


def set_cpu_threads(count: int) -> None:
    """Has XLA divide them among `count` threads, whatever the cores.

    Raises:
      InputError: it is a CPU's backend that has started already, with another number.
    """
    if not _started():
        os.environ["PJRT_NPROC"] = str(count)
    elif count != threads() and jax.default_backend() == "cpu":
        raise InputError("cpu_threads", count, f"{threads()}, which XLA was told before")


def cpu_devices_are_set() -> bool:
    """Whether XLA has been told how many devices to make of a CPU."""
    return "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")


def make_cpu_devices(count: int) -> None:
    """Makes as many devices of a CPU, if it is not too late; accelerators are left alone."""
    if count > 1 and not cpu_devices_are_set() and not _started():
        jax.config.update("jax_num_cpu_devices", count)


def set_deterministic() -> None:
    """Asks accelerators for the same bits every time."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def enable_compilation_cache(folder: Path) -> None:
    """JAX's persistent cache of compiled programs, unless the user has set one up."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _started() -> bool:
    """Whether the backend has: how many devices a CPU is cannot be set any more."""
    before = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    try:
        jax.config.update("jax_num_cpu_devices", before + 1 if before > 0 else 1)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", before)
    return False
