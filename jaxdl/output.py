"""Output that never ends a run: streams on which printing cannot fail."""

import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Guarded:
    """A text stream whose `write` and `flush` raise nothing.

    Characters that the stream's encoding lacks are escaped. Text is lost where the stream is
    closed, its pipe has no reader, or its disk is full. All else is that of the stream.

    Args:
      stream: the stream. None, as in a process without a terminal, means a closed one.

    Example:
      >>> import io
      >>> stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
      >>> guarded = Guarded(stream)
      >>> print("98.3 ± 0.1", file=guarded, flush=True)
      >>> stream.buffer.getvalue()
      b'98.3 \\\\xb1 0.1\\n'
      >>> stream.close()
      >>> print("lost", file=guarded)
    """

    def __init__(self, stream: Any) -> None:
        if stream is None:
            stream = io.StringIO()
            stream.close()
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"], name)

    def write(self, text: str) -> int:
        """Writes a text, or loses it; returns its length."""
        # A closed stream raises ValueError, and so does a character that cannot be encoded.
        with contextlib.suppress(OSError, ValueError):
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                escaped = text.encode(error.encoding, "backslashreplace")
                self._stream.write(escaped.decode(error.encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes texts one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes the stream, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Returns True for an open terminal."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.isatty()
        return False


@contextlib.contextmanager
def guarded_output() -> Iterator[None]:
    """Makes standard output and standard error `Guarded` streams inside a `with` statement.

    A stream that failed stays guarded, because Python flushes it once more when the process ends.

    Example:
      >>> with guarded_output():
      ...     print("a line")
      a line
    """
    _occupy_standard_descriptors()
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        setattr(sys, name, Guarded(stream))
    try:
        yield
    finally:
        for name, stream in streams.items():
            if _can_flush(stream):
                setattr(sys, name, stream)


def command(run: Callable[[], int | None]) -> int:
    """Runs a command with output that cannot fail; returns its exit code.

    Args:
      run: the command, which returns its exit code. None means 0.

    Returns:
      The exit code. It is 2 for a `JaxdlError`, which is printed as one line, and 130 for Ctrl-C.

    Example:
      >>> command(lambda: None), command(lambda: 1)
      (0, 1)
    """
    # `quiet_interrupt` must precede the import of JAX, which this one needs.
    from jaxdl.errors import JaxdlError

    try:
        with guarded_output():
            return run() or 0
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


@contextlib.contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Lets Ctrl-C end a script without a traceback, inside a `with` statement around its imports.

    The system's handler ends the process. A KeyboardInterrupt in an import has a traceback of many
    lines, and Python ignores it in a callback. Interactive sessions and other handlers are left as
    they are.

    Example:
      >>> with quiet_interrupt():
      ...     import json
    """
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if hasattr(sys, "ps1") or not is_main or handler is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def log_to_file(logger: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Appends the messages of a logger to a file, and to nothing else, inside a `with` statement.

    The first message creates the file. Messages that cannot be written are lost. If Ctrl-C or
    `SystemExit` ends the statement, the logger keeps the file until the process ends.

    Args:
      logger: name of the logger, such as "absl", which Orbax writes tracebacks to.
      path: the file.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     with log_to_file("absl", os.path.join(directory, "orbax.log")):
      ...         logging.getLogger("absl").error("a save failed")
      ...     os.listdir(directory)
      ['orbax.log']
    """
    log = logging.getLogger(logger)
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    propagate = log.propagate
    handlers = log.handlers
    log.propagate = False
    log.handlers = [handler]
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        # The process ends. Until then its other threads write to the file.
        raise
    except BaseException:
        restore_log(log, propagate, handlers)
        raise
    restore_log(log, propagate, handlers)


def log_unraisable(unraisable: Any) -> None:
    """Logs an exception that Python ignores, as "jaxdl"; for `sys.unraisablehook`.

    Such are exceptions in destructors, and in callbacks that a library calls from its threads.
    """
    where = unraisable.object
    # Its text could raise, if it is half destroyed.
    name = getattr(where, "__qualname__", type(where).__qualname__)
    error = (unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)
    logging.getLogger("jaxdl").error("exception ignored in %s", name, exc_info=error)


def log_thread_exception(failure: threading.ExceptHookArgs) -> None:
    """Logs an exception that ended a thread, as "jaxdl"; for `threading.excepthook`."""
    if failure.exc_type is SystemExit:
        return
    name = getattr(failure.thread, "name", "a thread")
    error: Any = (failure.exc_type, failure.exc_value, failure.exc_traceback)
    logging.getLogger("jaxdl").error("exception in %s", name, exc_info=error)


def restore_log(log: logging.Logger, propagate: bool, handlers: list[logging.Handler]) -> None:
    """Closes the file of a logger, if it has one, and gives it back its handlers.

    Example:
      >>> log = logging.getLogger("jaxdl")
      >>> restore_log(log, log.propagate, log.handlers)
    """
    if log.handlers is not handlers:
        for handler in log.handlers:
            handler.close()
    log.propagate = propagate
    log.handlers = handlers


class _LogFile(logging.FileHandler):
    """A log file whose own errors, such as those of a full disk, are ignored."""

    def emit(self, record: logging.LogRecord) -> None:
        # While the interpreter ends, `open` may be missing, which is no OSError.
        with contextlib.suppress(Exception):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignores an error of `emit`."""


def _occupy_standard_descriptors() -> None:
    """Opens descriptors 0 to 2 where they are closed.

    Otherwise the next file, such as a checkpoint, gets one of them. XLA's messages, which go to
    descriptor 2, would then be a part of that file.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _can_flush(stream: Any) -> bool:
    if stream is None:
        return False
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True
