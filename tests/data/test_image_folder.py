"""Tests of sets in folders of images: layouts, order, cache, and folders that are refused."""

import os

import numpy as np
import pytest

from jaxdl.data import check_classification, image_folder, load, mapped_array
from jaxdl.data.image_folder import sorted_names
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError
from tests.data.folders import random_pixels, write_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


def write(folder, *names, shape=(4, 3)):
    """Writes random images with these names and returns their pixels by name."""
    return {name: write_image(folder / name, random_pixels(*shape)) for name in names}


def write_classes(folder, count=10):
    """Writes images of two classes, whose numbers are in another order than their texts."""
    return write(
        folder, *(f"{name}/{i}.png" for name in ("class10", "class9") for i in range(count))
    )


def rows(data):
    """Returns the examples as a set of pairs of pixels and the name of the class."""
    pixels = (np.asarray(data["input"]) * 255).round().astype(np.uint8)
    names = [data.class_names[label] for label in data["label"]]
    return {(image.tobytes(), name) for image, name in zip(pixels, names, strict=True)}


def expected_rows(images):
    return {(pixels.tobytes(), name.split("/")[-2]) for name, pixels in images.items()}


def test_a_folder_per_class_is_split_by_class(folder):
    images = write_classes(folder)
    train, test = load(folder)
    for data in (train, test):
        check_classification(data)
        assert data.class_names == ("class9", "class10")
        assert (data.name, data["label"].dtype) == ("photos", np.int32)
    assert (np.bincount(train["label"]).tolist(), np.bincount(test["label"]).tolist()) == (
        [8, 8],
        [2, 2],
    )
    assert rows(train) | rows(test) == expected_rows(images)
    assert train["input"].shape == (16, 4, 3, 1)


@pytest.mark.parametrize("name", ["test", "val", "validation"])
def test_the_parts_of_a_folder_in_the_order_of_their_numbers(name, folder):
    train_images = write_classes(folder / "train", 11)
    test_images = write(folder, f"{name}/class10/1.png")
    train, test = load(folder)
    assert rows(train) == expected_rows(train_images)
    assert rows(test) == expected_rows(test_images)
    assert (train.classes, test.classes, test["label"].tolist()) == (2, 2, [1])
    expected = [train_images[f"class9/{i}.png"] for i in range(11)]
    np.testing.assert_array_equal(
        train["input"][:11, ..., 0], np.float32(expected) / np.float32(255)
    )


def test_train_alone_and_a_class_called_train(folder, tmp_path):
    write_classes(folder / "train")
    assert [len(data) for data in load(folder)] == [16, 4]
    vehicles = tmp_path / "vehicles"
    write(vehicles, *(f"{name}/{i}.png" for name in ("train", "bus") for i in range(5)))
    assert load(vehicles)[0].class_names == ("bus", "train")


def test_images_without_classes(folder):
    images = write(folder, *(f"{i}.png" for i in range(10)))
    train, test = load(folder)
    assert (len(train), len(test), train.classes) == (8, 2, None)
    assert list(train.arrays) == ["input"]
    pixels = np.concatenate([train["input"], test["input"]])
    got = {(255 * each).round().astype(np.uint8).tobytes() for each in pixels}
    assert got == {each.tobytes() for each in images.values()}
    again = load(folder)
    assert [data.sha256 for data in again] == [train.sha256, test.sha256]
    raw = np.stack([images[f"{i}.png"] for i in range(10)])
    got = {each.tobytes() for each in train.preprocessing(raw)}
    assert {each.tobytes() for each in pixels} == got


def test_parts_without_classes(folder):
    write(folder, "train/a.png", "train/b.png", "test/c.png")
    assert [len(data) for data in load(folder)] == [2, 1]


def test_one_color_makes_all_images_rgb(folder):
    images = write_classes(folder)
    color = write_image(folder / "class9/0.png", random_pixels(4, 3, 3))
    data = np.concatenate([np.asarray(part["input"]) for part in load(folder)])
    assert data.shape == (20, 4, 3, 3)
    got = {(255 * each).round().astype(np.uint8).tobytes() for each in data}
    assert color.tobytes() in got
    assert images["class9/1.png"][..., None].repeat(3, -1).tobytes() in got


def test_pixels_of_16_bits_keep_their_digits(folder):
    write(folder, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    deep = np.array([[1, 65535], [256, 4000]], np.uint16).repeat(2, 0).repeat(2, 1)[:, :3]
    write_image(folder / "a/1.png", deep)
    sets = load(folder)
    data = np.concatenate([np.asarray(part["input"]) for part in sets])
    expected = (deep / np.float32(65535)).astype(np.float32)
    given = sets[0].preprocessing(deep[None, ..., None])
    np.testing.assert_array_equal(given[0, ..., 0], expected)
    assert any((each[..., 0] == expected).all() for each in data)


def test_sizes_that_differ_are_refused_and_scaled_on_request(folder):
    write_classes(folder)
    write(folder, "class9/20.png", shape=(9, 6))
    with pytest.raises(InputError) as caught:
        load(folder)
    assert str(caught.value) == (
        "data: got '0.png of 4 x 3 and 20.png of 9 x 6 pixels', allowed: one size; "
        f"write '{folder}:64' to crop and scale all to 64 x 64"
    )
    train, test = load(f"{folder}:5")
    assert (train["input"].shape, test["input"].shape) == ((17, 5, 5, 1), (4, 5, 5, 1))
    for size in (0, 5000):
        with pytest.raises(InputError, match=r"^size: got .*, allowed: an integer in \[1, 4096\]"):
            load(f"{folder}:{size}")


def test_a_name_with_a_colon_is_the_folder_if_it_exists(tmp_path):
    write_classes(tmp_path / "photos:5")
    assert load(f"{tmp_path}/photos:5")[0]["input"].shape == (16, 4, 3, 1)


def test_the_order_is_not_that_of_the_file_system(folder, tmp_path, monkeypatch):
    images = write_classes(folder)
    before = [data.sha256 for data in load(folder)]
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    other = tmp_path / "other" / "photos"
    for name, pixels in reversed(images.items()):
        write_image(other / name, pixels)
    monkeypatch.setattr(image_folder.os, "scandir", Reversed)
    assert [data.sha256 for data in load(other)] == before


def test_the_second_call_reads_only_the_cache_and_a_change_is_seen(folder, monkeypatch, capfd):
    images = write_classes(folder)
    first = [data.sha256 for data in load(folder)]
    assert capfd.readouterr().err == f"reading 20 images from {folder} into the cache ...\n"
    with monkeypatch.context() as patch:
        patch.setattr(image_folder, "decode", None)
        assert [data.sha256 for data in load(folder)] == first
    assert capfd.readouterr().err == ""
    write_image(folder / "class9/0.png", 255 - images["class9/0.png"])
    os.utime(folder / "class9/0.png", ns=(0, 0))
    assert [data.sha256 for data in load(folder)] != first


def test_a_large_set_stays_on_disk_with_the_same_bits(folder, monkeypatch):
    write_classes(folder)
    small = load(folder)
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    large = load(folder)
    for one, other in zip(small, large, strict=True):
        assert isinstance(other["input"], MappedArray)
        assert other["input"].raw.dtype == np.uint8
        assert one.sha256 == other.sha256


def test_hidden_files_and_files_of_other_kinds_are_ignored(folder):
    write_classes(folder)
    before = [data.sha256 for data in load(folder)]
    for name in (".DS_Store", "README.txt", "class9/.hidden.png", "class9/Thumbs.db"):
        (folder / name).write_text("x")
    write(folder / "__MACOSX", "class9/1.png")
    write(folder / ".git", "1.png")
    assert [data.sha256 for data in load(folder)] == before


def test_names_in_upper_case_and_beyond_ascii(folder):
    write(
        folder, *(f"{name}/{i}.{e}" for name in ("Öl", "ß $x$") for i, e in enumerate(["PNG"] * 5))
    )
    assert load(folder)[0].class_names == ("Öl", "ß $x$")


def link(name, target):
    return lambda folder: (folder / name).symlink_to(target)


def touch(name):
    return lambda folder: (folder / name).write_text("x")


def undecodable(folder):
    os.mkdir(os.fsencode(folder) + b"/\xff")
    write_image(folder / os.fsdecode(b"\xff") / "1.png", random_pixels(4, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link("class9/x.png", "0.png"), "the link .*x.png', allowed: folders and files without"),
        (link("class8", "class9"), "the link .*class8', allowed: folders and files without links"),
        (lambda folder: os.mkfifo(folder / "class9/x.png"), r"x.png', allowed: .png, .jpg, .jpeg"),
        (touch("class9/x.webp"), r"x.webp', allowed: .png, .jpg, .jpeg files; convert or remove"),
        (touch("class9/x.png"), r"x.png', allowed: an image that can be read \(it is no PNG"),
        (lambda folder: write(folder, "1.png"), "'1.png' beside the folder 'class9'"),
        (lambda folder: write(folder, "class9/a/1.png"), r"10 images and the folders \['a'\]"),
        (lambda folder: (folder / "empty").mkdir(), "empty with 0 images and the folders"),
        (undecodable, "allowed: a path in UTF-8"),
    ],
    ids=["file", "class", "pipe", "format", "damaged", "mixed", "nested", "empty", "bytes"],
)
def test_other_contents_are_refused_in_one_line(change, message, folder):
    write_classes(folder)
    change(folder)
    with pytest.raises(InputError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            [],
            r"with the folders \[\]', allowed: two or more folders of classes, or .png, .jpg",
        ),
        (["cat/1.png"], r"with the folders \['cat'\]"),
        (
            ["train/cat/1.png", "train/dog/1.png", "test/cow/1.png"],
            "allowed: classes that are in train, too",
        ),
        (["train/cat/1.png", "train/dog/1.png", "test/1.png"], "folders of classes as in train"),
        (["train/1.png", "test/1.png", "val/1.png"], "the option --validation takes a part"),
        (["cat/1.png", "dog/1.png"], "a set with several examples per class"),
    ],
    ids=["nothing", "one class", "unknown", "unlike", "three parts", "one example"],
)
def test_other_layouts_are_refused_in_one_line(names, message, folder):
    folder.mkdir()
    write(folder, *names)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_a_damaged_cache_is_built_again_and_another_one_refused(folder, tmp_path):
    write_classes(folder)
    before = load(folder)[0].sha256
    (entry,) = (tmp_path / "cache" / "folders").glob("photos-*")
    content = bytearray((entry / "train.npy").read_bytes())
    content[-1] ^= 1
    (entry / "train.npy").write_bytes(content)
    with pytest.warns(UserWarning, match="does not match its checksum"):
        assert load(folder)[0].sha256 == before
    np.save(entry / "train.npy", np.zeros((20, 4, 3, 1), np.float32))
    image_folder.write_manifest(entry, {})
    with pytest.raises(InputError, match="allowed: a cache of this version; remove the folder"):
        load(folder)


def test_names_are_sorted_by_the_values_of_their_numbers():
    names = [f"{text}{number}" for text in ("", "a", "b") for number in range(0, 120, 7)]
    shuffled = np.random.RandomState(0).permutation(names).tolist()
    assert sorted_names(shuffled) == names
    assert sorted_names(["a01", "a1", "a001"]) == sorted_names(["a001", "a1", "a01"])
