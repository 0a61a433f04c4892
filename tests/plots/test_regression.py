"""Tests of the picture of predicted numbers."""

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.plots import predicted_values
from jaxdl.plots.page import plain
from tests.plots.pictures import pixels

RANDOM = np.random.RandomState(0)
TARGET = RANDOM.normal(size=(60, 6))


@pytest.mark.parametrize("outputs", [1, 3, 6])
@pytest.mark.parametrize("names", [None, "abc$x$"])
def test_there_is_a_panel_for_each_of_four_outputs(outputs, names, tmp_path):
    target = TARGET[:, :outputs]
    path = predicted_values(target, target + 0.1, tmp_path / "a.png", names and names[:outputs])
    assert pixels(path).shape[1] > 500 * min(outputs, 4)


def test_a_constant_target_and_other_shapes(tmp_path):
    zeros = np.zeros((5, 1))
    assert predicted_values(zeros, zeros, tmp_path / "a.png").exists()
    for bad in (zeros[:3], zeros[:, 0]):
        with pytest.raises(InputError, match="^prediction: got "):
            predicted_values(zeros, bad, tmp_path / "b.png")


def test_dollar_signs_are_no_formulas():
    assert plain("5$") == r"5\$" == plain(plain("5$"))
    assert plain("a\nb\0") == "a b "
