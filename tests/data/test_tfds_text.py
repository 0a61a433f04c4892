"""Tests of TFDS texts: a child process reads them into the cache, without TensorFlow."""

import shutil
import subprocess

import numpy as np
import pytest

from jaxdl.data import images, load, prepare, tfds_text
from jaxdl.data.text import read_text
from jaxdl.errors import DataUnavailable, InputError
from tests.data import tiny_tfds

PARTS = {
    "train": "First Citizen:\nBefore we — ",
    "validation": "proceed any ",
    "test": "further, let me speak.\n",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir with a small text, and a cache that the child process has filled."""
    directory = tmp_path_factory.mktemp("tfds")
    data_dir = str(directory / "data")
    cache_dir = str(directory / "cache")
    # The order of the files differs from that of the text.
    tiny_tfds.write_text(directory / "data", **dict(sorted(PARTS.items())))
    read_text("tiny_shakespeare", data_dir, cache_dir)
    return data_dir, cache_dir


def no_child(*_, **__):
    raise AssertionError("the cache was not used")


def test_the_parts_are_one_text_and_the_second_call_reads_only_the_cache(
    prepared, monkeypatch, capfd
):
    monkeypatch.setattr(tfds_text, "run_prepare", no_child)
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


def test_a_text_is_not_read_as_images_and_images_are_not_read_as_a_text(prepared, tmp_path):
    with pytest.raises(
        DataUnavailable, match="tiny_shakespeare: not a set of images with one label each"
    ):
        load("tiny_shakespeare", *prepared)
    with pytest.raises(DataUnavailable, match="mnist: not a set that contains only texts"):
        prepare.prepare("mnist", str(tmp_path), text=True)


def test_an_unavailable_text_is_reported_with_the_command_that_prepares_it(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataUnavailable) as raised:
        prepare.prepare("tiny_shakespeare", str(tmp_path), text=True)
    assert str(raised.value) == (
        f"tiny_shakespeare: not prepared in {tmp_path}; on a machine with TensorFlow and a network,"
        " run: pip install 'jaxdl[tfds]' && python -m jaxdl.data.prepare tiny_shakespeare"
        f" --data-dir {tmp_path} --text"
    )


def test_the_command_leaves_a_prepared_set_unchanged(prepared, capsys):
    assert prepare.main(["tiny_shakespeare", "--text", "--data-dir", prepared[0]]) == 0
    assert capsys.readouterr().out == f"tiny_shakespeare is prepared in {prepared[0]}\n"


@pytest.mark.parametrize(
    ("code", "output", "line"),
    [
        (2, "", "tiny_shakespeare: the process that reads it exited with code 2"),
        (9, "", "tiny_shakespeare: the process that reads it exited with code 9"),
        (3, "tiny_shakespeare: not there\n", "tiny_shakespeare: not there"),
    ],
)
def test_a_failure_of_the_child_process_is_raised(code, output, line, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(
        images.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess("", code, output)
    )
    with pytest.raises(DataUnavailable, match=f"^{line}$"):
        read_text("tiny_shakespeare", str(tmp_path / "data"), str(tmp_path / "cache"))
    line = f"reading tiny_shakespeare from {tmp_path / 'data'} into the cache ...\n"
    assert capfd.readouterr().err == line
    assert not any((tmp_path / "cache" / "text").iterdir())


def test_a_text_that_is_not_utf8_is_reported_with_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tfds_text, "load_or_build", lambda *_: ({"text": np.array([65, 255], "uint8")}, {})
    )
    with pytest.raises(InputError, match="^tiny_shakespeare, byte 1: got '0xff', allowed: UTF-8$"):
        read_text("tiny_shakespeare", str(tmp_path), str(tmp_path))
