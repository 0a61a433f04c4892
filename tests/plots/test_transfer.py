"""Accuracy over the number of labels: means, bands and seeds."""

import numpy as np

from jaxdl.plots import label_curves
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


def test_lines_are_means_with_bands_and_seeds(drawn, tmp_path):
    curves = {"scratch": RNG.uniform(size=(3, 2)), "frozen": RNG.uniform(size=(1, 2))}
    pixels(label_curves(curves, [10, 1000], tmp_path / "l.png", "Title"))
    (ax,) = drawn
    named = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    for name, values in curves.items():
        np.testing.assert_allclose(named[name].get_ydata(), 100 * values.mean(0))
    seeds = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"]
    np.testing.assert_allclose(seeds, 100 * np.concatenate(list(curves.values())))
    # A single seed has no band.
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices[:, 1]
    mean = 100 * curves["scratch"].mean(0)
    spread = 100 * curves["scratch"].std(0, ddof=1)
    for edge in (*(mean - spread), *(mean + spread)):
        assert np.isclose(edges, edge).any()
    assert ax.get_xticks().tolist() == [10, 1000]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "1,000"]


def test_curves_fit_the_labels(tmp_path):
    message = "curves['a']: got (2, 3), allowed: [S, 2], one for each number of labels"
    with raises_input_error(message):
        label_curves({"a": np.zeros((2, 3))}, [1, 2], tmp_path / "l.png", "Title")
    with raises_input_error("curves: got 0, allowed: 1 to 5 methods"):
        label_curves({}, [1, 2], tmp_path / "l.png", "Title")
