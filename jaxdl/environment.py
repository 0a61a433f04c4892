"""The environment that the bits of a run depend on: versions, devices, processor, settings."""

import contextlib
import hashlib
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from jaxdl import rng

#: Properties that Linux reports of a processor and that select instructions or cache blocking.
INSTRUCTIONS = ("cpu family", "model", "stepping", "cache size", "flags", "Features", "CPU part")

PACKAGES = ("jaxdl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

#: Environment variables that change results on an accelerator.
VARIABLES = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")

#: Options of `jax.config` that may change results, with the defaults of JAX 0.10 to 0.12. Each
#: version has some of them.
DEFAULTS: dict[str, Any] = {
    "allow_ragged_dot_tpu_explicit_transpose": True,
    "eager_constant_folding": False,
    "jax_accurate_erf_inv": False,
    "jax_allow_f16_reductions": True,
    "jax_compiler_enable_remat_pass": True,
    "jax_cpu_collectives_implementation": "gloo",
    "jax_custom_jvp3": False,
    "jax_custom_vjp3": False,
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_enable_custom_prng": False,
    "jax_enable_pgle": False,
    "jax_enable_x64": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_explicit_x64_dtypes": "WARN",
    "jax_high_dynamic_range_gumbel": False,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_optimization_level": "UNKNOWN",
    "jax_pallas_auto_assign_collective_ids": "no",
    "jax_pallas_auto_assign_collective_ids_limit": 25,
    "jax_pallas_use_mosaic_gpu": True,
    "jax_pjrt_client_create_options": None,
    "jax_ragged_dot_use_gpu_pallas_triton_lowering": False,
    "jax_ragged_dot_use_ragged_dot_instruction": True,
    "jax_random_seed_offset": 0,
    "jax_refs_to_pins": False,
    "jax_remat3": False,
    "jax_remat_barrier_no_cotangents": False,
    "jax_scan3": False,
    "jax_softmax_custom_jvp": False,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_threefry_partitionable": True,
    "jax_use_direct_linearize": True,
    "jax_use_emit_pipeline_primitive": False,
    "jax_use_magma": "auto",
    "jax_use_rgv3": True,
    "jax_use_shardy_partitioner": True,
}

#: Parts of the names of options that change no result: where files are, what is printed, what is
#: an error, and which devices exist.
NO_RESULT = re.compile(
    "cache|debug|log|dump|distributed|transfer|transport|traceback|pprint|check|guard|device"
    "|platform|backend|timeout|preemption|recover|topology|mock_num|report|frames|profil|pgle"
    "|aggregation|rank_promotion|dtype_promotion|collection|constants|export|serialization"
    "|jax2tf|legacy_prng_key|vmap_shmap_error|mesh|no_execution|no_tracing|share_binary|source"
    "|thread|unsafe|mosaic_allow|poison|verbose|pcast|bcoo|location|async_dispatch|mtls"
    "|raise_on|cpp_shard_args"
)

#: Flags of XLA that change no result, or that options of a run set: how many devices a CPU has,
#: and whether a GPU is deterministic.
OTHER_FLAGS = ("xla_force_host_platform_device_count", "xla_gpu_deterministic_ops", "xla_dump_")


def environment() -> dict[str, Any]:
    """Returns the versions, devices, settings and PRNG that the numbers of a run depend on."""
    devices = 1
    if jax.default_backend() == "cpu":
        devices = jax.local_device_count()
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
        # XLA has at least one thread per device.
        "cpu_threads": max(threads(), devices),
        "prng": str(jax.random.key_impl(rng.root(0))),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "settings": settings(),
    }


def cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Returns the size of XLA's CPU thread pool.

    The size decides how XLA divides sums, and therefore their rounding. It is taken from the
    environment variables `PJRT_NPROC` and `NPROC`; the default is the number of cores.
    """
    for name in ("PJRT_NPROC", "NPROC"):
        with contextlib.suppress(ValueError):
            return max(1, int(os.environ.get(name, "")))
    return cores()


def processor(description: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the name of the host's processor and a hash of what selects compiled code.

    Args:
      description: file in which the system describes the processor. If it does not exist, the name
        that Python reports is used.

    Example:
      >>> len(processor().split()[-1])
      8
    """
    rows: list[str] = []
    if description.exists():
        rows = description.read_text().partition("\n\n")[0].splitlines()
    properties = {
        name.strip(): value.strip() for name, _, value in (row.partition(":") for row in rows)
    }
    selecting = [f"{name} {properties[name]}" for name in INSTRUCTIONS if name in properties]
    selecting = selecting or [platform.processor()]
    name = properties.get("model name") or platform.processor() or platform.machine()
    return f"{name} {hashlib.sha256(' '.join(selecting).encode()).hexdigest()[:8]}"


def settings() -> dict[str, str]:
    """Returns the options of `jax.config` and the variables that change results.

    Options with their default are left out.

    Example:
      >>> with jax.enable_x64():
      ...     settings()["jax_enable_x64"]
      'True'
    """
    found = {}
    for name, globally in sorted(jax.config.values.items()):  # type: ignore[attr-defined]
        # A context manager may have set another value for this thread.
        value = getattr(jax.config, name, globally)
        value = getattr(value, "name", value)
        if name in DEFAULTS:
            if value != DEFAULTS[name]:
                found[name] = str(value)
        elif not NO_RESULT.search(name):
            # A later version of JAX has options that are not listed here.
            found[name] = str(value)
    return found | {name: os.environ[name] for name in VARIABLES if name in os.environ}


def numeric_flags(flags: str) -> str:
    """Returns the flags of XLA that change results, sorted; of a repeated one the last.

    Example:
      >>> numeric_flags("--xla_b --xla_dump_to=/tmp --xla_a=2")
      '--xla_a=2 --xla_b'
    """
    kept = {}
    for flag in flags.split():
        name = flag.partition("=")[0]
        if not name.lstrip("-").startswith(OTHER_FLAGS):
            kept[name] = flag
    return " ".join(kept[name] for name in sorted(kept))


def changed_settings(stored: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Returns the settings of a stored environment that differ in this process.

    These change results on the same machine: `XLA_FLAGS`, the options of `jax.config`, and
    environment variables.

    Args:
      stored: what `environment` returned. What an earlier version did not record is not compared.

    Returns:
      By name, the stored and the present value; "the default" for an option with its default.
    """
    changed = {}
    flags = os.environ.get("XLA_FLAGS", "")
    pair = numeric_flags(str(stored.get("xla_flags", flags))), numeric_flags(flags)
    if pair[0] != pair[1]:
        changed["XLA_FLAGS"] = pair[0] or "empty", pair[1] or "empty"
    now = settings()
    before = stored.get("settings", now)
    if not isinstance(before, Mapping):
        before = now
    for name in sorted(before.keys() | now.keys()):
        values = str(before.get(name, "the default")), now.get(name, "the default")
        if values[0] != values[1]:
            changed[name] = values
    return changed
