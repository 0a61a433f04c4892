"""Damaged checkpoints and foreign files: the store restores an earlier step and deletes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from jaxdl.errors import CheckpointError
from jaxdl.training import Checkpoint, Directory, state_sha256
from tests.training.linear import abstract, state_at


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with good checkpoints of steps 1 and 2, to be copied and damaged."""
    path = tmp_path_factory.mktemp("saved") / "run"
    store = Directory(path)
    store.save(Checkpoint(state_at(1), [(1, 0.5)]))
    store.save(Checkpoint(state_at(2), [(1, 0.5), (2, 0.25)]))
    store.close()
    return path


def files_of_step_2(saved) -> list:
    """Returns the paths of the files of step 2, relative to the store."""
    return sorted(p.relative_to(saved) for p in (saved / "2").rglob("*") if p.is_file())


def flip(path):
    """Flips one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    if not data:
        path.write_bytes(b"\0")
        return
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path):
    """Removes the second half of a file; an empty file gets one byte."""
    data = path.read_bytes()
    if not data:
        path.write_bytes(b"\0")
        return
    path.write_bytes(data[: len(data) // 2])


def swap(path):
    """Exchanges a file with another one in its directory; renames it if there is none."""
    data = path.read_bytes()
    others = [p for p in path.parent.iterdir() if p.is_file() and p.read_bytes() != data]
    if not others:
        path.rename(path.with_name("other"))
        return
    path.write_bytes(others[0].read_bytes())
    others[0].write_bytes(data)


DAMAGE = {"flip": flip, "cut": cut, "delete": lambda path: path.unlink(), "swap": swap}


@pytest.mark.parametrize("damage", DAMAGE)
def test_after_any_damage_the_step_before_is_restored(saved, tmp_path, damage):
    files = files_of_step_2(saved)
    assert len(files) > 3
    good = state_sha256(state_at(1))
    for i, name in enumerate(files):
        path = tmp_path / str(i)
        shutil.copytree(saved, path)
        DAMAGE[damage](path / name)
        if not (path / "2" / "manifest.json").exists():
            # Without a manifest the step is incomplete, which gives no warning.
            assert Directory(path).steps() == [1]
            continue
        with pytest.warns(UserWarning, match="going back to step") as warned:
            state, history, _ = Directory(path).restore(abstract(state_at(0)))
        assert state_sha256(state) == good
        assert history == [(1, 0.5)]
        message = str(warned[0].message)
        assert damage == "swap" or str(path / name) in message
        assert str(path / "2") in message
        with pytest.raises(CheckpointError):
            Directory(path).restore(abstract(state_at(0)), 2)


def test_the_warning_names_the_damage_and_the_step_used_instead(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    messages = []
    for step, outcome in ((2, "going back to step 1"), (1, "no step is left")):
        directory = tmp_path / "run" / str(step)
        (directory / "manifest.json").write_text("{")
        store = Directory(tmp_path / "run", warn=messages.append)
        restored = store.restore(abstract(state_at(0)))
        assert (restored is None) == (step == 1)
        assert messages[-1].endswith(f"; {outcome}") and str(directory) in messages[-1]
    assert len(messages) == 2


def test_every_bit_of_the_manifest_counts(saved, tmp_path):
    text = (saved / "2" / "manifest.json").read_bytes()
    shutil.copytree(saved, tmp_path / "run")
    for at in range(0, len(text), 7):
        changed = bytearray(text)
        changed[at] ^= 1 << at % 7
        (tmp_path / "run" / "2" / "manifest.json").write_bytes(bytes(changed))
        with pytest.raises(CheckpointError):
            Directory(tmp_path / "run").restore(abstract(state_at(0)), 2)


def test_a_file_that_does_not_belong_there(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "2" / "state" / "intruder").write_text("here")
    with pytest.warns(UserWarning, match="intruder does not belong there"):
        state, *_ = Directory(tmp_path / "run").restore(abstract(state_at(0)))
    assert int(state.step) == 1


def test_a_file_that_cannot_be_read(saved, monkeypatch):
    data = next(p for p in (saved / "2" / "state").rglob("*") if p.is_file())
    opened = Path.open

    def broken(path, *how):
        if path == data:
            raise OSError(5, "EIO")
        return opened(path, *how)

    monkeypatch.setattr(Path, "open", broken)
    with pytest.warns(UserWarning, match=f"{data} cannot be read: .*EIO; going back to step"):
        state, *_ = Directory(saved).restore(abstract(state_at(0)))
    assert int(state.step) == 1


def test_a_copy_under_another_number_is_not_that_step(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    shutil.copytree(saved / "1", tmp_path / "run" / "3")
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'run' / '3'} holds step 1"):
        Directory(tmp_path / "run").restore(abstract(state_at(0)), 3)
    with pytest.warns(UserWarning, match="holds step 1; going back to step"):
        assert int(Directory(tmp_path / "run").restore(abstract(state_at(0)))[0].step) == 2


def test_a_directory_name_that_is_no_step(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for name in ("002", "003", "\N{ARABIC-INDIC DIGIT FOUR}"):
        shutil.copytree(saved / "2", tmp_path / "run" / name)
    store = Directory(tmp_path / "run", last=1)
    assert store.steps() == [1, 2]
    store.save(Checkpoint(state_at(5), []))
    store.close()
    # Step 5 is the newest and step 2 the best; the store leaves the three other directories alone.
    assert len(list((tmp_path / "run").glob("*/manifest.json"))) == 5


def test_a_store_with_damaged_steps_only(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for step in (1, 2):
        flip(tmp_path / "run" / str(step) / "manifest.json")
    with pytest.warns(UserWarning, match="is damaged|cannot be read") as warned:
        assert Directory(tmp_path / "run").restore(abstract(state_at(0))) is None
    (message,) = [str(warning.message) for warning in warned]
    assert all(str(tmp_path / "run" / step) in message for step in "12")


def test_an_invalid_manifest(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for text in (
        "",
        "[]",
        "{}",
        "null",
        '{"files": 1, "layout": 2, "history": 3, "sha256": 4}',
        "\xff",
    ):
        (tmp_path / "run" / "2" / "manifest.json").write_text(text, "latin-1")
        with pytest.raises(CheckpointError, match=r"manifest\.json"):
            Directory(tmp_path / "run").restore(abstract(state_at(0)), 2)


def test_the_step_just_saved_is_kept_despite_damaged_later_ones(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for step in (7, 8):
        shutil.copytree(saved / "2", tmp_path / "run" / str(step))
        flip(next(p for p in (tmp_path / "run" / str(step) / "state").rglob("*") if p.is_file()))
    store = Directory(tmp_path / "run")
    store.save(Checkpoint(state_at(3), []))
    store.close()
    with pytest.warns(UserWarning, match="going back"):
        assert int(store.restore(abstract(state_at(0)))[0].step) == 3


def test_the_remains_of_a_killed_save_are_removed(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "2" / "manifest.json").unlink()
    (tmp_path / "run" / "2" / "manifest.json.partial").write_text("{")
    store = Directory(tmp_path / "run")
    assert store.steps() == [1]
    assert int(store.restore(abstract(state_at(0)))[0].step) == 1
    store.save(Checkpoint(state_at(3), []))
    store.close()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["1", "3"]


def test_the_remains_of_orbax_are_removed(tmp_path, monkeypatch):
    store = Directory(tmp_path / "run")
    with monkeypatch.context() as before_the_commit:
        before_the_commit.setattr(
            "os.rename", lambda *names, **kwargs: (_ for _ in ()).throw(OSError("killed"))
        )
        store.save(Checkpoint(state_at(1), []))
        with pytest.raises(CheckpointError, match="killed"):
            store.close()
    left = [path.name for path in (tmp_path / "run" / "1").iterdir()]
    assert left and "state" not in left, "the failed save must leave temporary files"
    store.save(Checkpoint(state_at(2), []))
    store.close()
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["2"]
    shutil.copytree(tmp_path / "run" / "2", tmp_path / "run" / "3" / left[0])
    store.save(Checkpoint(state_at(3), []))
    restored, *_ = store.restore(abstract(state_at(0)))
    assert state_sha256(restored) == state_sha256(state_at(3))


FOREIGN = ["2023/thesis.txt", "2023/deep/thesis.txt", "2023/.hidden", "2023/manifest.txt", "2023"]


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_not_removed(tmp_path, name):
    foreign = tmp_path / "run" / name
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("content")
    store = Directory(tmp_path / "run", last=1)
    for step in (1, 2):
        store.save(Checkpoint(state_at(step), []))
    store.close()
    assert store.steps() == [2]
    assert foreign.read_text() == "content"
    with pytest.raises(CheckpointError) as caught:
        store.save(Checkpoint(state_at(2023), []))
    first = tmp_path / "run" / "/".join(name.split("/")[:2])
    message = f"failed: {first} is not part of a checkpoint and would be lost; move it away"
    assert message in str(caught.value)
    assert foreign.read_text() == "content"


def test_a_step_with_a_foreign_file_is_not_removed(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "1" / "note").write_text("content")
    store = Directory(tmp_path / "run", last=1)
    store.save(Checkpoint(state_at(3), []))
    store.close()
    assert (tmp_path / "run" / "1" / "note").read_text() == "content"
    assert (tmp_path / "run" / "1" / "manifest.json").exists()
    # Step 3 is the newest and step 2 the best; step 1 is there only because of the foreign file.
    assert store.steps() == [1, 2, 3]


def test_manifest_is_strict_json_with_hashes(saved):
    manifest = json.loads((saved / "2" / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["layout"]["params/w"] == "float32[4, 3]"
    assert manifest["layout"]["extra/batch_stats/mean"] == "bfloat16[3]"
    listed = {f"2/{name}" for name in manifest["files"]} | {"2/manifest.json"}
    assert listed == {str(name) for name in files_of_step_2(saved)}
