"""What XLA is told before its backend starts."""

import json
import math
import os
import subprocess
import sys

import jax
import pytest

from jaxdl.errors import InputError
from jaxdl.experiment import Options, launch
from jaxdl.experiment.backend import cores, divide_sums, threads


def started(tmp_path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """A script that says what it was given, in a process of its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, jax\n"
        "from jaxdl.experiment import Options, launch\n"
        "def main(config):\n"
        "    print(jax.device_count(), 'devices', config.cpu_threads, os.environ.get('PJRT_NPROC'), 'threads')\n"
        "launch(main, Options)\n"
    )
    environment = {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu", "JAXDL_CACHE": str(tmp_path)} | environment
    return subprocess.run(
        [sys.executable, script, *options], capture_output=True, text=True, env=os.environ | environment
    )


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ({}, cores()),
        ({"NPROC": "7"}, 7),
        ({"PJRT_NPROC": "3", "NPROC": "7"}, 3),
        ({"PJRT_NPROC": "many", "NPROC": "7"}, 7),
        ({"PJRT_NPROC": "-1"}, cores()),
    ],
)
def test_xla_has_as_many_threads_as_it_is_told(told, count, monkeypatch):
    for name in ("PJRT_NPROC", "NPROC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert threads() == count
    assert Options().checked().cpu_threads == count
    assert Options(cpu_threads=5).checked().cpu_threads == 5


def test_too_late_for_other_threads(monkeypatch):
    jax.devices()
    divide_sums(threads())
    with pytest.raises(InputError) as raised:
        divide_sums(threads() + 1)
    assert str(raised.value) == (f"cpu_threads: got {threads() + 1}, allowed: {threads()}, which XLA was told before")


def test_in_time_for_other_threads(tmp_path):
    assert started(tmp_path, "--cpu-threads", "5", PJRT_NPROC="3").stdout == "1 devices 5 5 threads\n"


@pytest.mark.parametrize(
    ("options", "there", "count"),
    [
        ([], {"cpu_threads": 9}, 9),
        (["--cpu-threads", "4"], {"cpu_threads": 9}, 4),
        ([], {}, threads()),
        ([], {"cpu_threads": "9"}, threads()),
        ([], {"cpu_threads": 10**9}, threads()),
        ([], [], threads()),
    ],
)
@pytest.mark.parametrize("below", [".", "lstm"])
def test_a_run_goes_on_with_the_threads_it_was_begun_with(options, there, count, below, tmp_path, monkeypatch):
    told, seen = [], []
    monkeypatch.setattr("jaxdl.experiment.backend.divide_sums", told.append)
    (tmp_path / below).mkdir(exist_ok=True)
    (tmp_path / below / "config.json").write_text(json.dumps(there))
    launch(lambda config: seen.append(config.cpu_threads), Options, ["--out", str(tmp_path), *options])
    assert told == seen == [count]


def test_deterministic_sets_the_flag_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some=1")
    flags = []
    for _ in range(2):
        launch(lambda config: flags.append(os.environ["XLA_FLAGS"]), Options, ["--deterministic"])
    assert flags == ["--some=1 --xla_gpu_deterministic_ops=true"] * 2


def test_compiled_programs_are_kept_unless_the_user_has_a_place(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        for given, kept in ((None, str(tmp_path / "xla")), ("/mine", "/mine")):
            jax.config.update("jax_compilation_cache_dir", given)
            launch(lambda config: None, Options, ["--cache-dir", str(tmp_path)])
            assert jax.config.jax_compilation_cache_dir == kept
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.mark.parametrize(
    ("options", "flags", "said"),
    [
        (["--cpu-devices", "2"], "", "2 devices"),
        (["--seeds", "2"], "", f"{math.gcd(2, os.cpu_count() or 1)} devices"),
        (["--cpu-devices", "4"], "--xla_force_host_platform_device_count=2", "cpu_devices: got 4, allowed: 2"),
    ],
)
def test_a_cpu_becomes_as_many_devices(options, flags, said, tmp_path):
    done = started(tmp_path, *options, XLA_FLAGS=flags)
    assert said in done.stdout + done.stderr
