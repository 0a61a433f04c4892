"""What the tests of the figures share."""

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
    return Figure().subplots()


def pixels(path):
    """The picture, which must be neither blank nor cut off by the edge."""
    pixels = imread(path)
    assert pixels.std() > 0.01
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert edge.min() == 1.0, "a white margin all around"
    return pixels


@contextlib.contextmanager
def refused(line):
    with pytest.raises(InputError) as caught:
        yield
    assert str(caught.value) == line
