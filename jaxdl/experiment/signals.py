"""How a script ends when it is told to."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

from jaxdl.training.ending import SIGNALS, come_true, heard


def stopped(number: int) -> NoReturn:
    """Says that a signal ended the process, and ends it with 128 + its number."""
    name = signal.Signals(number).name
    print(f"stopped by {name}; the same command goes on from the last saved step", file=sys.stderr, flush=True)
    sys.exit(128 + number)


@contextlib.contextmanager
def heard_in_time(patience: float = 4.0) -> Iterator[None]:
    """Has signals end this process in good order; or soon, where its main thread is inside of XLA and does not hear."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    theirs = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [number for number, their in theirs.items() if their in (signal.SIG_DFL, signal.default_int_handler)]
    there, here = socket.socketpair()
    here.setblocking(False)

    def watch() -> None:
        with there:
            while said := there.recv(1):
                if said[0] in ours and not heard.wait(patience):
                    with contextlib.suppress(OSError):
                        name = signal.Signals(said[0]).name
                        print(f"stopped by {name} outside of Python, in a compilation", file=sys.stderr, flush=True)
                    os._exit(128 + said[0])

    heard.clear()
    before = signal.set_wakeup_fd(here.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        for number in ours:
            signal.signal(number, come_true)
        yield
    finally:
        for number in ours:
            signal.signal(number, theirs[number])
        signal.set_wakeup_fd(before)
        here.close()
