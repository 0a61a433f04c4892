"""Owners of directories: one at a time, and none after the process's death."""

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time

import pytest

from jaxdl.data import owner as module
from jaxdl.data.owner import LOCK, own
from jaxdl.errors import RunError

#: A process that owns a directory until its input ends.
CODE = (
    "import sys; from pathlib import Path; from jaxdl.data.owner import own\n"
    "owner = own(Path(sys.argv[1]), wait_for=sys.argv[2])\n"
    "print(owner.waited, flush=True); sys.stdin.read()"
)


@pytest.fixture
def other(tmp_path):
    """A process that owns `tmp_path`."""
    with start(tmp_path) as process:
        assert process.stdout.readline() == "False\n"
        yield process
        process.kill()


def start(directory, wait_for=""):
    command = [sys.executable, "-c", CODE, str(directory), wait_for]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, text=True, **pipes)


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path, other):
    with pytest.raises(RunError) as raised:
        own(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: process {other.pid} on {platform.node()} is using it; "
        "wait for its end, or choose another directory"
    )
    other.kill()
    other.wait()
    owner = own(tmp_path)
    assert owner.locked and not owner.waited
    assert (tmp_path / LOCK).read_text() == f"process {os.getpid()} on {platform.node()}"
    owner.close()
    assert not any(tmp_path.iterdir())


def test_a_process_waits_for_the_end_of_the_owner(tmp_path, other):
    with start(tmp_path, "trains") as waiting:
        line = waiting.stderr.readline()
        assert line == f"waiting for process {other.pid} on {platform.node()}, which trains\n"
        other.stdin.close()
        assert waiting.stdout.readline() == "True\n"
        waiting.kill()


def test_a_process_refuses_itself_but_does_not_wait_for_itself(tmp_path):
    owner = own(tmp_path)
    with pytest.raises(RunError, match=f"process {os.getpid()} on "):
        own(tmp_path)
    second = own(tmp_path, wait_for="trains")
    assert not second.locked
    second.close()
    assert (tmp_path / LOCK).exists()
    owner.close()
    owner.close()


def test_an_owner_without_references_ends(tmp_path):
    own(tmp_path)
    own(tmp_path).close()


def test_the_file_of_a_killed_owner_is_taken_over(tmp_path):
    (tmp_path / LOCK).write_text("process 1 on a host with a long name, long ago")
    owner = own(tmp_path)
    assert (tmp_path / LOCK).read_text() == f"process {os.getpid()} on {platform.node()}"
    owner.close()


@pytest.mark.parametrize("change", ["moved", "removed", "replaced"])
def test_a_directory_that_goes_away_is_noticed(tmp_path, change):
    directory = tmp_path / "run"
    directory.mkdir()
    owner = own(directory)
    owner.check()
    directory.rename(tmp_path / "elsewhere")
    if change == "removed":
        (tmp_path / "elsewhere" / LOCK).unlink()
        (tmp_path / "elsewhere").rmdir()
    if change == "replaced":
        directory.mkdir()
    with pytest.raises(RunError, match=f"^{directory} was moved or removed during the run"):
        owner.check()
    owner.close()
    assert not list(tmp_path.glob("*/*"))
    owner.check()


def test_a_pipe_or_a_link_in_place_of_the_lock(tmp_path):
    os.mkfifo(tmp_path / LOCK)
    with pytest.raises(OSError, match="Not a regular file"):
        own(tmp_path)
    (tmp_path / LOCK).unlink()
    (tmp_path / LOCK).symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="Too many levels"):
        own(tmp_path)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("error", module.UNSUPPORTED)
def test_a_file_system_without_locks(tmp_path, monkeypatch, error):
    def flock(*_):
        raise OSError(error, "no locks")

    monkeypatch.setattr(module.fcntl, "flock", flock)
    owner = own(tmp_path)
    assert not owner.locked
    owner.check()
    owner.close()


def test_a_system_without_flock(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    owner = own(tmp_path)
    assert not owner.locked
    owner.check()
    owner.close()
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:.*multi-threaded")
def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    """Otherwise a worker that outlives a killed run would refuse its resumption."""

    def work():
        os.write(write, b"started")
        time.sleep(600)

    owner = own(tmp_path)
    read, write = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    assert os.read(read, 7) == b"started"
    owner.close()
    own(tmp_path).close()
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    os.close(read)
    os.close(write)
