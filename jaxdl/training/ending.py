"""How a run ends when it is told to: between two steps, saved."""

import signal
import threading
from types import FrameType
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils

#: What tells a process to end: Ctrl-C, whoever stops or preempts it, a terminal that was closed.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

#: Set as soon as Python has come round to a signal; a thread inside of XLA does not.
heard = threading.Event()


class Ending:
    """Takes signals, while a run is inside of it, as the wish to end.

    The loop asks between two dispatches whether it was `told`, saves, and leaves; then the wish comes true: as
    `KeyboardInterrupt`, or as `SystemExit` with 128 + the signal's number. Told a second time, it comes true at once.
    Signals that are ignored, or that somebody else handles, stay as they are. Several processes agree on the step by
    JAX's preemption service, which has SIGTERM for itself.

    Example:
      >>> with Ending() as ending:
      ...     ending.told(0)
      False
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Ending":
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            for number in SIGNALS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, come_true):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal and kind is None:
            come_true(self.signal)

    def told(self, step: int) -> bool:
        """Whether the run is to end at this step; all processes of a run ask at the same ones, and hear the same."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self.signal = signal.SIGTERM
        return bool(self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        heard.set()
        if self.signal:
            come_true(number)
        self.signal = number


def come_true(number: int, frame: FrameType | None = None) -> NoReturn:
    """What a signal does where no run has to be saved: ends the process, with everything put away."""
    heard.set()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
