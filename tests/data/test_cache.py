"""The cache: whole or not there, and never used when damaged."""

import hashlib
import json
import warnings

import numpy as np
import pytest

from jaxdl.data.cache import MANIFEST, cached, seal
from jaxdl.errors import DataUnavailable, InputError

X = np.random.RandomState(0).randint(0, 256, (5, 3)).astype(np.uint8)


class Builder:
    """Counts how often it is asked."""

    def __init__(self):
        self.times = 0

    def __call__(self, folder):
        self.times += 1
        assert not any(folder.iterdir())
        np.save(folder / "x.npy", X)
        np.save(folder / "y.npy", np.arange(5))
        seal(folder, {"classes": 5})


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def folder(tmp_path, build):
    cached(tmp_path / "a" / "set", build)
    build.times = 0
    return tmp_path / "a" / "set"


def same(found) -> None:
    arrays, about = found
    assert sorted(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], X)
    assert about == {"classes": 5}


def test_built_once(folder, build):
    same(cached(folder, build))
    assert build.times == 0
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_arrays_stay_on_disk(folder, build):
    assert isinstance(cached(folder, build)[0]["x"], np.memmap)


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_one_flipped_bit_anywhere_is_noticed(folder, build, name):
    whole = (folder / name).read_bytes()
    for at in np.random.RandomState(0).permutation(8 * len(whole))[:20]:
        content = bytearray(whole)
        content[at // 8] ^= 1 << at % 8
        (folder / name).write_bytes(content)
        with pytest.warns(
            UserWarning, match=rf"^cache .*set is damaged \({name} does not match its checksum\)"
        ):
            same(cached(folder, build))
    assert build.times == 20


def test_no_flipped_bit_of_the_manifest_changes_what_is_read(folder, build):
    whole = (folder / MANIFEST).read_bytes()
    for at in range(0, 8 * len(whole), 13):
        content = bytearray(whole)
        content[at // 8] ^= 1 << at % 8
        (folder / MANIFEST).write_bytes(content)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            same(cached(folder, build))
        # A flip in white space may mean nothing; every other one is named once.
        assert len(warned) == build.times or not whole[at // 8 : at // 8 + 1].strip()
        assert not any("\n" in str(warning.message) for warning in warned)
        build.times = 0


@pytest.mark.parametrize("name", ["x.npy", "y.npy", MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_file_cut_short_or_gone_is_noticed(folder, build, name, damage):
    file = folder / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: -3 if damage == "cut" else 0])
    with pytest.warns(UserWarning, match=r"^cache .*set is damaged \(.*\); building it again$"):
        same(cached(folder, build))
    assert build.times == 1


def test_a_file_too_many_is_noticed(folder, build):
    np.save(folder / "z.npy", X)
    with pytest.warns(UserWarning, match="files differ"):
        same(cached(folder, build))
    assert build.times == 1


def test_python_objects_are_not_loaded_even_with_the_right_checksum(folder, build):
    np.save(folder / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    seal(folder, {"classes": 5})
    with pytest.warns(UserWarning, match="damaged"):
        same(cached(folder, build))


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"sha256": 1}', '{"about": {}, "files": 3, "sha256": ""}', "\xff"]
)
def test_any_other_manifest_is_damage(folder, build, text):
    (folder / MANIFEST).write_text(text, "latin-1")
    with pytest.warns(UserWarning, match="damaged"):
        same(cached(folder, build))


def test_the_manifest_says_what_is_there(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["files"]["x.npy"] == hashlib.sha256((folder / "x.npy").read_bytes()).hexdigest()


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fails(folder):
        np.save(folder / "x.npy", X)
        raise DataUnavailable("no network")

    with pytest.raises(DataUnavailable, match="no network"):
        cached(tmp_path / "set", fails)
    assert not any(tmp_path.iterdir())


def test_of_two_builders_at_once_one_is_first_and_both_read(tmp_path, build):
    folder = tmp_path / "set"

    def second(new):
        cached(folder, build)
        build(new)

    same(cached(folder, second))
    assert build.times == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_builder_that_writes_nothing_is_named(tmp_path):
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(DataUnavailable, match=r"^cache_dir: .* does not keep what is written"),
    ):
        cached(tmp_path / "set", lambda _: None)


def test_a_place_that_cannot_be_written_is_named(tmp_path, build):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError,
        match=r"^cache_dir: got '.*file', allowed: a directory that can be written \(.*\)$",
    ):
        cached(tmp_path / "file" / "set", build)
