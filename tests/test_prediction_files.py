"""Tests of files of predictions: names of images, places that cannot be written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdl.errors import InputError, RunError
from jaxdl.prediction_files import (
    check_not_input,
    checked_out,
    image_paths,
    write_images,
    write_rows,
    write_texts,
)

IMAGES = np.random.default_rng(0).random((2, 4, 3, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["/a/x.png"], ["x.png"]),
        (["/a/x.png", "/a/y.JPG"], ["x.png", "y.png"]),
        (["/a/b/x.png", "/a/c/x.png"], ["b/x.png", "c/x.png"]),
        (["/a/x.png", "/a/c/x.png"], ["x.png", "c/x.png"]),
        (["x.png", "../x.png"], [f"{Path.cwd().name}/x.png", "x.png"]),
        (["row 0", "row 1"], ["row 0.png", "row 1.png"]),
    ],
)
def test_files_keep_the_names_of_the_inputs(names, expected):
    assert [path.as_posix() for path in image_paths(names, Path("o"))] == [
        f"o/{name}" for name in expected
    ]


@pytest.mark.parametrize("names", [["a/x.png", "a/x.jpg"], ["a/x.png", "b/../a/x.png"]])
def test_two_images_of_one_name_are_refused(names):
    with pytest.raises(InputError, match="inputs: got 'a/x.png and .*, allowed: one image for"):
        image_paths(names, Path("out"))


def test_an_input_is_not_replaced(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "photos")
    for folder in (tmp_path / "photos", link):
        with pytest.raises(InputError, match="out: got .*, allowed: another folder; .*x.png is an"):
            image_paths([str(tmp_path / "photos/x.png")], folder)
    assert image_paths([str(tmp_path / "photos/x.jpg")], tmp_path / "photos")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_have_8_bits(tmp_path, channels):
    images = IMAGES[..., :channels]
    write_images(images, ["a", "b"], tmp_path / "out", "")
    with Image.open(tmp_path / "out/b.png") as picture:
        assert picture.mode == {1: "L", 3: "RGB"}[channels]
        found = np.asarray(picture).reshape(images[1].shape)
    np.testing.assert_allclose(found, 255 * images[1], atol=0.51)


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        (None, "images", "out: got None, allowed: --out with a file .* .png, .npz; or a folder"),
        ("x.csv", "images", "allowed: a file that ends in .png, .npz; or a folder"),
        ("file", "images", "or a folder, .*; this is a file"),
        ("x.png", "rows", "allowed: a file that ends in .csv, .json, .npz"),
        ("folder", "rows", "allowed: a file that ends in .csv, .json, .npz"),
        ("folder", "texts", "allowed: a file that ends in .txt, .json"),
        ("none/x", "images", "allowed: a file in a directory that exists"),
    ],
)
def test_places_that_do_not_fit(tmp_path, monkeypatch, name, form, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=message):
        checked_out(name, form)
    assert checked_out(None, "rows") is None
    assert checked_out("folder", "images") == Path("folder")
    assert checked_out("new", "images") == Path("new")


def test_errors_of_the_system_are_one_line(tmp_path):
    rows = [{"input": "a", "output": 1.0}]
    for ending in (".csv", ".json", ".npz"):
        (tmp_path / f"x{ending}").mkdir()
        with pytest.raises(RunError, match=rf"x\{ending} cannot be written: Is a directory"):
            write_rows(rows, IMAGES, tmp_path / f"x{ending}")
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        write_texts(["a"], ["b"], tmp_path / "x.txt")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/a.png cannot be written: File exists"):
        write_images(IMAGES[:1], ["a"], tmp_path / "file", "")


def test_a_file_of_predictions_is_no_input(tmp_path):
    (tmp_path / "data.csv").write_text("1,2")
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "data.csv")
    for out in (tmp_path / "data.csv", link):
        with pytest.raises(InputError, match="allowed: another file; this is an input"):
            check_not_input(out, [str(tmp_path / "data.csv")])
    check_not_input(tmp_path / "other.csv", [str(link)])
    check_not_input(tmp_path, [str(tmp_path)])
    check_not_input(None, ["a text"])


def test_an_image_is_the_same_alone_and_among_others(tmp_path):
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    for folder, chosen in (("all", [0, 1, 2]), ("one", [1])):
        write_images(images[chosen], [f"{i}.png" for i in chosen], tmp_path / folder, "title")
    one = (tmp_path / "one" / "1.png").read_bytes()
    assert (tmp_path / "all" / "1.png").read_bytes() == one
