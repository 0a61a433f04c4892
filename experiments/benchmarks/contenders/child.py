"""The parent's side: contenders in separate processes, which take turns and share no memory."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The folder that contains this package; the children import from it.
HOME = Path(__file__).parents[1]

#: Seconds after which a child that does not answer is killed. Compilation can take minutes.
TIMEOUT = 1200

#: The module of each contender.
MODULES = {
    "roofline": "roofline",
    **dict.fromkeys(("jaxdl", "sharded", "streamed", "undivided", "alone", "step"), "with_jaxdl"),
    "raw": "raw",
    "linen": "linen",
    "keras": "with_keras",
    **dict.fromkeys(("torch", "torch-compile"), "with_torch"),
}


class Failed(Exception):
    """An error of a contender, with its reason in one line."""


class Child:
    """A process that trains one contender on request and sleeps otherwise.

    Args:
      contender: a key of `MODULES`.
      workload: the workload's name.
      command: the command to run; None means the contender's module.
      checkout: the directory of another checkout, whose package and contenders run instead.
    """

    def __init__(
        self,
        contender: str,
        workload: str,
        command: list[str] | None = None,
        checkout: Path | None = None,
    ):
        self.command = command or [
            sys.executable,
            "-m",
            f"contenders.{MODULES[contender]}",
            contender,
            workload,
        ]
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the child)
        paths = [str(HOME), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        if checkout is not None:
            paths = [str(checkout / "experiments" / "benchmarks"), str(checkout), *paths]
        # On a GPU each JAX process would otherwise reserve most of the memory.
        env = {
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.stderr}
        # Python looks into the current directory before any other place.
        self.process = subprocess.Popen(self.command, env=env, text=True, cwd=checkout, **pipes)

    def ready(self) -> Mapping[str, Any]:
        """Waits until the child has compiled; returns `{"params": ..., "device": ...}`."""
        return self._answer()

    def run(self, steps: int) -> Mapping[str, float]:
        """Trains for some steps; returns `{"examples": ..., "seconds": ..., "loss": ...}`."""
        assert self.process.stdin is not None
        try:
            print(steps, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Failed(self._exit_message()) from None
        return self._answer()

    def close(self) -> None:
        """Kills the child in any state."""
        self.process.kill()
        self.process.communicate()
        self.stderr.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(TIMEOUT, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise Failed(self._exit_message())
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _exit_message(self) -> str:
        code = self.process.wait()
        self.stderr.seek(0)
        lines = self.stderr.read().strip().splitlines()
        message = f"ended with code {code}"
        if lines:
            message += f": {lines[-1]}"
        return message


def rotated(names: list[str], turn: int) -> list[str]:
    """Returns the names in the order of a round: each round starts with the next name."""
    if not names:
        return []
    first = turn % len(names)
    return names[first:] + names[:first]


def steps_per_turn(child: Child, seconds: float) -> int:
    """Returns the number of steps that take about `seconds`."""
    steps = 1
    while (duration := child.run(steps)["seconds"]) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / duration))
