"""The door of a script: errors of the system in one line, signals, and output that fails."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading

import jax
import pytest

from jaxdl import plots
from jaxdl.output import log_thread_exception
from jaxdl.plots.page import page
from jaxdl.runs import Options, launch, run_experiment, with_options
from jaxdl.runs.command_line import LOGGERS, _message
from jaxdl.training.shutdown import end_if_swallowed
from tests.runs import runs
from tests.runs.runs import Config, options

FULL = OSError(28, "No space left on device")


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text):
        raise FULL

    def flush(self):
        raise FULL


def no_memory() -> Exception:
    """Returns the error of XLA for an array that fits into no memory."""
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.device_put(0.0) + jax.numpy.zeros(2**42)
    return caught.value


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(13, "Permission denied", "/data"), "use a path that can be read"),
        (BrokenPipeError(32, "Broken pipe"), "on a disk with space"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "PYTHONUTF8=1"),
        (MemoryError("4 TiB\nfor an array"), "a smaller --batch-size"),
        (None, "a smaller --batch-size"),
    ],
)
def test_an_error_of_the_system_is_one_line(error, remedy, capsys):
    error = error or no_memory()

    def main(config):
        raise error

    with pytest.raises(SystemExit) as stopped:
        launch(main, Options, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and line.startswith("error: ") and remedy in line
    assert type(error).__name__ in line


def test_another_error_of_xla_keeps_its_traceback():
    assert _message(jax.errors.JaxRuntimeError("INTERNAL: a fault of XLA")) == ""


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to\ninitialize cuda")])
def test_a_platform_that_jax_cannot_start_is_one_line(error, monkeypatch, capsys):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(SystemExit):
        launch(lambda config: None, Options, [])
    (line,) = capsys.readouterr().err.splitlines()
    platforms = jax.config.jax_platforms
    assert line.startswith(f"error: JAX_PLATFORMS: got {platforms!r}, allowed: a platform that ")


@pytest.mark.parametrize("broken", ["stdout", "stderr"])
def test_a_run_finishes_without_output(tmp_path, monkeypatch, broken):
    def main(config):
        given = with_options(config, out=str(tmp_path / "run")).validate()
        return run_experiment(given, runs.experiment)

    monkeypatch.setattr(sys, broken, Full())
    launch(main, Config, ["--steps", "4", "--save-every", "2"])
    assert (tmp_path / "run" / "result.json").exists()
    assert getattr(sys, broken) is not getattr(sys, f"__{broken}__")


@pytest.mark.filterwarnings("default:store. already finished")
def test_a_finished_training_whose_log_was_emptied_gets_its_result(tmp_path, capsys):
    def experiment(run):
        result = runs.experiment(run)
        plots.learning_curves(run.records(), run.figure("curves"))
        return result

    def main(config):
        return run_experiment(options(tmp_path / "run"), experiment)

    launch(main, Config, [])
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    capsys.readouterr()
    launch(main, Config, [])
    errors = capsys.readouterr().err.splitlines()
    assert "warning: store: already finished at step 8; nothing trained" in errors
    assert not [line for line in errors if "UserWarning" in line]
    assert (tmp_path / "run" / "result.json").exists()


def test_the_tracebacks_of_orbax_go_to_a_file(tmp_path, monkeypatch, capsys):
    from absl import logging

    def failing(target, state):
        logging.error("Traceback of Orbax")
        raise FULL

    monkeypatch.setattr("jaxdl.training.store._start_saving", failing)
    with pytest.raises(SystemExit):
        launch(
            lambda config: run_experiment(options(tmp_path / "run"), runs.experiment), Config, []
        )
    errors = capsys.readouterr().err
    assert "saving step 4" in errors and "Traceback" not in errors
    assert "ERROR Traceback of Orbax" in (tmp_path / "run" / "orbax.log").read_text()


#: A script that fails while an operation of TensorStore is under way. Its callback then finds the
#: event loop closed, and a thread fails, too.
LATE = """
import asyncio, gc, sys, threading
from pathlib import Path
import tensorstore
from jaxdl.errors import CheckpointError
from jaxdl.runs import Options, launch

promise, future = tensorstore.Promise.new()

async def wait():
    await future

async def save():
    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    raise CheckpointError("a save failed")

def main(config):
    Path(config.run.out).mkdir()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(save())
    finally:
        loop.close()

def fail():
    raise RuntimeError("a thread failed")

try:
    launch(main, Options)
finally:
    for late in (lambda: promise.set_result(0), fail, sys.exit):
        thread = threading.Thread(target=late)
        thread.start()
        thread.join()
    gc.collect()
"""


def test_threads_that_fail_after_the_error_of_a_script_print_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(LATE)
    command = [sys.executable, script, "--cache-dir", str(tmp_path), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (2, "error: a save failed\n")
    log = (tmp_path / "run" / "orbax.log").read_text()
    for line in (
        "ERROR exception ignored in NoneType",
        "RuntimeError: Event loop is closed",
        "RuntimeError: a thread failed",
        "ERROR Task was destroyed but it is pending!",
    ):
        assert line in log, log
    assert log.count("ERROR") == 3, log


def test_the_hooks_of_a_process_that_goes_on_are_restored(tmp_path):
    hooks = [sys.unraisablehook, threading.excepthook]
    during = []

    def main(config):
        during.extend([sys.unraisablehook, threading.excepthook])

    launch(main, Options, ["--out", str(tmp_path)])
    assert [sys.unraisablehook, threading.excepthook] == hooks
    assert during == [end_if_swallowed, log_thread_exception]


#: A script whose main function ends at the first signal, and whose end takes a second.
SCRIPT = """
import atexit, gc, signal, time
from jaxdl.runs import Options, launch

# Processes that a shell starts in the background ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

def main(config):
    atexit.register(time.sleep, 1)
    if {swallowed}:
        gc.callbacks.append(lambda *_: signal.raise_signal(signal.{name}))
        gc.collect()
    print("READY", flush=True)
    while True:  # A signal just before a sleep has no effect until its end.
        time.sleep(0.01)

launch(main, Options)
"""


@pytest.mark.parametrize(
    ("name", "count", "swallowed"),
    [("SIGINT", 1, True), ("SIGINT", 4, False), ("SIGTERM", 4, False)],
)
def test_repeated_signals_leave_no_traceback(tmp_path, name, count, swallowed):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(name=name, swallowed=swallowed))
    process = subprocess.Popen(
        [sys.executable, script, "--cache-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    if not swallowed:
        assert process.stdout.readline() == b"READY\n"
        for _ in range(count):
            process.send_signal(signal.Signals[name])
    _, errors = process.communicate()
    assert process.returncode == 128 + signal.Signals[name]
    assert b"Traceback" not in errors and b"ignored" not in errors


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_a_call_gives_the_loggers_back(tmp_path, error):
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(log.propagate, log.handlers) for log in loggers]

    def main(config):
        raise error

    with pytest.raises(SystemExit):
        launch(main, Config, ["--out", str(tmp_path / "run")])
    assert [(log.propagate, log.handlers) for log in loggers] == before


@pytest.mark.parametrize("smoke", [False, True])
def test_pictures_of_a_smoke_test_are_stamped(smoke, tmp_path):
    def main(options: Options) -> None:
        with page(tmp_path / "line.png", 2, 1) as figure:
            figure.subplots().plot([1, 2])
        texts.extend(text.get_text() for text in figure.texts)

    texts: list[str] = []
    words = ["--out", str(tmp_path / "run"), *(["--smoke"] * smoke)]
    launch(main, Options, words)
    assert texts == ["smoke test"] * smoke
