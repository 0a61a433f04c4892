"""Interrupts a run at each step and restarts it: the final state must have the same bits.

    python -m tests.faults.resume --steps 40 --experiment mlp
    python -m tests.faults.resume --steps 40 --experiment cnn --kill
    python -m tests.faults.resume --steps 21 --experiment dqn --data simulated --kill

Every process is started as a user would start it. It is interrupted at step k by `--stop-after k`.
With `--kill`, it receives SIGKILL as soon as the checkpoint of step k is complete. The final
`state_sha256` is compared with that of an uninterrupted run. Exits with code 1 if any differs.
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
#: Experiments that consist of one run.
EXPERIMENTS = ("mlp", "cnn", "dqn")


def command(experiment: str, steps: int, data: str, out: Path, *more: str) -> list[str]:
    """Returns the command of a run that saves a checkpoint after every step."""
    script = str(ROOT / "experiments" / f"{experiment}.py")
    options = ["--data", data, "--steps", str(steps), "--save-every", "1", "--out", str(out)]
    return [sys.executable, script, *options, *more]


def finished(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, timeout: int = TIMEOUT
) -> None:
    """Runs a command and waits until it ends.

    Args:
      arguments: the command.
      environment: environment variables; None means those of this process.
      timeout: limit in seconds.

    Raises:
      RuntimeError: the command failed.
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
    """Returns the steps of the complete checkpoints."""
    return sorted(int(p.parent.name) for p in (out / "checkpoints").glob("*/manifest.json"))


def run_until_killed(arguments: Sequence[str], out: Path, k: int) -> None:
    """Starts a command and kills it as soon as the checkpoint of step k or later is complete."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and max(saved(out), default=0) < k and time.monotonic() < end:
        time.sleep(0.001)
    process.kill()
    process.wait()


def sha256(out: Path) -> str:
    """Returns the hash of the final state from the result of a run."""
    return json.loads((out / "result.json").read_text())["state_sha256"]


def uninterrupted(experiment: str, steps: int, data: str, out: Path) -> str:
    """Returns the hash of an uninterrupted run."""
    finished(command(experiment, steps, data, out))
    return sha256(out)


def interrupted(experiment: str, steps: int, data: str, out: Path, k: int, kill: bool) -> str:
    """Returns the hash of a run that is interrupted at step k and restarted.

    Raises:
      RuntimeError: the run was not interrupted, or its newest checkpoint is of another step.
    """
    whole = command(experiment, steps, data, out)
    if kill:
        run_until_killed(whole, out, k)
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


def verdict(same: bool) -> str:
    """Returns the words for equal and for different hashes."""
    if same:
        return "the same"
    return "ANOTHER"


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--experiment", default="mlp", choices=EXPERIMENTS, help="experiment; default: mlp"
    )
    parser.add_argument("--steps", type=int, default=40, help="length of the run; default: 40")
    parser.add_argument("--data", default="digits", help="data set; default: digits")
    parser.add_argument("--kill", action="store_true", help="use SIGKILL instead of --stop-after")
    parser.add_argument(
        "--at",
        type=int,
        nargs="*",
        help="steps of interruptions; default: every step before the last",
    )
    args = parser.parse_args()
    run = (args.experiment, args.steps, args.data)
    at = args.at or list(range(1, args.steps))
    action = "stopped"
    if args.kill:
        action = "killed"
    with tempfile.TemporaryDirectory() as directory:
        expected = uninterrupted(*run, Path(directory) / "first")
        same = [uninterrupted(*run, Path(directory) / "second") == expected]
        print(f"same command twice: {verdict(same[0])} state_sha256 {expected}", flush=True)
        for k in at:
            same.append(interrupted(*run, Path(directory) / str(k), k, args.kill) == expected)
            print(f"{action} at step {k:>3} and resumed: {verdict(same[-1])}", flush=True)
    print(
        f"resume: {sum(same)}/{len(same)} runs ended with the same state_sha256, "
        f"{args.experiment} on {args.data}, {args.steps} steps"
    )
    return int(not all(same))


if __name__ == "__main__":
    sys.exit(main())
