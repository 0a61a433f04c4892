"""Tests of the cache: entries are complete or missing, and a damaged entry is never used."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from jaxdl.data.cache import MANIFEST, cache_root, load_or_build, write_manifest
from jaxdl.errors import DataUnavailable, InputError

X = np.random.RandomState(0).randint(0, 256, (5, 3)).astype(np.uint8)


#: A process that builds an entry as soon as its input ends.
BUILD_SLOWLY = """
import sys
from pathlib import Path
import numpy as np
from jaxdl.data.cache import load_or_build, write_manifest

def build(folder):
    print("building", flush=True)
    sys.stdin.read()
    np.save(folder / "x.npy", np.arange(3))
    write_manifest(folder, {})

load_or_build(Path(sys.argv[1]), build)
"""


class Builder:
    """A build function that counts its calls."""

    def __init__(self):
        self.times = 0

    def __call__(self, folder):
        self.times += 1
        assert not any(folder.iterdir())
        np.save(folder / "x.npy", X)
        np.save(folder / "y.npy", np.arange(5))
        write_manifest(folder, {"classes": 5})


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def folder(tmp_path, build):
    load_or_build(tmp_path / "a" / "set", build)
    build.times = 0
    return tmp_path / "a" / "set"


def assert_contents(contents) -> None:
    arrays, metadata = contents
    assert sorted(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], X)
    assert metadata == {"classes": 5}


def test_built_once(folder, build):
    assert_contents(load_or_build(folder, build))
    assert build.times == 0
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_arrays_stay_on_disk(folder, build):
    assert isinstance(load_or_build(folder, build)[0]["x"], np.memmap)


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_any_flipped_bit_is_detected(folder, build, name):
    whole = (folder / name).read_bytes()
    for bit in np.random.RandomState(0).permutation(8 * len(whole))[:20]:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(content)
        with pytest.warns(
            UserWarning, match=rf"^cache .*set is damaged \({name} does not match its checksum\)"
        ):
            assert_contents(load_or_build(folder, build))
    assert build.times == 20


def test_no_flipped_bit_of_the_manifest_changes_what_is_read(folder, build):
    whole = (folder / MANIFEST).read_bytes()
    for bit in range(0, 8 * len(whole), 13):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (folder / MANIFEST).write_bytes(content)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert_contents(load_or_build(folder, build))
        # A flipped bit in white space may have no effect; each other one causes one warning.
        assert len(warned) == build.times or not whole[bit // 8 : bit // 8 + 1].strip()
        assert not any("\n" in str(warning.message) for warning in warned)
        build.times = 0


@pytest.mark.parametrize("name", ["x.npy", "y.npy", MANIFEST])
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_a_truncated_or_missing_file_is_detected(folder, build, name, damage):
    file = folder / name
    if damage == "missing":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.write_bytes(file.read_bytes()[:-3])
    with pytest.warns(UserWarning, match=r"^cache .*set is damaged \(.*\); rebuilding it$"):
        assert_contents(load_or_build(folder, build))
    assert build.times == 1


def test_an_additional_file_is_detected(folder, build):
    np.save(folder / "z.npy", X)
    with pytest.warns(UserWarning, match="files differ"):
        assert_contents(load_or_build(folder, build))
    assert build.times == 1


def test_python_objects_are_not_loaded_even_with_the_right_checksum(folder, build):
    np.save(folder / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    write_manifest(folder, {"classes": 5})
    with pytest.warns(UserWarning, match="damaged"):
        assert_contents(load_or_build(folder, build))


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"sha256": 1}', '{"metadata": {}, "files": 3, "sha256": ""}', "\xff"]
)
def test_an_invalid_manifest_is_detected(folder, build, text):
    (folder / MANIFEST).write_text(text, "latin-1")
    with pytest.warns(UserWarning, match="damaged"):
        assert_contents(load_or_build(folder, build))


def test_the_manifest_has_the_checksum_of_each_file(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["files"]["x.npy"] == hashlib.sha256((folder / "x.npy").read_bytes()).hexdigest()


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fails(folder):
        np.save(folder / "x.npy", X)
        raise DataUnavailable("no network")

    with pytest.raises(DataUnavailable, match="no network"):
        load_or_build(tmp_path / "set", fails)
    assert not any(tmp_path.iterdir())


def test_two_concurrent_builds_leave_one_entry(tmp_path, build):
    folder = tmp_path / "set"

    def second(new):
        load_or_build(folder, build)
        build(new)

    assert_contents(load_or_build(folder, second))
    assert build.times == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_process_waits_for_the_one_that_builds(tmp_path):
    """Both get the entry, and it is built once."""
    folder = tmp_path / "set"
    with subprocess.Popen(
        [sys.executable, "-c", BUILD_SLOWLY, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "building\n"
        threading.Timer(0.5, process.stdin.close).start()
        arrays, _ = load_or_build(folder, lambda _: pytest.fail("built twice"))
    np.testing.assert_array_equal(arrays["x"], np.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_root_that_is_not_utf8_is_refused():
    with pytest.raises(InputError, match="^cache_dir: got .*, allowed: a path in UTF-8$"):
        cache_root(os.fsdecode(b"/tmp/\xff"))


def test_a_build_that_writes_nothing_is_an_error(tmp_path):
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(DataUnavailable, match=r"^cache_dir: files written to .* read back damaged$"),
    ):
        load_or_build(tmp_path / "set", lambda _: None)


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path, build):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError,
        match=r"^cache_dir: got '.*file', allowed: a directory that can be written \(.*\)$",
    ):
        load_or_build(tmp_path / "file" / "set", build)
