"""A text of TFDS: read by a child process, kept in the cache."""

import shutil
import subprocess

import numpy as np
import pytest

from jaxdl.data import load, prepare, tfds_text
from jaxdl.data.text import read_text
from jaxdl.errors import DataUnavailable, InputError
from tests.data import tiny_tfds

PARTS = {
    "train": "First Citizen:\nBefore we — ",
    "validation": "proceed any ",
    "test": "further, hear me speak.\n",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir with a small text, and the cache after it was read once by the real child."""
    place = tmp_path_factory.mktemp("tfds")
    # The order of the files is not that of the text.
    tiny_tfds.write_text(place / "data", **dict(sorted(PARTS.items())))
    read_text("tiny_shakespeare", str(place / "data"), str(place / "cache"))
    return str(place / "data"), str(place / "cache")


def no_child(*_):
    raise AssertionError("the cache was not used")


def test_the_parts_are_one_text_again_and_read_once(prepared, monkeypatch, capfd):
    monkeypatch.setattr(tfds_text, "_in_child", no_child)
    assert read_text("tiny_shakespeare", *prepared) == "".join(PARTS.values())
    monkeypatch.setenv("TFDS_DATA_DIR", prepared[0])
    monkeypatch.setenv("JAXDL_CACHE", prepared[1])
    assert read_text("tiny_shakespeare") == "".join(PARTS.values())
    assert capfd.readouterr() == ("", "")


def test_a_damaged_cache_is_read_again(prepared, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(prepared[1], cache)
    file = next(cache.glob("text/*/text.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match=r"is damaged \(text.npy does not match its checksum\)"):
        assert read_text("tiny_shakespeare", prepared[0], str(cache)) == "".join(PARTS.values())


def test_a_text_is_no_set_of_images_and_images_are_no_text(prepared, tmp_path):
    with pytest.raises(
        DataUnavailable, match="tiny_shakespeare: not a set of images with one label each"
    ):
        load("tiny_shakespeare", *prepared)
    with pytest.raises(DataUnavailable, match="mnist: not a set of texts and nothing else"):
        prepare.prepare("mnist", str(tmp_path), text=True)


def test_what_cannot_be_had_says_which_command_gets_it(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataUnavailable) as raised:
        prepare.prepare("tiny_shakespeare", str(tmp_path), text=True)
    assert str(raised.value) == (
        f"tiny_shakespeare: not prepared in {tmp_path}, and preparing needs TensorFlow and a network; where they are,"
        f" run: pip install -e '.[tfds]' && python -m jaxdl.data.prepare tiny_shakespeare --data-dir {tmp_path} --text"
    )


def test_the_command_prepares_nothing_that_is_prepared(prepared, capsys):
    assert prepare.main(["tiny_shakespeare", "--text", "--data-dir", prepared[0]]) == 0
    assert capsys.readouterr().out == f"tiny_shakespeare is prepared in {prepared[0]}\n"


@pytest.mark.parametrize(
    ("code", "said", "line"),
    [
        (9, "", "tiny_shakespeare: the process that reads it ended with code 9"),
        (3, "tiny_shakespeare: not there\n", "tiny_shakespeare: not there"),
    ],
)
def test_what_the_child_says_is_raised_here(code, said, line, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(
        tfds_text.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess("", code, said)
    )
    with pytest.raises(DataUnavailable, match=f"^{line}$"):
        read_text("tiny_shakespeare", str(tmp_path / "data"), str(tmp_path / "cache"))
    assert (
        capfd.readouterr().err == f"reading tiny_shakespeare from {tmp_path / 'data'}, once ...\n"
    )
    assert not any((tmp_path / "cache" / "text").iterdir())


def test_a_text_that_is_not_utf8_names_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tfds_text, "cached", lambda *_: ({"text": np.array([65, 255], "uint8")}, {})
    )
    with pytest.raises(InputError, match="^tiny_shakespeare, byte 1: got '0xff', allowed: UTF-8$"):
        read_text("tiny_shakespeare", str(tmp_path), str(tmp_path))
