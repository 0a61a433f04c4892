"""Settings of XLA that must be made before its backend starts, and the compilation cache."""

import os
from pathlib import Path

import jax

from jaxdl.environment import threads
from jaxdl.errors import InputError, one_line

#: Largest thread pool that is accepted. A system that cannot start the threads kills the process
#: without a message.
MOST_THREADS = 1024


def set_cpu_threads(count: int) -> None:
    """Sets the size of XLA's CPU thread pool.

    Args:
      count: number of threads; may differ from the number of cores.

    Raises:
      InputError: the CPU backend has already started with another number.
    """
    if not _started():
        os.environ["PJRT_NPROC"] = str(count)
    elif count != threads() and jax.default_backend() == "cpu":
        allowed = f"{threads()}, the number that the CPU backend was started with"
        raise InputError("cpu_threads", count, allowed)


def cpu_devices_are_set() -> bool:
    """Returns True if `XLA_FLAGS` sets the number of CPU devices."""
    return "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")


def make_cpu_devices(count: int) -> None:
    """Divides the CPU into devices, unless `XLA_FLAGS` does or the backend has started.

    Args:
      count: number of CPU devices. Accelerators are not affected.
    """
    if count > 1 and not cpu_devices_are_set() and not _started():
        jax.config.update("jax_num_cpu_devices", count)


def start() -> None:
    """Starts JAX's backend.

    Raises:
      InputError: JAX finds no device, or not the platform that `JAX_PLATFORMS` requests.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        # JAX 0.10 asserts that a device was found, without a message.
        detail = one_line(error) or "no device was found"
        platforms = jax.config.jax_platforms  # type: ignore[attr-defined]
        allowed = (
            f"a platform that this machine and the installed jaxlib have, such as cpu; {detail}"
        )
        raise InputError("JAX_PLATFORMS", platforms, allowed) from None


def set_deterministic() -> None:
    """Sets the XLA flag that makes the results of GPUs deterministic."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def enable_compilation_cache(folder: Path) -> None:
    """Enables JAX's persistent compilation cache in `folder/xla`, unless one is configured."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _started() -> bool:
    """Returns True if the backend has started, so that the CPU devices are fixed."""
    count = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    other = count + 1 if count > 0 else 1
    try:
        jax.config.update("jax_num_cpu_devices", other)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", count)
    return False
