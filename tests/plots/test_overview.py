"""The picture of a whole run."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import RECORDS, pixels


@pytest.mark.parametrize("records", [RECORDS, [{"step": 1, "train/loss": 1.0}]])
def test_hero(records, tmp_path):
    draw = np.random.default_rng(0)
    images = draw.random((9, 8, 8, 1))
    probabilities = draw.dirichlet(np.ones(4), 9)
    path = plots.overview(
        images,
        draw.integers(0, 4, 9),
        probabilities,
        records,
        images.transpose(1, 2, 3, 0),
        tmp_path / "h",
    )
    assert pixels(path).shape[:2] == (720, 1650)
