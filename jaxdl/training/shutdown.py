"""How a run ends when it is told to: between two steps, saved."""

import signal
import threading
from types import FrameType
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils

#: What tells a process to end: Ctrl-C, whoever stops or preempts it, a terminal that was closed.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class SignalState:
    """What Python knows of signals, for whoever waits for a process that is told to end.

    Attributes:
      count: signals that it has come round to; a thread inside of XLA does not.
      unsaved: whether a run has done steps that a sudden end would lose.
    """

    count = 0
    unsaved = False


class GracefulShutdown:
    """Takes signals, while a run is inside of it, as the wish to end.

    The loop asks between two dispatches whether it was `requested`, saves, and leaves; then the wish comes true: as
    `KeyboardInterrupt`, or as `SystemExit` with 128 + the signal's number. Told a second time, it comes true at once.
    Signals that are ignored, or that somebody else handles (such as a run around this one), stay as they are; so do all
    outside of the main thread. Several processes agree on the step by JAX's preemption service, which has SIGTERM for
    itself; it is the only signal that they hear.

    Example:
      >>> with GracefulShutdown() as shutdown:
      ...     shutdown.requested()
      False
    """

    def __init__(self) -> None:
        self.signal = 0
        self._asked = 0
        self._unsaved = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "GracefulShutdown":
        self._unsaved = SignalState.unsaved
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            for number in SIGNALS:
                if signal.getsignal(number) in (
                    signal.SIG_DFL,
                    signal.default_int_handler,
                    raise_for_signal,
                ):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        SignalState.unsaved = self._unsaved
        if self.signal and kind is None:
            raise_for_signal(self.signal)

    def requested(self) -> bool:
        """Whether the run is to end here; all processes of a run ask equally often, and hear the same."""
        served = jax.process_count() > 1 and jax.config.jax_enable_preemption_service  # type: ignore[attr-defined]
        self._asked += 1  # what the service wants is a number that grows by 1
        if served and multihost_utils.reached_preemption_sync_point(self._asked):
            self.signal = signal.SIGTERM
        return bool(self.signal)

    def mark_unsaved(self) -> None:
        """Steps have been done: whoever would end the process must wait for the run to save them."""
        SignalState.unsaved = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        SignalState.count += 1
        if self.signal:
            raise_for_signal(number)
        self.signal = number


def raise_for_signal(number: int, frame: FrameType | None = None) -> NoReturn:
    """What a signal does where no run has to be saved: ends the process, with everything put away."""
    SignalState.count += 1
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
