"""Recipes of networks of pixels: binarizations, samples in groups, and reaches."""

import numpy as np
import pytest

from jaxdl import root, tasks
from jaxdl.core import State
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.models import PixelCNN
from jaxdl.recipes import pixels
from jaxdl.recipes.pixels import PARTS, REACH_PIXEL, REACH_SIZE, PixelOptions, reach_of, sampled
from jaxdl.runs import RunOptions

GREY = np.random.default_rng(0).uniform(size=(50, 4, 4, 1)).astype(np.float32)
SET = Dataset({"input": GREY, "label": np.zeros(50, np.int32)}, "grey")


def test_a_fixed_binarization_is_a_sample_of_the_grey_values():
    options = PixelOptions(bits=1, binarize="fixed", draws=2)
    first = options.prepared(SET, 0)["input"]
    np.testing.assert_array_equal(first, options.prepared(SET, 0)["input"])
    assert set(np.unique(first)) == {0.0, 1.0}
    others = [options.prepared(SET, PARTS[part]) for part in ("test", "validation")]
    assert (np.asarray(others[0]["input"]) != others[1]["input"]).mean() > 0.1
    for other in (*others, options.prepared(SET, 0, 1)):
        assert (np.asarray(other["input"]) != first).mean() > 0.1
    mean = np.mean([options.prepared(SET, 0, draw)["input"] for draw in range(60)], 0)
    assert np.abs(mean - GREY).max() < 0.3
    white = PixelOptions(bits=1, binarize="threshold").prepared(SET, 0)["input"]
    np.testing.assert_array_equal(white, GREY > 0.5)
    assert PixelOptions().prepared(SET, 0) is SET


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"bits": 0}, "bits: got 0"),
        ({"binarize": "dynamic"}, "binarize: got 'dynamic', allowed: none, with 4 bits"),
        ({"draws": 0}, "draws: got 0"),
        ({"bits": 1, "binarize": "x"}, "binarize: got 'x', allowed: dynamic, fixed"),
    ],
)
def test_bad_options_are_refused(options, error):
    with pytest.raises(InputError, match=error):
        PixelOptions(**options).validate(RunOptions())


def test_samples_in_groups_have_the_right_number(monkeypatch):
    monkeypatch.setattr(pixels, "SAMPLED", 4)
    task = tasks.autoregressive(PixelCNN((3, 3), features=4, layers=1, first_size=3, classes=2))
    label = np.arange(10, dtype=np.int32) % 2
    batch = {"input": np.zeros((1, 3, 3, 1), np.float32), "label": label[:1]}
    params, extra = task.init(root(0), batch)
    state = State(np.int32(0), params, (), extra)
    images = sampled(task, state, 0, 10, label)
    assert images.shape == (10, 3, 3, 1)
    assert len(np.unique(images.reshape(10, -1), axis=0)) > 6
    np.testing.assert_array_equal(images, sampled(task, state, 0, 10, label))
    half = np.ones((10, 4), np.float32)
    given = sampled(task, state, 0, 10, label, half)
    assert (given.reshape(10, -1)[:, :4] == 1).all()


def test_a_reach_is_zero_at_later_pixels():
    found = reach_of(PixelCNN(REACH_SIZE, features=4, layers=1, first_size=3))
    earlier = np.arange(found.size).reshape(REACH_SIZE) < np.ravel_multi_index(
        REACH_PIXEL, REACH_SIZE
    )
    assert found[earlier].max() > 0
    assert not found[~earlier].any()
