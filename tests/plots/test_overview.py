"""Tests of the overview of a run."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import RECORDS, pixels


@pytest.mark.parametrize("records", [RECORDS, [{"step": 1, "train/loss": 1.0}]])
def test_overview(records, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((9, 8, 8, 1))
    probabilities = rng.dirichlet(np.ones(4), 9)
    path = plots.overview(
        images,
        rng.integers(0, 4, 9),
        probabilities,
        records,
        images.transpose(1, 2, 3, 0),
        tmp_path / "overview",
    )
    assert pixels(path).shape[:2] == (720, 1650)
