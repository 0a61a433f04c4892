"""The parent's side: a contender in a process of its own, so that none disturbs another's threads and memory."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Where the package lies that the children run from.
HOME = Path(__file__).parents[1]

#: Seconds after which a child that does not answer is ended: compilation on a busy machine takes minutes.
PATIENCE = 1200

#: The file of each contender.
MODULES = {
    "roofline": "roofline",
    **dict.fromkeys(("jaxdl", "sharded", "streamed", "undivided", "alone", "step"), "with_jaxdl"),
    "raw": "raw",
    "linen": "linen",
    "keras": "with_keras",
    **dict.fromkeys(("torch", "torch-compile"), "with_torch"),
}


class Failed(Exception):
    """A contender that cannot go on; one line says why."""


class Child:
    """A contender that trains when it is told to and sleeps otherwise.

    Args:
      contender: a key of `MODULES`.
      workload: its name.
      command: what to run instead of the contender's module; None: that.
    """

    def __init__(self, contender: str, workload: str, command: list[str] | None = None):
        self.command = command or [
            sys.executable,
            "-m",
            f"contenders.{MODULES[contender]}",
            contender,
            workload,
        ]
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the child)
        paths = [str(HOME), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        # On a GPU each JAX would take most of the memory for itself.
        env = {
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.stderr}
        self.process = subprocess.Popen(self.command, env=env, text=True, **pipes)

    def ready(self) -> Mapping[str, Any]:
        """Waits until it has compiled; `{"params": ..., "device": ...}`."""
        return self._answer()

    def run(self, steps: int) -> Mapping[str, float]:
        """Lets it train; `{"examples": ..., "seconds": ..., "loss": ...}`."""
        assert self.process.stdin is not None
        try:
            print(steps, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Failed(self._last_words()) from None
        return self._answer()

    def close(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.communicate()
        self.stderr.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        alarm = threading.Timer(PATIENCE, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self.process.wait()
        self.stderr.seek(0)
        lines = self.stderr.read().strip().splitlines()
        return f"ended with code {code}" + (f": {lines[-1]}" if lines else "")
