"""How a script ends when it is told to."""

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
    """Says that a signal ended the process, and ends it with 128 + its number."""
    name = signal.Signals(number).name
    print(
        f"stopped by {name}; the same command goes on from what is saved",
        file=sys.stderr,
        flush=True,
    )
    sys.exit(128 + number)


@contextlib.contextmanager
def signal_watchdog(grace: float = 3.0) -> Iterator[None]:
    """Has signals end this process in good order.

    Where its main thread is inside of XLA and does not hear, it ends after some seconds all the same, unless a run has
    done steps that would be lost.

    Args:
      grace: how many seconds it has.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    theirs = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [
        number
        for number, their in theirs.items()
        if their in (signal.SIG_DFL, signal.default_int_handler)
    ]
    there, here = socket.socketpair()
    here.setblocking(False)
    before = signal.set_wakeup_fd(here.fileno(), warn_on_full_buffer=False)
    threading.Thread(
        target=_watch, args=(there, ours, grace, SignalState.count), daemon=True
    ).start()
    try:
        for number in ours:
            signal.signal(number, raise_for_signal)
        yield
    finally:
        for number in ours:
            signal.signal(number, theirs[number])
        signal.set_wakeup_fd(before)
        here.close()


def _watch(there: socket.socket, ours: list[int], grace: float, came: int) -> None:
    """Sees that Python comes round to every signal after the first `came`, however long its main thread stays away."""
    with there:
        while said := there.recv(1):
            if said[0] not in ours:
                continue
            came = came + 1
            end = time.monotonic() + grace
            while SignalState.count < came and (SignalState.unsaved or time.monotonic() < end):
                time.sleep(0.05)
            if SignalState.count < came:
                with contextlib.suppress(OSError):
                    name = signal.Signals(said[0]).name
                    print(
                        f"stopped by {name} outside of Python, in a compilation",
                        file=sys.stderr,
                        flush=True,
                    )
                os._exit(128 + said[0])
