"""Tests of reading text files: their contents, or an error in one line."""

import gzip
import os
from pathlib import Path

import pytest

from jaxdl.data.files import (
    decode_utf8,
    most_bytes,
    open_maybe_gzip,
    read_bounded,
    write_atomically,
)
from jaxdl.errors import InputError

TEXT = "naïve — “quoted”\n" * 100


def read(path):
    with open_maybe_gzip(path) as file:
        return file.read()


def test_a_gzip_file_is_decompressed(tmp_path):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert read(tmp_path / "a.txt") == read(tmp_path / "a.txt.gz") == TEXT.encode()


@pytest.mark.parametrize("cut", [0, 12, 30, -1, -8])
def test_a_truncated_or_changed_gzip_file_is_refused(tmp_path, cut):
    compressed = gzip.compress(TEXT.encode())
    changed = bytearray(compressed)
    changed[cut] ^= 0xFF
    for content in (bytes(changed), compressed[: cut % len(compressed) or 1], b"plain"):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(
            InputError,
            match=r"^data: got '.*a.gz', allowed: a complete gzip file \(.+\)$",
        ):
            read(tmp_path / "a.gz")


def test_a_text_far_larger_than_its_file_is_refused(tmp_path):
    """The error has both numbers; the same text without compression is read."""
    content = bytes(2**25)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a").write_bytes(content)
    size = (tmp_path / "a.gz").stat().st_size
    message = f"More than {most_bytes(size)} bytes, from {size}"
    with (
        pytest.raises(InputError, match=rf"a file that can be read \({message}\)$"),
        open_maybe_gzip(tmp_path / "a.gz") as file,
    ):
        read_bounded(file)
    with open_maybe_gzip(tmp_path / "a") as file:
        assert read_bounded(file) == content


def test_an_atomic_write_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    """The order of the calls decides what a power failure leaves."""
    calls = []

    def recorded(module, name):
        function = getattr(module, name)

        def call(*args, **kwargs):
            calls.append(name)
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    recorded(os, "fsync")
    recorded(Path, "replace")
    write_atomically(tmp_path / "a", "text")
    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("left_over", ["pipe", "link", "file"])
def test_a_left_over_partial_file_is_replaced(tmp_path, left_over):
    partial = tmp_path / f"a.{os.getpid()}.partial"
    if left_over == "pipe":
        os.mkfifo(partial)
    elif left_over == "link":
        partial.symlink_to(tmp_path / "target")
    else:
        partial.write_text("half")
    write_atomically(tmp_path / "a", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "text"


def test_an_unreadable_path_is_an_error_of_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"^data: got '.*', allowed: a file that can be read \(Is a directory\)$"
    ):
        read(tmp_path)
    with pytest.raises(InputError, match=r"^data: got '.*none', allowed: a file that exists$"):
        read(tmp_path / "none")


def test_a_byte_order_mark_is_removed():
    assert decode_utf8(TEXT.encode(), "a") == TEXT
    assert decode_utf8(b"\xef\xbb\xbf" + TEXT.encode(), "a") == TEXT


@pytest.mark.parametrize(
    ("content", "offset", "byte"),
    [
        (b"abc\xff", 3, "0xff"),
        (b"\xef\xbb\xbfab\x80", 5, "0x80"),
        (b"ab\xc3", 2, "0xc3"),
        (b"\xff\xfea\0", 0, "0xff"),
        (b"\xed\xa0\x80", 0, "0xed"),
        (b"\xc0\x80", 0, "0xc0"),
    ],
)
def test_invalid_utf8_is_reported_with_its_offset(content, offset, byte):
    with pytest.raises(InputError, match=rf"^a.txt, byte {offset}: got '{byte}', allowed: UTF-8$"):
        decode_utf8(content, "a.txt")
