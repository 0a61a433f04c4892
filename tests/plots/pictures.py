"""Helpers for the tests of figures."""

import contextlib

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from jaxdl.errors import InputError

#: Records of a short run.
RECORDS: list[dict[str, float]] = [
    {
        "step": s,
        "train/loss": 2.0 / s,
        "train/accuracy": 1 - 1 / s,
        "validation/loss": 2.5 / s,
        "train/learning_rate": 1 / s,
    }
    for s in range(1, 9)
]


def axes():
    """Returns new axes."""
    return Figure().subplots()


def pixels(path):
    """Returns the pixels of a picture; checks that it is not blank and has a white margin."""
    picture = imread(path)
    assert picture.std() > 0.01
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert edge.min() == 1.0, "no white margin"
    return picture


@contextlib.contextmanager
def raises_input_error(message):
    """Checks that the block raises an `InputError` with exactly this message."""
    with pytest.raises(InputError) as caught:
        yield
    assert str(caught.value) == message
