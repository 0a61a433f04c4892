"""Directories of checkpoints: their owner, their path, and saves that fail."""

import errno
import itertools
import os
import shutil
import time
from pathlib import Path

import pytest

import jaxdl
from jaxdl.data.owner import LOCK
from jaxdl.errors import CheckpointError, InputError, RunError
from jaxdl.training import Checkpoint, Directory, state_sha256
from jaxdl.training.manifest import write_manifest
from tests.training.linear import KEY, abstract, line, points, state_at


def hashed(restored) -> str:
    """Returns the hash of a restored state."""
    return state_sha256(restored[0])


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("content")
    store = Directory(tmp_path / "run")
    with pytest.raises(CheckpointError, match=f"saving step 1 to {tmp_path / 'run'} failed"):
        store.save(Checkpoint(state_at(1), []))
    assert (tmp_path / "run").read_text() == "content"


def test_a_directory_with_an_owner_is_refused(tmp_path):
    first = Directory(tmp_path / "run")
    second = Directory(tmp_path / "run")
    shapes = abstract(state_at(0))
    first.open(shapes)
    first.save(Checkpoint(state_at(1), []))
    with pytest.raises(RunError, match=rf"^{first.path}: process {os.getpid()} on .* is using it"):
        second.open(shapes)
    first.close()
    assert hashed(second.restore(shapes)) == state_sha256(state_at(1))
    second.open(shapes)
    second.close()
    assert [path.name for path in first.path.iterdir()] == ["1"]


@pytest.mark.parametrize("removed", [True, False])
def test_a_directory_that_goes_away_is_not_made_again(tmp_path, removed):
    store = Directory(tmp_path / "out" / "run")
    store.open(abstract(state_at(0)))
    store.save(Checkpoint(state_at(1), []))
    store.restore(abstract(state_at(0)))
    if removed:
        shutil.rmtree(tmp_path / "out")
    else:
        (tmp_path / "out").rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=f"^{store.path} was moved or removed during the run"):
        store.save(Checkpoint(state_at(2), []))
    store.close()
    assert not (tmp_path / "out").exists()
    if not removed:
        moved = Directory(tmp_path / "elsewhere" / "run")
        assert moved.steps() == [1] and not (moved.path / LOCK).exists()


def test_a_directory_that_goes_away_during_a_save(tmp_path, monkeypatch):
    """The error names the cause, instead of the first file that is missing."""
    store = Directory(tmp_path / "run")

    def moved(*_):
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        write_manifest(*_)

    monkeypatch.setattr("jaxdl.training.store.write_manifest", moved)
    store.open(abstract(state_at(0)))
    store.save(Checkpoint(state_at(1), []))
    with pytest.raises(RunError, match=f"^{store.path} was moved or removed during the run"):
        store.close()
    assert not store.path.exists()


def not_a_directory(directory, monkeypatch):
    (directory / "file").write_text("")
    return directory / "file" / "run", r"a directory that can be written \(Not a directory\)"


def not_utf8(directory, monkeypatch):
    return directory / os.fsdecode(b"\xff"), "a path in UTF-8"


def full(directory, monkeypatch):
    usage = shutil.disk_usage(directory)._replace(free=40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    return directory, r"a disk with 170 free bytes for a state; this one has 40"


def no_byte(directory, monkeypatch):
    def fsync(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    return directory, r"a directory that can be written \(No space left on device\)"


def a_pipe(directory, monkeypatch):
    os.mkfifo(directory / LOCK)
    return directory, r"a directory that can be written \(Not a regular file\)"


@pytest.mark.parametrize("cause", [not_a_directory, not_utf8, full, no_byte, a_pipe])
def test_a_directory_that_cannot_be_written_is_refused_at_once(tmp_path, monkeypatch, cause):
    path, allowed = cause(tmp_path, monkeypatch)
    store = Directory(path)
    with pytest.raises(InputError, match=f"^store: got .*, allowed: {allowed}$"):
        store.open(abstract(state_at(0)))
    store.close()


def test_a_store_is_refused_before_anything_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxdl.training.loop._first_state", None)
    (tmp_path / "run").write_text("content")
    store = Directory(tmp_path / "run")
    with pytest.raises(InputError, match=r"^store: got .*, allowed: .* \(File exists\)$"):
        jaxdl.train(line(), points(), key=KEY, steps=1, batch_size=4, store=store)


@pytest.mark.parametrize("call", [5, 10, 15, 20])
def test_a_machine_that_sleeps_during_a_save(tmp_path, monkeypatch, call):
    """The clock advances by an hour before one of the calls of `time.time`."""
    calls = itertools.count()
    clock = time.time
    store = Directory(tmp_path / "run")
    monkeypatch.setattr(time, "time", lambda: clock() + 3600 * (next(calls) >= call))
    store.save(Checkpoint(state_at(1), [(1, 0.5)]))
    store.close()
    monkeypatch.undo()
    assert store.steps() == [1] and next(calls) > call


@pytest.mark.parametrize("part", ["1", "state.orbax"])
def test_a_directory_that_cannot_be_made(tmp_path, monkeypatch, part):
    """The save itself raises the error; threads of Orbax would wait for minutes."""
    mkdir = os.mkdir
    store = Directory(tmp_path / "run")

    def refuse(path, *args, **kwargs):
        if Path(path).name.startswith(part):
            raise PermissionError(13, "Permission denied", str(path))
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(
        CheckpointError,
        match=f"saving step 1 to {store.path} failed: .*Permission denied: '{store.path}/1",
    ):
        store.save(Checkpoint(state_at(1), []))
    monkeypatch.undo()
    store.save(Checkpoint(state_at(1), []))
    store.close()
    assert store.steps() == [1]


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    store = Directory(tmp_path / "run")
    store.save(Checkpoint(state_at(1), []))
    store.close()
    monkeypatch.setattr("jaxdl.training.store.write_manifest", full)
    store.save(Checkpoint(state_at(2), []))
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.close()
    # The error is raised only once.
    store.close()
    assert int(store.restore(abstract(state_at(0)))[0].step) == 1
    store.save(Checkpoint(state_at(3), []))
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.save(Checkpoint(state_at(4), []))


def test_the_path_may_begin_with_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = Directory("~/run")
    assert store.path == tmp_path / "run"
    store.open(abstract(state_at(0)))
    store.close()
    with pytest.raises(InputError, match="'~missing-user/run', allowed: a path"):
        Directory("~missing-user/run")
