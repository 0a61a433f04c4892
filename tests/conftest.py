"""Strict numerics for every test: no silent promotion of dtypes or ranks, four devices, warnings are errors."""

import os
import signal
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What one test process has compiled, the others and the scripts that they start need not compile again.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import jax
import jaxlib.version
import pytest

FOUR_DEVICES = "--xla_force_host_platform_device_count=4"
#: Most of the tests' time is compilation; without the dear passes it is a third less, with XLA's older emitters half.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if jaxlib.version.__version_info__[:2] == (0, 10):  # a flag that XLA does not know ends the process
    QUICK += " --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config):
    """The default tests compile quickly; all others, the `exact` ones among them, get the code that users get."""
    quick = config.option.markexpr == "not slow"
    os.environ.setdefault("XLA_FLAGS", f"{FOUR_DEVICES} {QUICK}" if quick else FOUR_DEVICES)


@pytest.fixture(autouse=True)
def strict():
    """Doctests show what users see, so this holds for the tests only."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def key():
    """The root key of a run with seed 0."""
    return jax.random.key(0)


@pytest.fixture
def signals():
    """Those that end a process as a terminal has them: in the background, or under nohup, some are ignored."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
