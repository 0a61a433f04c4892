"""One experiment where there is an accelerator: a short run, and the same run resumed."""

import json
import os
import subprocess
import sys

import pytest

from tests.runs.scripts import EXPERIMENTS

#: Settings of the tests that keep JAX on a CPU.
CPU_SETTINGS = ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")


def run(*arguments):
    """Runs Python without the settings for a CPU; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in CPU_SETTINGS}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "directory"),
    [("what_it_sees", [], "."), ("adversarial", ["--defences", "pgd"], "pgd")],
)
def test_a_run_and_a_resumed_run_have_the_same_state(name, arguments, directory, tmp_path):
    platform = run("-c", "import jax; print(jax.default_backend())")
    if platform == "cpu":
        pytest.skip("no accelerator: jax.default_backend() is cpu")
    script = EXPERIMENTS / f"{name}.py"
    command = [script, "--smoke", "--deterministic", *arguments, "--out"]
    run(*command, tmp_path / "whole")
    run(*command, tmp_path / "parts", "--stop-after", 3)
    run(*command, tmp_path / "parts")
    hashes = [
        json.loads((tmp_path / each / directory / "result.json").read_text())["state_sha256"]
        for each in ("whole", "parts")
    ]
    assert hashes[0] == hashes[1]
