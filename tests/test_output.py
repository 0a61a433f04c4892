"""Output on which printing cannot fail."""

import io
import logging
import os
import signal
import sys
import threading

import pytest

from jaxdl.errors import InputError
from jaxdl.output import (
    Guarded,
    command,
    guarded_output,
    log_thread_exception,
    log_to_file,
    log_unraisable,
    quiet_interrupt,
)


class Broken(io.StringIO):
    """A stream that raises an error whenever it is used."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    flush = isatty = lambda self: (_ for _ in ()).throw(self.error)


ERRORS = [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_broken_stream_loses_its_text(error):
    guarded = Guarded(Broken(error))
    print("a line", file=guarded, flush=True)
    guarded.writelines(["two", "more"])
    assert guarded.write("text") == 4 and not guarded.isatty()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_characters_that_the_encoding_lacks_are_escaped(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text = "98.3 ± 0.1 % → ok"
    print(text, file=Guarded(stream), end="", flush=True)
    written = stream.buffer.getvalue().decode(encoding)
    assert written == text.encode(encoding, "backslashreplace").decode(encoding)


def test_text_is_written_again_once_there_is_space():
    stream = io.StringIO()
    guarded = Guarded(stream)
    guarded.write("before ")
    stream.write = Broken(ERRORS[1]).write
    guarded.write("lost ")
    del stream.write
    guarded.write("after")
    assert stream.getvalue() == "before after" and guarded.getvalue() == "before after"


def test_a_process_without_standard_streams(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with guarded_output():
        print("lost", file=sys.stderr, flush=True)
        assert not sys.stdout.isatty()


def test_working_streams_are_restored_and_broken_ones_stay_guarded(monkeypatch):
    works = io.StringIO()
    broken = Broken(ERRORS[0])
    monkeypatch.setattr(sys, "stdout", works)
    monkeypatch.setattr(sys, "stderr", broken)
    with pytest.raises(ZeroDivisionError), guarded_output():
        print("a line")
        raise ZeroDivisionError
    assert sys.stdout is works and works.getvalue() == "a line\n"
    assert isinstance(sys.stderr, Guarded)


def test_no_later_file_gets_a_standard_descriptor(tmp_path):
    saved = os.dup(0)
    os.close(0)
    try:
        with guarded_output(), open(tmp_path / "checkpoint", "w") as file:
            assert file.fileno() > 2
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_a_log_file_keeps_the_messages_of_threads_until_the_process_ends(tmp_path):
    log = logging.getLogger("tests.output")
    before = (log.propagate, log.handlers)
    for error in (KeyboardInterrupt, SystemExit, OSError):
        with pytest.raises(error), log_to_file(log.name, tmp_path / error.__name__):
            log.error("before")
            raise error
        log.error("after")
        text = (tmp_path / error.__name__).read_text()
        assert ("after" in text) == (error is not OSError) and "before" in text
        for handler in log.handlers:
            handler.close()
        log.propagate, log.handlers = before


def test_a_log_file_that_cannot_be_written_is_no_error(tmp_path, capsys):
    with log_to_file("tests.output", tmp_path / "missing" / "file.log"):
        logging.getLogger("tests.output").error("lost")
    assert capsys.readouterr().err == "" and not list(tmp_path.iterdir())


class Fragile:
    """An object whose destructor fails, and whose text cannot be made."""

    def __del__(self):
        raise RuntimeError("a destructor failed")

    def __repr__(self):
        raise RuntimeError("no text")


def test_exceptions_that_python_ignores_are_logged(tmp_path, monkeypatch, capsys):
    def fail():
        raise RuntimeError("a thread failed")

    monkeypatch.setattr(sys, "unraisablehook", log_unraisable)
    monkeypatch.setattr(threading, "excepthook", log_thread_exception)
    with log_to_file("jaxdl", tmp_path / "file.log"):
        Fragile()
        for target in (fail, sys.exit):
            thread = threading.Thread(target=target, name="worker")
            thread.start()
            thread.join()
    text = (tmp_path / "file.log").read_text()
    assert "ERROR exception ignored in Fragile.__del__\nTraceback" in text
    assert "ERROR exception in worker\nTraceback" in text and text.count("ERROR") == 2
    assert text.count("a destructor failed") == 2 and capsys.readouterr().err == ""


def test_ctrl_c_ends_the_imports_of_a_script_and_of_no_session(monkeypatch, signals):
    with quiet_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with quiet_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_other_handlers_are_left_as_they_are(signals):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with quiet_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    found = []

    def inside():
        with quiet_interrupt():
            found.append(signal.getsignal(signal.SIGINT))

    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [(InputError("a", 1, "2"), 2, "error: a: got 1, allowed: 2\n"), (KeyboardInterrupt(), 130, "")],
)
def test_a_command_ends_with_a_line_and_an_exit_code(error, code, line, capsys):
    def run():
        raise error

    assert command(run) == code
    assert capsys.readouterr().err == line
