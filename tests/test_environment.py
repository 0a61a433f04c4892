"""Settings that decide the bits: every option of JAX is either compared or changes no result."""

import os
import subprocess
import sys

import jax
import pytest

from jaxdl.environment import DEFAULTS, NO_RESULT, changed_settings, numeric_flags, settings


def test_every_option_of_jax_is_known():
    """A new version of JAX has new options; each needs a line here or there."""
    unknown = [
        name for name in jax.config.values if name not in DEFAULTS and not NO_RESULT.search(name)
    ]
    assert not unknown


def test_nothing_is_set_in_a_new_process():
    environment = {name: each for name, each in os.environ.items() if not name.startswith("JAX_")}
    code = "from jaxdl.environment import settings; print(settings())"

    def printed(**variables: str) -> str:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment | variables, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout.strip()

    assert printed() == "{}"
    assert printed(JAX_ENABLE_X64="1", JAX_THREEFRY_PARTITIONABLE="0", JAX_LOG_COMPILES="1") == (
        "{'jax_enable_x64': 'True', 'jax_threefry_partitionable': 'False'}"
    )
    assert printed(NVIDIA_TF32_OVERRIDE="0") == "{'NVIDIA_TF32_OVERRIDE': '0'}"


def test_flags_that_change_no_result():
    flags = "--xla_a=1 --xla_force_host_platform_device_count=4 --xla_gpu_deterministic_ops=true"
    assert numeric_flags(f"{flags} --xla_dump_to=x --xla_a=2") == "--xla_a=2"


@pytest.mark.parametrize("stored", [{}, {"settings": None, "xla_flags": os.environ["XLA_FLAGS"]}])
def test_what_was_not_recorded_is_not_compared(stored):
    with jax.enable_x64():
        assert changed_settings(stored) == {}
        assert changed_settings({"settings": {}}) == {"jax_enable_x64": ("the default", "True")}
        assert changed_settings({"settings": settings()}) == {}
