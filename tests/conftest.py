"""Configuration of all tests: four CPU devices, and strict promotion of dtypes and ranks.

`pyproject.toml` turns warnings into errors.
"""

import gc
import os
import signal
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Test processes and the scripts that they start share their compiled programs.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# Programs do not collect the places of their operations in the source.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import jax
import jaxlib.version
import pytest

#: Most memory maps of a test process. Linux allows 65,530, and each compiled program has three.
#: XLA ends a process that needs more.
MAX_MAPS = 30_000
MAPS = Path("/proc/self/maps")
MAPS_SECONDS = 5
#: Time of the last count.
counted = 0.0

FOUR_DEVICES = "--xla_force_host_platform_device_count=4"
#: Most of the tests' time is compilation. Without expensive passes it takes a third less, and with
#: XLA's older emitters half as long.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# XLA ends the process at a flag that it does not have, so this one is limited to its version.
if jaxlib.version.__version_info__[:2] == (0, 10):
    QUICK += " --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config):
    """Makes the default tests compile quickly, and all others that are not `optimized`.

    Any other choice, such as `-m slow`, runs the optimized code that users run.
    """
    flags = FOUR_DEVICES
    if config.option.markexpr == "not slow" or "not optimized" in config.option.markexpr:
        flags += f" {QUICK}"
    os.environ.setdefault("XLA_FLAGS", flags)


@pytest.fixture(autouse=True)
def strict():
    """Strict promotion of dtypes and ranks in tests, but not in doctests, which users copy."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(autouse=True)
def few_programs():
    """Frees the compiled programs of a process before it has too many of them.

    The slow tests of one file alone need more maps than Linux allows. Counting thousands of maps
    takes milliseconds, so it is done at most once in `MAPS_SECONDS`.
    """
    global counted
    yield
    if not MAPS.exists() or time.monotonic() - counted < MAPS_SECONDS:
        return
    counted = time.monotonic()
    if MAPS.read_bytes().count(b"\n") > MAX_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key():
    """The root key of a run with seed 0."""
    return jax.random.key(0)


@pytest.fixture
def signals():
    """Default handlers for the signals that end a process, as in a terminal.

    In the background or under nohup some of these signals are ignored.
    """
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
