"""Ending a script on SIGINT, SIGTERM or SIGHUP."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

from jaxdl.training.shutdown import SIGNALS, SignalState, raise_for_signal


def exit_on_signal(number: int) -> NoReturn:
    """Prints which signal ended the process and exits with code 128 + its number."""
    name = signal.Signals(number).name
    print(
        f"stopped by {name}; the same command resumes from the last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    sys.exit(128 + number)


@contextlib.contextmanager
def signal_watchdog(grace: float = 3.0) -> Iterator[None]:
    """Turns signals into exceptions, and exits if Python cannot handle one in time.

    Python cannot handle signals while the main thread is inside of XLA, for instance during
    compilation. A thread then exits the process after `grace` seconds, unless a run has steps that
    are not saved.

    Args:
      grace: seconds between a signal and the exit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    watched = [
        number
        for number, handler in handlers.items()
        if handler in (signal.SIG_DFL, signal.default_int_handler)
    ]
    # Python writes the number of each signal to this socket, also while the main thread is busy.
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(
        target=_watch, args=(reader, watched, grace, SignalState.count), daemon=True
    ).start()
    try:
        for number in watched:
            signal.signal(number, raise_for_signal)
        yield
    finally:
        for number in watched:
            signal.signal(number, handlers[number])
        signal.set_wakeup_fd(previous_fd)
        writer.close()


def _watch(reader: socket.socket, watched: list[int], grace: float, received: int) -> None:
    """Exits the process if Python does not handle a signal within the grace period.

    Args:
      reader: socket with one byte per signal, its number.
      watched: numbers of the signals that end the process.
      grace: seconds to wait.
      received: number of signals before the first byte, to compare with `SignalState.count`.
    """
    with reader:
        while message := reader.recv(1):
            number = message[0]
            if number not in watched:
                continue
            received = received + 1
            end = time.monotonic() + grace
            while SignalState.count < received and (SignalState.unsaved or time.monotonic() < end):
                time.sleep(0.05)
            if SignalState.count < received:
                with contextlib.suppress(OSError):
                    name = signal.Signals(number).name
                    print(
                        f"stopped by {name} in XLA, during compilation",
                        file=sys.stderr,
                        flush=True,
                    )
                os._exit(128 + number)
