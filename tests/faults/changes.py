"""Resumes a run with a changed option or changed data: it is refused, or changes as documented.

    python -m tests.faults.changes

Each trial starts the perceptron as a user would, stops it, and resumes it with another option or
with other data under the same name. A change that would make it another run must be refused with
exit code 2. The error must be one line with the old and the new value, and nothing may be written.
The devices of a run may change.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults import command
from tests.faults.resume import ROOT

FIRST_OPTIONS = ["--steps", "12", "--hidden", "16", "--save-every", "4"]

#: By kind, the options on resume and a part of the error message.
REFUSED = {
    "seed": (["--seed", "3"], "seed (stored 0, given 3)"),
    "batch size": (["--batch-size", "64"], "batch_size (stored 128, given 64)"),
    "split": (["--validation", "0.2"], "validation (stored 0.1, given 0.2)"),
    "model": (["--hidden", "8"], "hidden (stored [16], given [8])"),
    "optimizer": (["--optimizer", "sgd"], "optimizer (stored 'adam', given 'sgd')"),
    "learning rate": (["--learning-rate", "0.1"], "learning_rate (stored 0.001, given 0.1)"),
    "seeds": (["--seeds", "2"], "seeds (stored 1, given 2)"),
    "skipping": (["--skip-nonfinite"], "skip_nonfinite (stored False, given True)"),
    "shorter": (["--steps", "10"], "steps (stored 12, given 10)"),
    "longer": (["--steps", "20"], "steps (stored 12, given 20)"),
    "data": ([], "was started with other data: train (stored "),
}
ALLOWED = {
    "devices": ["--cpu-devices", "2"],
    "strategy": ["--strategy", "single"],
    "checks": ["--debug"],
}
KINDS = [*REFUSED, *ALLOWED]
SUMMARY = "changed options or data refused, or applied as documented"


def write_data(path: Path, seed: int) -> None:
    """Writes random images of four classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(600) % 4
    np.savez(
        path,
        x=(rng.random((600, 8, 8, 1)) + 0.2 * labels[:, None, None, None]).astype(np.float32),
        y=labels,
    )


def run_experiment(out: Path, *more: str) -> subprocess.CompletedProcess:
    """Runs the experiment; if an option is repeated in `more`, the last one counts."""
    options = ["--data", str(out.parent / "own.npz"), *FIRST_OPTIONS, "--out", str(out), *more]
    script = [sys.executable, str(ROOT / "experiments" / "mlp.py")]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    }
    return subprocess.run(
        [*script, *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def contents(out: Path) -> dict[str, str]:
    """Returns the hash of every file."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Starts a run, makes one change and resumes it."""
    out = directory / "run"
    write_data(directory / "own.npz", seed=1)
    first = run_experiment(out, "--stop-after", "8")
    assert first.returncode == 0, first.stderr
    if kind in ALLOWED:
        check_allowed(kind, out)
    else:
        check_refused(kind, out, directory)


def check_refused(kind: str, out: Path, directory: Path) -> None:
    """Resumes with a change that must be refused."""
    before = contents(out)
    options, part = REFUSED[kind]
    if kind == "data":
        write_data(directory / "own.npz", seed=2)
    refused = run_experiment(out, *options)
    lines = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert refused.returncode == 2, f"exit code {refused.returncode}: {refused.stderr[-500:]}"
    assert len(lines) == 1 and part in lines[0], f"{part!r} is not in {lines}"
    assert contents(out) == before, "the refused run changed the directory"


def check_allowed(kind: str, out: Path) -> None:
    """Resumes with a change that is allowed and recorded."""
    done = run_experiment(out, *ALLOWED[kind])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "resuming with " in done.stderr, "the change was not printed"
    assert (out / "conversions.json").exists(), "the change was not recorded"


if __name__ == "__main__":
    sys.exit(command.main("changes", SUMMARY, trial, KINDS, len(KINDS)))
