"""The tasks of memory are those of the papers, and their baselines are what the docstrings say."""

import numpy as np
import pytest

from jaxdl.data.long_range_tasks import adding, copy_memory
from jaxdl.errors import InputError


@pytest.mark.parametrize("length", [2, 3, 7, 50])
def test_adding_marks_one_number_in_each_half_and_asks_for_their_sum(length):
    data = adding(length, 200, seed=3)
    assert (data["input"].shape, data["target"].shape) == ((200, length, 2), (200, 1))
    assert data["input"].dtype == data["target"].dtype == np.float32
    for x, y in zip(data["input"], data["target"], strict=True):
        first, second = (t for t in range(length) if x[t, 1] == 1)
        assert first < length // 2 <= second
        assert sorted(set(x[:, 1])) == ([1] if length == 2 else [0, 1])
        assert y[0] == x[first, 0] + x[second, 0]
    assert data["input"][..., 0].min() >= 0
    assert data["input"][..., 0].max() < 1


def test_adding_is_uniform_and_its_baseline_a_sixth():
    data = adding(20, 20_000)
    y = data["target"][:, 0].astype(float)
    u = data["input"][..., 0]
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.03)  # the standard error is 0.8 %
    np.testing.assert_allclose(np.histogram(u, 10, (0, 1))[0] / u.size, 0.1, atol=0.002)
    np.testing.assert_allclose(data["input"][..., 1].mean(0), 0.1, atol=0.012)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_copy_memory_is_put_together_as_in_the_paper(length):
    data = copy_memory(length, 50, seed=2)
    assert data["input"].shape == data["label"].shape == (50, length + 20)
    assert data["input"].dtype == data["label"].dtype == np.int32
    assert data.classes == 10
    for x, y in zip(data["input"].tolist(), data["label"].tolist(), strict=True):
        kept = x[:10]
        assert set(kept) <= set(range(1, 9))
        assert x == kept + [0] * (length - 1) + [9] * 11
        assert y == [0] * length + [0] * 10 + kept


def test_copy_memorys_symbols_are_uniform_so_its_baseline_is_ten_logs():
    data = copy_memory(5, 5000)
    share = np.bincount(data["input"][:, :10].ravel(), minlength=10) / 50_000
    np.testing.assert_allclose(share[1:9], 1 / 8, atol=0.006)
    # Certain of the blanks, even among eight symbols at the end.
    probability = np.where(data["label"] > 0, 1 / 8, 1.0)
    assert -np.log(probability).mean() == pytest.approx(10 * np.log(8) / 25)


@pytest.mark.parametrize("task", [adding, copy_memory])
def test_a_function_of_the_seed_alone(task):
    assert task(10, 20, seed=1).sha256 == task(10, 20, seed=1).sha256
    train, test = ({row.tobytes() for row in task(10, 100, seed)["input"]} for seed in (0, 1))
    assert not train & test


def test_the_numbers_of_seed_0_stay_what_they_are():
    assert (
        adding(50, 100).sha256 == "c51694d8fe327285957ae5d0372d5bacdf52a2b0af6909889d299afa7ce5d04a"
    )
    assert (
        copy_memory(50, 100).sha256
        == "42dadcf3bee39d75af7805d02538a148b6e7262c3094bbb551642559dd72d451"
    )


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
def test_bad_sizes(task, arguments, line):
    with pytest.raises(InputError) as caught:
        task(*arguments)
    assert str(caught.value) == line
