"""A run that is interrupted at any step and started again, against one that never was.

    python -m tests.faults.resume --steps 40 --experiment mlp
    python -m tests.faults.resume --steps 40 --experiment cnn --kill

Every process is a fresh one, as a user would start it. Interrupted is either `--stop-after k`, or with
`--kill` a SIGKILL as soon as the checkpoint of step k is there. Compared are the `state_sha256` of the
results; exit code 1 if any differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT = 600


def command(experiment: str, steps: int, data: str, out: Path, *more: str) -> list[str]:
    """The user's command; a checkpoint after every step, so that one can be killed there."""
    script = str(ROOT / "experiments" / f"{experiment}.py")
    options = ["--data", data, "--steps", str(steps), "--save-every", "1", "--out", str(out)]
    return [sys.executable, script, *options, *more]


def finished(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, timeout: int = TIMEOUT
) -> None:
    """Runs a command to its end, in another environment if one is given.

    Raises:
      RuntimeError: it failed.
    """
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        )


def saved(out: Path) -> list[int]:
    """The steps of the checkpoints that are complete."""
    return sorted(int(p.parent.name) for p in (out / "checkpoints").glob("*/manifest.json"))


def killed(arguments: Sequence[str], out: Path, k: int) -> None:
    """Starts a command and kills it as soon as a checkpoint of step k (or the next, if that was missed) is complete."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and max(saved(out), default=0) < k and time.monotonic() < end:
        time.sleep(0.001)
    process.kill()
    process.wait()


def sha256(out: Path) -> str:
    """The hash of the final state, as the result says."""
    return json.loads((out / "result.json").read_text())["state_sha256"]


def uninterrupted(experiment: str, steps: int, data: str, out: Path) -> str:
    """The hash of a run that nothing interrupts."""
    finished(command(experiment, steps, data, out))
    return sha256(out)


def interrupted(experiment: str, steps: int, data: str, out: Path, k: int, kill: bool) -> str:
    """The hash of a run that was interrupted at step k and started once more.

    Raises:
      RuntimeError: it was not interrupted, or did not go on from where it was.
    """
    whole = command(experiment, steps, data, out)
    if kill:
        killed(whole, out, k)
    else:
        finished([*whole, "--stop-after", str(k)])
    if (out / "result.json").exists():
        raise RuntimeError(f"{out} was finished before it was interrupted at step {k}")
    newest = max(saved(out), default=0)
    if newest < k or (newest > k and not kill):
        raise RuntimeError(
            f"interrupted at step {k}, but the newest checkpoint is of step {newest}"
        )
    finished(whole)
    return sha256(out)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment", default="mlp", choices=["mlp", "cnn"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--kill", action="store_true", help="SIGKILL instead of --stop-after")
    parser.add_argument(
        "--at", type=int, nargs="*", help="only these steps; default: every step before the last"
    )
    read = parser.parse_args()
    run = (read.experiment, read.steps, read.data)
    at = read.at or list(range(1, read.steps))
    how = "killed" if read.kill else "stopped"
    with tempfile.TemporaryDirectory() as directory:
        expected = uninterrupted(*run, Path(directory) / "first")
        same = [uninterrupted(*run, Path(directory) / "second") == expected]
        print(
            f"same command twice: {'the same' if same[0] else 'ANOTHER'} state_sha256 {expected}",
            flush=True,
        )
        for k in at:
            same.append(interrupted(*run, Path(directory) / str(k), k, read.kill) == expected)
            print(
                f"{how} at step {k:>3} and resumed: {'the same' if same[-1] else 'ANOTHER'}",
                flush=True,
            )
    print(
        f"{sum(same)} of {len(same)}: the same state_sha256, {read.experiment} on {read.data}, {read.steps} steps"
    )
    return int(not all(same))


if __name__ == "__main__":
    sys.exit(main())
