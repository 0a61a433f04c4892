"""Settings that are made before the XLA backend starts."""

import json
import math
import os
import subprocess
import sys

import jax
import pytest

from jaxdl.environment import cores, environment, processor, threads
from jaxdl.errors import InputError
from jaxdl.recipes.feature_classifier import default_directory
from jaxdl.runs import Options, RunOptions, launch, with_options
from jaxdl.runs.backend import set_cpu_threads
from jaxdl.runs.options import hashed_out
from tests.runs.scripts import script


def run_script(tmp_path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs a script in a new process; it prints its devices and threads."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, jax\n"
        "from jaxdl.runs import Options, RunOptions, launch, with_options\n"
        "def main(config):\n"
        "    given = os.environ.get('PJRT_NPROC'), 'threads', jax.config.jax_num_cpu_devices\n"
        "    print(jax.device_count(), 'devices', config.devices.cpu_threads, *given)\n"
        "launch(main, Options)\n"
    )
    environment = {
        "XLA_FLAGS": "",
        "JAX_PLATFORMS": "cpu",
        "JAXDL_CACHE": str(tmp_path),
    } | environment
    return subprocess.run(
        [sys.executable, script, *options],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, cores()),
        ({"NPROC": "7"}, 7),
        ({"PJRT_NPROC": "3", "NPROC": "7"}, 3),
        ({"PJRT_NPROC": "many", "NPROC": "7"}, 7),
        ({"PJRT_NPROC": " 3"}, 3),
        ({"PJRT_NPROC": "-1"}, 1),
        ({"PJRT_NPROC": "0"}, 1),
        ({"PJRT_NPROC": "9" * 5000}, cores()),
    ],
)
def test_the_number_of_threads_follows_from_the_environment(variables, count, monkeypatch):
    for name in ("PJRT_NPROC", "NPROC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert threads() == count
    for options, expected in (
        ({}, count),
        ({"batch_size": 72, "cpu_devices": 9}, 9),
        ({"cpu_threads": 5}, 5),
    ):
        assert with_options(Options(), **options).validate().devices.cpu_threads == expected


def test_the_number_of_threads_is_limited(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "5000")
    assert Options().validate().devices.cpu_threads == 1024


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"),
    reason="the system cannot restrict a process to some cores",
)
def test_cores_are_those_available_to_the_process(tmp_path):
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from jaxdl import environment\n"
        "print(environment.cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_threads_cannot_change_after_the_backend_started(monkeypatch):
    jax.devices()
    set_cpu_threads(threads())
    with pytest.raises(InputError) as raised:
        set_cpu_threads(threads() + 1)
    assert str(raised.value) == (
        f"cpu_threads: got {threads() + 1}, "
        f"allowed: {threads()}, the number that the CPU backend was started with"
    )


@pytest.mark.parametrize(
    ("options", "variables", "line"),
    [
        (["--cpu-threads", "5"], {"PJRT_NPROC": "3"}, "1 devices 5 5 threads -1"),
        (["--cpu-threads", "5", "--cpu-devices", "2"], {}, "2 devices 5 5 threads 2"),
        ([], {"PJRT_NPROC": " +3"}, "1 devices 3 3 threads -1"),
        (["--seeds", "6"], {"PJRT_NPROC": "3"}, "3 devices 3 3 threads 3"),
        (["--seeds", "6", "--cpu-threads", "4"], {"PJRT_NPROC": "3"}, "2 devices 4 4 threads 2"),
    ],
)
def test_threads_and_devices_are_set_before_the_backend_starts(options, variables, line, tmp_path):
    done = run_script(tmp_path, *options, **variables)
    assert done.stdout == f"{line}\n", done.stderr


def test_an_accelerator_ignores_the_number_of_threads(monkeypatch):
    jax.devices()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    set_cpu_threads(threads() + 1)


def test_the_recorded_number_of_threads_is_that_of_xla(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "9")
    assert environment()["cpu_threads"] == 9
    monkeypatch.setenv("PJRT_NPROC", "1")
    assert environment()["cpu_threads"] == jax.local_device_count()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert environment()["cpu_threads"] == 1


@pytest.mark.parametrize(
    ("options", "stored", "count"),
    [
        ([], {"cpu_threads": 9}, 9),
        (["--cpu-threads", "4"], {"cpu_threads": 9}, 4),
        ([], {}, threads()),
        ([], {"cpu_threads": "9"}, threads()),
        ([], {"cpu_threads": 0}, threads()),
        ([], {"cpu_threads": True}, threads()),
        ([], {"cpu_threads": 9.0}, threads()),
        ([], {"cpu_threads": 10**9}, threads()),
        ([], [], threads()),
    ],
)
@pytest.mark.parametrize("subdirectory", [".", "lstm"])
def test_a_run_is_resumed_with_its_stored_number_of_threads(
    options, stored, count, subdirectory, tmp_path, monkeypatch
):
    set_counts = []
    config_counts = []
    monkeypatch.setattr("jaxdl.runs.backend.set_cpu_threads", set_counts.append)
    (tmp_path / subdirectory).mkdir(exist_ok=True)
    (tmp_path / subdirectory / "config.json").write_text(json.dumps(stored))
    launch(
        lambda config: config_counts.append(config.devices.cpu_threads),
        Options,
        ["--out", str(tmp_path), *options],
    )
    assert set_counts == config_counts == [count]


def test_the_config_of_the_run_comes_before_those_below_it(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("jaxdl.runs.backend.set_cpu_threads", seen.append)

    def main(config):
        pass

    for name, text in (
        ("", '{"cpu_threads": 7}'),
        ("backup", '{"cpu_threads": 8}'),
        ("deep/er", '{"cpu_threads": 9}'),
    ):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "config.json").write_text(text)
    launch(main, Options, ["--out", str(tmp_path)])
    (tmp_path / "config.json").write_text("{")
    launch(main, Options, ["--out", str(tmp_path)])
    (tmp_path / "backup" / "config.json").unlink()
    launch(main, Options, ["--out", str(tmp_path)])
    assert seen == [7, 8, threads()]


def test_a_run_in_its_default_directory_keeps_its_threads(tmp_path, monkeypatch):
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxdl.runs.backend.set_cpu_threads", seen.append)

    def main(config):
        out = hashed_out("test_backend", config)
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps({"cpu_threads": 7}))

    for options in ([], [], ["--seed", "1"], ["--cpu-threads", "3"]):
        launch(main, Options, options)
    assert seen == [threads(), 7, threads(), 3]


def test_a_classifier_in_the_cache_keeps_its_threads(tmp_path, monkeypatch):
    seen = []
    classifier = script("feature_classifier")
    monkeypatch.setattr("jaxdl.runs.backend.set_cpu_threads", seen.append)
    monkeypatch.setattr(
        classifier, "main", lambda config: seen.append(config.default_out("feature_classifier"))
    )
    classifier.main.__module__ = classifier.__name__
    out = default_directory(RunOptions(cache_dir=str(tmp_path)))
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps({"cpu_threads": 7}))
    launch(classifier.main, classifier.Config, ["--cache-dir", str(tmp_path)])
    assert seen == [7, out]
    other = with_options(classifier.Config(), cache_dir=str(tmp_path), steps=7).validate()
    assert other.default_out("feature_classifier").parent.name == "runs"


CPU = (
    "processor\t: 0\nmodel name\t: Some EPYC\nmodel\t: 17\ncpu MHz\t: {}\n"
    "cache size\t: {} KB\nflags\t: fpu {}\n\nprocessor\t: 1\n"
)


def test_a_processor_is_identified_by_what_selects_compiled_code(tmp_path):
    def identified(*row):
        (tmp_path / "cpuinfo").write_text(CPU.format(*row))
        return processor(tmp_path / "cpuinfo")

    plain = identified(2000, 512, "avx2")
    assert plain.startswith("Some EPYC ")
    assert plain == identified(3000, 512, "avx2")
    assert len({plain, identified(2000, 512, "avx512f"), identified(2000, 1024, "avx2")}) == 3
    assert processor(tmp_path / "nowhere") == processor(tmp_path / "nowhere") != plain


def test_deterministic_sets_the_flag_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some=1")
    flags = []
    for _ in range(2):
        launch(lambda config: flags.append(os.environ["XLA_FLAGS"]), Options, ["--deterministic"])
    assert flags == ["--some=1 --xla_gpu_deterministic_ops=true"] * 2


def test_the_compilation_cache_is_enabled_unless_one_is_configured(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        for configured, expected in ((None, str(tmp_path / "xla")), ("/mine", "/mine")):
            jax.config.update("jax_compilation_cache_dir", configured)
            launch(lambda config: None, Options, ["--cache-dir", str(tmp_path)])
            assert jax.config.jax_compilation_cache_dir == expected
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.mark.parametrize(
    ("options", "flags", "output"),
    [
        (["--cpu-devices", "2"], "", "2 devices"),
        (["--seeds", "2"], "", f"{math.gcd(2, cores())} devices"),
        (
            ["--cpu-devices", "4"],
            "--xla_force_host_platform_device_count=2",
            "cpu_devices: got 4, allowed: 2",
        ),
    ],
)
def test_a_cpu_is_divided_into_devices(options, flags, output, tmp_path):
    done = run_script(tmp_path, *options, XLA_FLAGS=flags)
    assert output in done.stdout + done.stderr
