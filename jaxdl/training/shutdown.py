"""Graceful shutdown: after a signal a run saves its state between two steps, then ends."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils

from jaxdl.output import log_unraisable

#: The signals that request an end: Ctrl-C, a stopped or preempted process, a closed terminal.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class GracefulShutdown:
    """A context manager that catches signals while a run is active.

    A signal only sets `signal`. The loop calls `requested()` between two dispatches; if it returns
    True, the loop saves the state and leaves the context. The exit of the context then calls the
    handler from before. The default one raises `KeyboardInterrupt`, or `SystemExit` with 128 + the
    signal's number. A second signal calls that handler at once, without a save. Python handles no
    signal inside of XLA, so during a compilation a signal takes effect when the compilation ends.

    Signals that are ignored or that have another handler keep it. This includes the handlers of a
    run around this one. Outside the main thread no signal is caught.

    Several processes must agree on the step that is saved. They use JAX's preemption service, which
    handles SIGTERM itself, and catch no other signal.

    Attributes:
      signal: number of the signal that requested the end of the run, 0 without one.

    Example:
      >>> with GracefulShutdown() as shutdown:
      ...     shutdown.requested()
      False
    """

    def __init__(self) -> None:
        self.signal = 0
        self._sync_points = 0
        self._outer_handlers: dict[int, Any] = {}

    def __enter__(self) -> "GracefulShutdown":
        if jax.process_count() == 1:
            self._outer_handlers = replace_handlers(self._handle)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        restore_handlers(self._outer_handlers)
        if self.signal and kind is None:
            self._call_outer(self.signal, None)

    def requested(self) -> bool:
        """Returns True if a signal requested the end of the run.

        All processes of a run must call this equally often; they then get the same answers.
        """
        # The service expects a number that grows by 1 from call to call.
        self._sync_points += 1
        several = jax.process_count() > 1
        served = several and jax.config.jax_enable_preemption_service  # type: ignore[attr-defined]
        if served and multihost_utils.reached_preemption_sync_point(self._sync_points):
            self.signal = signal.SIGTERM
        return bool(self.signal)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: the first one is stored, the second one is raised."""
        if self.signal:
            self._call_outer(number, frame)
        self.signal = number

    def _call_outer(self, number: int, frame: FrameType | None) -> NoReturn:
        """Calls the handler from before the run, which raises; raises if there was none."""
        outer = self._outer_handlers.get(number)
        restore_handlers(self._outer_handlers)
        # This handler may install others, which the exit of the context must not replace.
        self._outer_handlers = {}
        if callable(outer):
            outer(number, frame)
        raise_for_signal(number)


def raise_for_signal(number: int, frame: FrameType | None = None) -> NoReturn:
    """Raises KeyboardInterrupt for SIGINT, else SystemExit with 128 + the signal's number."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def end_process(number: int, frame: FrameType | None = None) -> NoReturn:
    """Handles a signal to a script while no run is active: raises, as `raise_for_signal` does.

    Another exception would interrupt the one that ends the script, so the next signal ends the
    process at once.
    """
    replace_handlers(exit_at_once)
    raise_for_signal(number)


def end_if_swallowed(unraisable: Any) -> None:
    """Ends the process if Python ignored the exception of `end_process`; an unraisable hook.

    Python ignores exceptions in destructors and in callbacks of its garbage collector. Other
    exceptions are logged (`jaxdl.output.log_unraisable`).
    """
    error = unraisable.exc_value
    if isinstance(error, KeyboardInterrupt):
        exit_at_once(signal.SIGINT)
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        os._exit(error.code)
    log_unraisable(unraisable)


def exit_at_once(number: int, frame: FrameType | None = None) -> NoReturn:
    """Handles a signal while a process ends: ends it now, with exit code 128 + the number."""
    os._exit(128 + number)


def replace_handlers(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Installs a handler for the `SIGNALS`; returns the handlers that it replaced.

    Signals that are ignored or that have another handler keep it. Outside the main thread nothing
    is replaced.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    replaceable = (*defaults, raise_for_signal, end_process, exit_at_once)
    numbers = [number for number in SIGNALS if signal.getsignal(number) in replaceable]
    return {number: signal.signal(number, handler) for number in numbers}


def restore_handlers(handlers: Mapping[int, Any]) -> None:
    """Installs the handlers that `replace_handlers` returned."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
