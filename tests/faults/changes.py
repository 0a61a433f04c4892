"""A run that goes on with something changed: refused with both values, or changed as is documented.

    python -m tests.faults.changes

Each trial starts the perceptron as a user would, stops it, and goes on with another option, or with other data under
the same name. What would make it another run must be refused in one line, exit code 2, that has the old and the new
value, with nothing written. What may change is where steps run, and the length of a run in which nothing goes by the
length; a run made longer must end with the bits of one that was begun so. Exit code 1 unless every trial was as it
should be.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults import command
from tests.faults.resume import ROOT, saved, sha256

BEGUN = ["--steps", "12", "--hidden", "16", "--save-every", "4"]

#: What changes, and what of it the line must say.
REFUSED = {
    "seed": (["--seed", "3"], "seed is 0 there and 3 here"),
    "batch size": (["--batch-size", "64"], "batch_size is 128 there and 64 here"),
    "split": (["--validation", "0.2"], "validation is 0.1 there and 0.2 here"),
    "model": (["--hidden", "8"], "hidden is [16] there and [8] here"),
    "optimizer": (["--optimizer", "sgd"], "optimizer is 'adam' there and 'sgd' here"),
    "learning rate": (["--learning-rate", "0.1"], "learning_rate is 0.001 there and 0.1 here"),
    "seeds": (["--seeds", "2"], "seeds is 1 there and 2 here"),
    "skipping": (["--skip-nonfinite"], "skip_nonfinite is False there and True here"),
    "shorter": (["--steps", "10"], "steps is 12 there and 10 here"),
    "data": ([], "was begun with other data: train is "),
}
ALLOWED = {
    "devices": ["--cpu-devices", "2"],
    "strategy": ["--strategy", "single"],
    "checks": ["--debug"],
    "longer": ["--steps", "20"],
}
PLANNED = "longer, planned"
KINDS = [*REFUSED, PLANNED, *ALLOWED]


def data(path: Path, seed: int) -> None:
    """Random images of four classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(600) % 4
    np.savez(
        path,
        x=(rng.random((600, 8, 8, 1)) + 0.2 * labels[:, None, None, None]).astype(np.float32),
        y=labels,
    )


def started(out: Path, *more: str) -> subprocess.CompletedProcess:
    """The experiment; of an option that is said twice the last counts."""
    words = ["--data", str(out.parent / "own.npz"), *BEGUN, "--out", str(out), *more]
    script = [sys.executable, str(ROOT / "experiments" / "mlp.py")]
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    }
    return subprocess.run(
        [*script, *words],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def contents(out: Path) -> dict[str, str]:
    """A hash of every file."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    """One change; raises what was not as it should be."""
    out = place / "run"
    data(place / "own.npz", seed=1)
    schedule = ["--schedule", "cosine"] if kind == PLANNED else []
    begun = started(out, *schedule, *([] if kind == "longer" else ["--stop-after", "8"]))
    assert begun.returncode == 0, begun.stderr
    before = contents(out)
    if kind in ALLOWED:
        _goes_on(kind, out, place)
        return
    more, said = REFUSED.get(
        kind, (["--steps", "20", *schedule], "--schedule cosine goes by the length")
    )
    if kind == "data":
        data(place / "own.npz", seed=2)
    refused = started(out, *more)
    lines = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert refused.returncode == 2, f"exit code {refused.returncode}: {refused.stderr[-500:]}"
    assert len(lines) == 1 and said in lines[0], f"{said!r} is not in {lines}"
    assert contents(out) == before, "it changed the directory"


def _goes_on(kind: str, out: Path, place: Path) -> None:
    done = started(out, *ALLOWED[kind])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "goes on after step " in done.stderr, "nothing was said"
    assert (out / "conversions.json").exists(), "nothing was kept"
    if kind == "longer":
        assert saved(out)[-1] == 20
        whole = started(place / "whole", *ALLOWED[kind])
        assert whole.returncode == 0 and sha256(out) == sha256(place / "whole"), "other bits"


if __name__ == "__main__":
    sys.exit(command.main("changes", "refused, or changed as documented", trial, KINDS, len(KINDS)))
