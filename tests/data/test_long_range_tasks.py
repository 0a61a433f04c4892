"""Tests of the long-range tasks against the papers, and of the baselines in their docstrings."""

import numpy as np
import pytest

from jaxdl.data.dataset import Dataset
from jaxdl.data.long_range_tasks import (
    adding,
    copy_memory,
    image_sequences,
    long_range_sets,
    memoryless_error,
)
from jaxdl.errors import InputError


@pytest.mark.parametrize("length", [2, 3, 7, 50])
def test_adding_marks_one_number_in_each_half_and_the_target_is_their_sum(length):
    data = adding(length, 200, seed=3)
    assert (data["input"].shape, data["target"].shape) == ((200, length, 2), (200, 1))
    assert data["input"].dtype == data["target"].dtype == np.float32
    for x, y in zip(data["input"], data["target"], strict=True):
        first, second = (t for t in range(length) if x[t, 1] == 1)
        assert first < length // 2 <= second
        assert sorted(x[:, 1]) == [0] * (length - 2) + [1, 1]
        assert y[0] == x[first, 0] + x[second, 0]
    assert data["input"][..., 0].min() >= 0
    assert data["input"][..., 0].max() < 1


def test_adding_is_uniform_and_its_baseline_is_a_sixth():
    data = adding(20, 20_000)
    y = data["target"][:, 0].astype(float)
    u = data["input"][..., 0]
    # The standard error is 0.8 %.
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.03)
    np.testing.assert_allclose(np.histogram(u, 10, (0, 1))[0] / u.size, 0.1, atol=0.002)
    np.testing.assert_allclose(data["input"][..., 1].mean(0), 0.1, atol=0.012)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_copy_memory_has_the_layout_of_the_paper(length):
    data = copy_memory(length, 50, seed=2)
    assert data["input"].shape == data["label"].shape == (50, length + 20)
    assert data["input"].dtype == data["label"].dtype == np.int32
    assert data.classes == 10
    for x, y in zip(data["input"].tolist(), data["label"].tolist(), strict=True):
        symbols = x[:10]
        assert set(symbols) <= set(range(1, 9))
        assert x == symbols + [0] * (length - 1) + [9] * 11
        assert y == [0] * length + [0] * 10 + symbols


def test_the_symbols_of_copy_memory_are_uniform_and_its_baseline_is_as_documented():
    data = copy_memory(5, 5000)
    share = np.bincount(data["input"][:, :10].ravel(), minlength=10) / 50_000
    np.testing.assert_allclose(share[1:9], 1 / 8, atol=0.006)
    # The baseline predicts the blanks with certainty, and the eight symbols uniformly.
    probability = np.where(data["label"] > 0, 1 / 8, 1.0)
    assert -np.log(probability).mean() == pytest.approx(10 * np.log(8) / 25)


@pytest.mark.parametrize("task", [adding, copy_memory])
def test_the_data_depend_only_on_the_seed(task):
    assert task(10, 20, seed=1).sha256 == task(10, 20, seed=1).sha256
    train = {row.tobytes() for row in task(10, 100, 0)["input"]}
    test = {row.tobytes() for row in task(10, 100, 1)["input"]}
    assert not train & test


def test_the_data_of_seed_0_have_not_changed():
    added = "c51694d8fe327285957ae5d0372d5bacdf52a2b0af6909889d299afa7ce5d04a"
    copied = "42dadcf3bee39d75af7805d02538a148b6e7262c3094bbb551642559dd72d451"
    assert adding(50, 100).sha256 == added
    assert copy_memory(50, 100).sha256 == copied


@pytest.mark.parametrize(
    ("task", "arguments", "line"),
    [
        (adding, (1, 5), "length: got 1, allowed: at least 2"),
        (adding, (50, 0), "count: got 0, allowed: at least 1"),
        (copy_memory, (0, 5), "length: got 0, allowed: at least 1"),
        (copy_memory, (2.5, 5), "length: got 2.5, allowed: an integer, at least 1"),
        (copy_memory, (5, 5, -1), "seed: got -1, allowed: at least 0"),
    ],
)
def test_sizes_out_of_range_are_refused(task, arguments, line):
    with pytest.raises(InputError) as caught:
        task(*arguments)
    assert str(caught.value) == line


@pytest.mark.parametrize(("task", "make"), [("adding", adding), ("copy", copy_memory)])
def test_the_sets_of_a_task_have_separate_seeds(task, make):
    sets = long_range_sets(task, 6, 30, 20, 10)
    assert list(sets) == ["train", "test", "validation"]
    for seed, (part, count) in enumerate([("train", 30), ("test", 20), ("validation", 10)]):
        assert sets[part].sha256 == make(6, count, seed=seed).sha256
    assert list(long_range_sets(task, 6, 30, 20)) == ["train", "test"]


def test_errors_of_the_trivial_baseline():
    """The best constant for sums, and for copies the right blanks with uniform symbols."""
    lengths = np.array([4, 30])
    target = adding(30, 100_000)["target"]
    np.testing.assert_allclose(memoryless_error("adding", lengths), target.var(), rtol=0.02)
    for length, error in zip(lengths, memoryless_error("copy", lengths), strict=True):
        label = copy_memory(length, 5)["label"]
        probability = np.where(label == 0, 1, 1 / 8)
        assert error == pytest.approx(-np.log(probability).mean())


@pytest.mark.parametrize("by", ["row", "pixel"])
def test_an_image_is_a_sequence_of_rows_or_pixels(by):
    inputs = np.random.default_rng(0).random((5, 4, 3, 2), np.float32)
    images = Dataset({"input": inputs, "label": np.arange(5)}, "images", 5)
    plain = image_sequences(images, by)
    assert (plain.name, plain.classes) == ("images", 5)
    np.testing.assert_array_equal(plain["label"], np.arange(5))
    for n, image in enumerate(inputs):
        steps = image.reshape(4, 6) if by == "row" else image.reshape(12, 2)
        np.testing.assert_array_equal(plain["input"][n], steps)
    permuted = image_sequences(images, by, permuted=True)["input"]
    order = [int(np.abs(plain["input"][0] - step).sum(1).argmin()) for step in permuted[0]]
    assert sorted(order) == list(range(len(order)))
    assert order != sorted(order)
    np.testing.assert_array_equal(permuted, plain["input"][:, order])


def test_points_are_no_sequences():
    points = Dataset({"input": np.zeros((3, 2))}, "moons")
    with pytest.raises(InputError, match=r"^data: got 'moons \[3, 2\]', allowed: images"):
        image_sequences(points)
