"""Sends a signal in each phase of a run: it must save, exit in time, and resume bit-identically.

    python -m tests.faults.signals --trials 20

Each trial starts the perceptron on the digits as a user would. It waits until the run compiles,
trains, evaluates or saves, and sends SIGTERM or SIGINT a moment later. The exit code must be 143 or
130, the run must end within 5 seconds, and its last step must be saved. During a compilation the 5
seconds begin when it ends, because Python cannot handle a signal before. The same command then
resumes the run, which must end with the bits of an uninterrupted one. Exits with code 1 unless all
trials pass.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.resume import ROOT, TIMEOUT, saved, sha256

PHASES = ("compile", "train", "evaluate", "save")
STEPS = 150
SAVE = 20
LIMIT = 5.0


class Trial(NamedTuple):
    """The result of one interruption.

    Attributes:
      code: exit code.
      seconds: time from the signal, or from the end of a compilation, to the end of the process.
      reached: last step that the process has printed as done.
      newest: step of the newest checkpoint.
      sha256: hash of the final state after the same command has resumed the run.
    """

    code: int
    seconds: float
    reached: int
    newest: int
    sha256: str


def command(out: Path, phase: str = "none") -> list[str]:
    """Returns the command of a run that prints a line when it reaches a phase."""
    return [sys.executable, "-m", "tests.faults.signals", "--child", phase, str(out)]


def whole(out: Path) -> str:
    """Starts or resumes a run without an interruption; returns its final hash."""
    subprocess.run(command(out), cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT)
    return sha256(out)


def interrupted(phase: str, number: int, wait: float, out: Path) -> Trial:
    """Sends a signal so many seconds after a phase begins; then resumes the run."""
    process = subprocess.Popen(
        command(out, phase), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("READY"):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended with {process.returncode} before phase {phase}")
    time.sleep(wait)
    process.send_signal(number)
    began = time.monotonic()
    output, _ = process.communicate(timeout=TIMEOUT)
    ended = time.monotonic()
    for line in output.splitlines():
        if line.startswith("COMPILED "):
            began = max(began, float(line.split()[1]))
    seconds = ended - began
    newest = max(saved(out), default=0)
    return Trial(process.returncode, seconds, reached(output), newest, whole(out))


def reached(output: str) -> int:
    """Returns the last step that a process has printed as done; 0 if there is none."""
    lines = [line for line in output.splitlines() if line.startswith("DONE ")]
    return max((int(line.split()[1]) for line in lines), default=0)


def problems(trial: Trial, number: int, expected: str) -> str:
    """Returns the problems of a trial as one text, which is empty if the trial passed."""
    checks = {
        f"exit code {trial.code}": trial.code == 128 + number,
        f"{trial.seconds:.1f} s": trial.seconds < LIMIT,
        f"saved step {trial.newest} after step {trial.reached}": trial.newest >= trial.reached,
        "other bits": trial.sha256 == expected,
    }
    return ", ".join(problem for problem, passed in checks.items() if not passed)


def compile_for_seconds() -> None:
    """Computes outside of Python like XLA's compiler; prints COMPILED with the time of its end."""
    try:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10_000_000)
    finally:
        print(f"COMPILED {time.monotonic()}", flush=True)


def child(phase: str, out: str) -> None:
    """Runs the experiment; prints READY in the phase, and DONE with the number of each step."""
    from jaxdl.runs import launch
    from jaxdl.training import loop, program, store
    from jaxdl.training.metric_logger import MetricLogger
    from tests.runs.scripts import script

    def announce(owner: Any, name: str, of_phase: str, pause: float, busy: bool = False) -> None:
        """Wraps a function that begins a phase: its first call prints READY and waits.

        Args:
          owner: module or class of the function.
          name: name of the function.
          of_phase: phase that begins with a call of the function.
          pause: seconds to wait for the signal.
          busy: if True, computes outside of Python for a long time, like XLA's compiler.
        """
        function = getattr(owner, name)
        announced = []

        def wrapped(*args: Any) -> Any:
            is_early = of_phase == "train" and args[1].steps_done < 30
            if phase == of_phase and not announced and not is_early:
                announced.append(True)
                print("READY", flush=True)
                time.sleep(pause)
                if busy:
                    compile_for_seconds()
            return function(*args)

        setattr(owner, name, wrapped)

    record = MetricLogger.record

    def record_and_print(self: MetricLogger, state: Any, in_flight: int = 0) -> Any:
        error = record(self, state, in_flight)
        print(f"DONE {state.steps_done}", flush=True)
        return error

    setattr(MetricLogger, "record", record_and_print)  # noqa: B010
    announce(program, "convolutions", "compile", 0.0, busy=True)
    announce(MetricLogger, "record", "train", 0.0)
    announce(loop, "evaluate_windows", "evaluate", 0.5)
    announce(store, "write_manifest", "save", 0.5)
    mlp = script("mlp")
    # Processes that a shell starts in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = ["--steps", str(STEPS), "--save-every", str(SAVE), "--hidden", "32", "--out", out]
    launch(mlp.main, mlp.Config, options)


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="trials per phase; default: 20")
    parser.add_argument(
        "--phases", nargs="*", default=PHASES, choices=PHASES, help="phases to try; default: all"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the times; default: 0")
    args = parser.parse_args()
    passed = 0
    slowest = 0.0
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as directory:
        expected = whole(Path(directory) / "whole")
        for phase in args.phases:
            for i in range(args.trials):
                number = (signal.SIGTERM, signal.SIGINT)[i % 2]
                out = Path(directory) / f"{phase}-{i}"
                trial = interrupted(phase, number, rng.uniform(0, 0.3), out)
                slowest = max(slowest, trial.seconds)
                line = (
                    f"{phase:<8} {number.name}: ended after {trial.seconds:.1f} s, "
                    f"saved step {trial.newest}"
                )
                wrong = problems(trial, number, expected)
                if wrong:
                    line += f", WRONG: {wrong}"
                else:
                    passed += 1
                print(line, flush=True)
    count = len(args.phases) * args.trials
    print(
        f"signals: {passed}/{count} runs saved, exited with the right code and resumed with the "
        f"same bits; at most {slowest:.1f} s"
    )
    return int(passed < count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        sys.exit(main())
