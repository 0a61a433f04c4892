"""A run that is told to end in any of its phases: saved, out in time, and the same bits when it goes on.

    python -m tests.faults.signals --trials 20

Each trial starts the perceptron on the digits as a user would, waits until it compiles, trains, classifiers or saves, sends
SIGTERM or SIGINT a moment later, and looks at the exit code (143, 130), the seconds until then (5 at most) and the step
that was saved; then the same command goes on to the end. Exit code 1 unless every trial was as it should be.
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
    """What became of one interruption.

    Attributes:
      code: the exit code.
      seconds: from the signal to the end.
      reached: the step that the process said last that it had done.
      newest: the newest step that was saved.
      sha256: of the final state, after the same command went on.
    """

    code: int
    seconds: float
    reached: int
    newest: int
    sha256: str


def command(out: Path, phase: str = "none") -> list[str]:
    """The perceptron, which says when it is in a phase."""
    return [sys.executable, "-m", "tests.faults.signals", "--child", phase, str(out)]


def whole(out: Path) -> str:
    """The hash of a run that nothing interrupts."""
    subprocess.run(command(out), cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT)
    return sha256(out)


def told(phase: str, number: int, wait: float, out: Path) -> Trial:
    """Sends a signal so many seconds after a phase has begun, and has the run go on afterwards."""
    process = subprocess.Popen(
        command(out, phase), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("READY"):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended with {process.returncode} before it came to {phase}")
    time.sleep(wait)
    process.send_signal(number)
    began = time.monotonic()
    said, _ = process.communicate(timeout=TIMEOUT)
    seconds = time.monotonic() - began
    newest = max(saved(out), default=0)
    return Trial(process.returncode, seconds, reached(said), newest, whole(out))


def reached(said: str) -> int:
    """The last step that a process said it had done."""
    return max(
        (int(line.split()[1]) for line in said.splitlines() if line.startswith("DONE ")), default=0
    )


def wrong(trial: Trial, number: int, expected: str) -> str:
    """What is not as it should be; nothing if all is."""
    rules = {
        f"exit code {trial.code}": trial.code == 128 + number,
        f"{trial.seconds:.1f} s": trial.seconds < LIMIT,
        f"saved step {trial.newest}, but did {trial.reached}": trial.newest >= trial.reached,
        "other bits": trial.sha256 == expected,
    }
    return ", ".join(said for said, fine in rules.items() if not fine)


def child(phase: str, out: str) -> None:
    """The experiment, with a word in each place where a signal may come."""
    from jaxdl.experiment import launch
    from jaxdl.training import loop, program, store
    from jaxdl.training.metric_logger import MetricLogger
    from tests.experiment.scripts import script

    def tell(where: Any, name: str, wanted: str, after: float, busy: bool = False) -> None:
        """Says once that the phase is there when a function is called, and gives the signal time to come."""
        function = getattr(where, name)
        told = []

        def wrapped(*args: Any) -> Any:
            if phase == wanted and not told and not (wanted == "train" and args[1][0] < 30):
                told.append(True)
                print("READY", flush=True)
                time.sleep(after)
                if busy:  # like XLA's compiler: outside of Python for long
                    hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
            return function(*args)

        setattr(where, name, wrapped)

    take = MetricLogger.take

    def taken(self: MetricLogger, block: Any, state: Any) -> None:
        take(self, block, state)
        print(f"DONE {block[0]}", flush=True)

    setattr(MetricLogger, "take", taken)  # noqa: B010
    tell(program, "convolutions", "compile", 0.0, busy=True)
    tell(MetricLogger, "take", "train", 0.0)
    tell(loop, "sweep", "evaluate", 0.5)
    tell(store, "write_manifest", "save", 0.5)
    mlp = script("mlp")
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what is started in the background ignores it
    numbers = ["--steps", str(STEPS), "--save-every", str(SAVE), "--hidden", "32", "--out", out]
    launch(mlp.main, mlp.Config, numbers)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="in each phase")
    parser.add_argument("--phases", nargs="*", default=PHASES, choices=PHASES)
    parser.add_argument("--seed", type=int, default=0)
    read = parser.parse_args()
    fine = 0
    slowest = 0.0
    rng = random.Random(read.seed)
    with tempfile.TemporaryDirectory() as directory:
        expected = whole(Path(directory) / "whole")
        for phase in read.phases:
            for i in range(read.trials):
                number = (signal.SIGTERM, signal.SIGINT)[i % 2]
                trial = told(phase, number, rng.uniform(0, 0.3), Path(directory) / f"{phase}-{i}")
                said = wrong(trial, number, expected)
                fine = fine + (not said)
                slowest = max(slowest, trial.seconds)
                where = f"{phase:<8} {number.name}: out after {trial.seconds:.1f} s, saved step {trial.newest}"
                print(f"{where}{', WRONG: ' + said if said else ''}", flush=True)
    count = len(read.phases) * read.trials
    print(
        f"signals: {fine}/{count} saved, with the right exit code and the same bits; {slowest:.1f} s at most"
    )
    return int(fine < count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        sys.exit(main())
