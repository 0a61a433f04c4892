"""Tests of the picture of a set: one for each kind of input, and sets without a picture."""

import numpy as np
import pytest

from jaxdl.data import Column, Dataset, Vocabulary, load, standardize
from jaxdl.errors import InputError
from jaxdl.plots import sets, show
from tests.plots.pictures import pixels

RANDOM = np.random.RandomState(0)
IDS = RANDOM.randint(2, 12, (20, 30))
NAMES = ("a$", "b", "c_{")


def labelled(x, **options):
    """Returns a set of these inputs with three classes."""
    arrays = {"input": x, "label": np.arange(len(x)) % 3}
    return Dataset(arrays, "a $name$", 3, class_names=NAMES, **options)


COLUMNS = (Column("age"), Column("color $", tuple("abcdefgh")), Column("x"))
TABLE = np.concatenate(
    [RANDOM.normal(size=(30, 1)), np.eye(8)[RANDOM.randint(0, 8, 30)], RANDOM.normal(size=(30, 1))],
    1,
)

SETS = {
    "grey": labelled(RANDOM.uniform(size=(50, 6, 4, 1))),
    "color": labelled(RANDOM.uniform(size=(5, 6, 4, 3))),
    "no classes": Dataset({"input": RANDOM.uniform(size=(50, 6, 4, 1))}, "mine"),
    "clips": labelled(RANDOM.uniform(size=(4, 20, 5, 5, 1))),
    "points": labelled(RANDOM.normal(size=(100, 2))),
    "plain points": Dataset({"input": RANDOM.normal(size=(9, 2))}, "mine"),
    "vectors": labelled(RANDOM.normal(size=(100, 30))),
    "one column": Dataset({"input": RANDOM.normal(size=(9, 1)), "target": np.ones((9, 1))}, "mine"),
    "not finite": Dataset({"input": np.array([[np.nan, 1, 2], [3, np.inf, 5]])}, "mine"),
    "table": Dataset({"input": TABLE, "target": TABLE[:, :2]}, "mine", columns=COLUMNS),
    "scaled table": standardize(Dataset({"input": TABLE}, "mine", columns=COLUMNS))[0],
    "series": Dataset({"input": RANDOM.normal(size=(20, 48, 3))}, "mine"),
    "lengths": Dataset({"input": RANDOM.normal(size=(3, 9)), "length": [9, 1, 4]}, "mine"),
    "windows": Dataset({"input": IDS}, "mine", contiguous=True),
    "reviews": labelled(IDS),
    "steps": Dataset({"input": IDS, "label": IDS}, "mine", 12),
}


@pytest.mark.parametrize("name", SETS)
def test_a_picture_of_each_kind(name, tmp_path):
    assert pixels(show(SETS[name], tmp_path / "a.png")).size


@pytest.mark.parametrize("text", ["the cat\nsat $ on $ " * 9, "the cat sat"])
@pytest.mark.parametrize("by", ["character", "word"])
def test_windows_of_text(text, by, tmp_path):
    vocabulary = Vocabulary.build(text, by)
    ids = np.resize(vocabulary.encode(text), (5, 20))
    pixels(show(Dataset({"input": ids}, "mine"), tmp_path / "a.png", vocabulary.tokens))


def test_categories_are_counted_also_after_a_standardization():
    expected = np.bincount(TABLE[:, 1:9].argmax(1), minlength=8)
    for name in ("table", "scaled table"):
        columns = {each[0]: each for each in sets._columns(SETS[name])}
        _, values, names = columns["color $"]
        np.testing.assert_array_equal(np.bincount(values, minlength=8), expected)
        assert names == COLUMNS[1].values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            Dataset({"x": np.zeros(3)}, "a"),
            "data: got 'the fields .*', allowed: a jaxdl.data.Dataset with",
        ),
        (
            {"input": np.zeros((3, 2))},
            "data: got 'dict', allowed: a jaxdl.data.Dataset with a field",
        ),
        (Dataset({"input": np.zeros(3)}, "a"), r"input shape: got \(3,\), allowed: images, points"),
        (Dataset({"input": np.zeros((3, 5, 5, 2))}, "a"), r"input shape: got \(3, 5, 5, 2\)"),
    ],
    ids=["no input", "dictionary", "numbers", "two channels"],
)
def test_other_sets_are_refused(data, message, tmp_path):
    with pytest.raises(InputError, match=message):
        show(data, tmp_path / "a.png")


def test_a_set_on_disk_is_read_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxdl.data.mapped_array.IN_MEMORY", 0)
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path))
    pixels(show(load("photos")[0], tmp_path / "a.png"))
