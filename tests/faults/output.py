"""Breaks the output of runs, and sends signals again and again: no traceback, and no lost run.

    python -m tests.faults.output --trials 32

Each trial starts the perceptron on the digits as a user would. In the first kinds of trials an
output is closed, full or ASCII, or the terminal has 20 columns. The run must end with exit code 0
and its result. In the others a process receives one to five signals, at random moments from its
first import to its end. It must end with the signal's exit code, or finish. No trial may print a
traceback. Exits with code 1 unless all trials pass.
"""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import command

SUMMARY = "runs finished, or ended with the signal's exit code, without a traceback"
TIMEOUT = 600
OUTPUTS = (
    *("stdout closed", "stderr closed", "both closed", "stdout full", "stderr full"),
    *("a pipe without a reader", "ASCII", "20 columns"),
)
SIGNALS = tuple(f"{name} x{count}" for name in ("SIGINT", "SIGTERM") for count in (1, 2, 5))
KINDS = (*OUTPUTS, *SIGNALS)
TRACES = ("Traceback (most recent", "Exception ignored", "Logging error", "Fatal Python error")

#: Runs the script of its arguments like `python SCRIPT`, but prints a line when Python has started.
#: Processes that a shell starts in the background ignore SIGINT.
RUN = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
print("STARTED", flush=True)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def arguments(out: Path) -> list[str]:
    """Returns the script and the options of a run of two seeds, whose results contain a ±."""
    script = str(command.ROOT / "experiments" / "mlp.py")
    options = ["--steps", "60", "--save-every", "20", "--hidden", "16", "--seeds", "2"]
    return [script, *options, "--out", str(out)]


def start(words: list[str], environment: dict[str, str] | None = None, **streams: Any) -> Any:
    """Starts Python on the CPU."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=command.ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **(environment or {})},
        **streams,
    )


def with_output(kind: str, out: Path) -> tuple[int, str]:
    """Runs an experiment with a broken output.

    Returns:
      Its exit code, and the text in the outputs that work.
    """
    if kind == "20 columns":
        return narrow_terminal(out)
    words = arguments(out)
    environment = {}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    shell = {"stdout closed": ">&-", "stderr closed": "2>&-", "both closed": ">&- 2>&-"}
    with contextlib.ExitStack() as files:
        if kind in ("stdout full", "stderr full"):
            full = files.enter_context(open("/dev/full", "w"))
            streams[kind.split()[0]] = full
        if kind == "ASCII":
            environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
        if kind in shell:
            words = ["-c", CLOSE, shell[kind], *words]
        process = start(words, environment, **streams)
        if kind == "a pipe without a reader":
            process.stdout.close()
            process.stdout = None
        texts = process.communicate(timeout=TIMEOUT)
    return process.returncode, b"".join(text for text in texts if text).decode()


#: Closes outputs and replaces itself by Python with the rest of the arguments.
CLOSE = (
    "import os, sys; [os.close(1 if each[0] == '>' else 2) for each in sys.argv[1].split()]; "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


def narrow_terminal(out: Path) -> tuple[int, str]:
    """Runs an experiment in a terminal of 20 columns; returns its exit code and the text shown."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    environment = {"TERM": "xterm-256color"}
    process = start(arguments(out), environment, stdin=child, stdout=child, stderr=child)
    os.close(child)
    text = b""
    with contextlib.suppress(OSError):
        while part := os.read(parent, 65536):
            text += part
    os.close(parent)
    return process.wait(TIMEOUT), text.decode(errors="replace")


def with_signals(number: int, moments: list[float], out: Path) -> tuple[int, str]:
    """Runs an experiment that receives signals so many seconds after Python has started.

    Returns:
      Its exit code, and the text on standard error.
    """
    words = ["-c", RUN, *arguments(out)]
    process = start(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"STARTED\n"
    began = time.monotonic()
    for moment in sorted(moments):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, began + moment - time.monotonic()))
        process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, errors.decode()


def duration(directory: Path) -> float:
    """Returns the seconds of an uninterrupted run, which the first trial with signals measures."""
    file = directory / "seconds"
    if not file.exists():
        began = time.monotonic()
        code, text = with_output("", directory / "uninterrupted")
        assert code == 0, text
        file.write_text(str(time.monotonic() - began))
    return float(file.read_text())


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Runs an experiment under one condition; checks its end and its output."""
    out = directory / "run"
    if kind in OUTPUTS:
        code, text = with_output(kind, out)
        expected = [0]
        assert code or (out / "result.json").exists(), "the run has no result"
    else:
        name, count = kind.split(" x")
        number = signal.Signals[name]
        first = rng.uniform(0, duration(directory.parent))
        # Half of the later signals follow within milliseconds, as of a key that is held down.
        later = rng.exponential(rng.choice([0.005, 0.5]), int(count) - 1).cumsum()
        moments = [first, *(first + later)]
        code, text = with_signals(number, moments, out)
        # While Python imports, the system's handler of SIGTERM ends the process.
        expected = [0, 128 + number, -number]
    traces = [trace for trace in TRACES if trace in text]
    assert not traces, f"printed a traceback, exit code {code}: ...{text[-1500:]}"
    assert code in expected, f"ended with {code}: ...{text[-500:]}"


if __name__ == "__main__":
    sys.exit(command.main("output", SUMMARY, trial, KINDS, 4 * len(KINDS)))
