"""Reliability diagrams: points, bars of counts and intervals."""

import numpy as np
import pytest
from scipy.stats import binomtest

from jaxdl import plots, reports
from jaxdl.plots.calibration import _wilson, draw_confidence
from tests.plots.pictures import axes, pixels

RNG = np.random.default_rng(0)
P = RNG.dirichlet([1, 1, 1], 200)
LABEL = RNG.integers(0, 3, 200)


def test_points_and_bars_are_those_of_the_bins():
    found = reports.reliability(P, LABEL)
    used = found.examples > 0
    ax = axes()
    plots.draw_reliability(ax, {"network": found})
    line = ax.get_lines()[1]
    np.testing.assert_array_equal(line.get_xdata(), found.confidence[used])
    np.testing.assert_array_equal(line.get_ydata(), found.accuracy[used])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["calibrated", "network"]
    ax = axes()
    draw_confidence(ax, {"network": found})
    assert [bar.get_height() for bar in ax.patches] == found.examples.tolist()
    for bar, edge in zip(ax.patches, found.edges, strict=False):
        assert edge < bar.get_x() and bar.get_x() + bar.get_width() < edge + 1 / 15


@pytest.mark.parametrize(("right", "count"), [(0, 5), (3, 10), (50, 50), (1, 1)])
def test_intervals_agree_with_scipy(right, count):
    low, high = _wilson(np.array([right / count]), np.array([float(count)]))
    expected = binomtest(right, count).proportion_ci(method="wilson")
    np.testing.assert_allclose([low[0], high[0]], [expected.low, expected.high], atol=1e-4)


def test_pictures(tmp_path):
    mask = RNG.integers(0, 2, 200)
    plain = pixels(plots.reliability_diagram(LABEL, P, tmp_path / "a.png"))
    masked = pixels(plots.reliability_diagram(LABEL, P, tmp_path / "c.png", mask=mask))
    scaled = pixels(plots.reliability_diagram(LABEL, P, tmp_path / "b.png", 2.0, bins=10))
    assert (plain != scaled).any() and (plain != masked).any()
    # A confidence of 1, of a single example.
    one = np.array([[1.0, 0.0]])
    pixels(plots.reliability_diagram(np.array([0]), one, tmp_path / "d.png", 1.0))
