"""Tests of errors by length: the mean over seeds, every seed, and the baseline."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from jaxdl.plots.lengths import draw_error_by_length, error_by_length
from tests.plots.pictures import axes, pixels, raises_input_error

LENGTHS = np.array([50, 100, 200, 400])
ERRORS = {
    name: np.random.default_rng(i).uniform(1e-4, 0.2, (3, 4))
    for i, name in enumerate(("RNN", "LSTM"))
}


@pytest.mark.parametrize("baseline", [1 / 6, 1 / LENGTHS])
def test_lines_are_means_seeds_and_the_baseline(baseline):
    ax = axes()
    draw_error_by_length(ax, LENGTHS, ERRORS, baseline)
    named = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert set(named) == {"RNN", "LSTM", "without memory"}
    for name, each in ERRORS.items():
        np.testing.assert_allclose(named[name].get_xydata(), np.stack([LENGTHS, each.mean(0)], 1))
        seeds = [
            line
            for line in ax.lines
            if line is not named[name] and line.get_color() == named[name].get_color()
        ]
        np.testing.assert_array_equal(np.stack([line.get_ydata() for line in seeds]), each)
        assert all(line.get_alpha() < 0.5 for line in seeds)
    np.testing.assert_allclose(named["without memory"].get_ydata(), np.broadcast_to(baseline, 4))
    assert named["without memory"].get_linestyle() == "--"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xticks().tolist() == LENGTHS.tolist()


def test_zero_is_at_the_lower_edge():
    ax = axes()
    draw_error_by_length(
        ax, [3, 4], {"perfect": np.array([[0.0, 0.0]]), "good": np.array([[0.3, 0.09]])}
    )
    perfect, _ = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(perfect, 0.03)
    assert ax.get_ylim()[0] == pytest.approx(0.03)
    assert ax.get_xscale() == "linear"


@pytest.mark.parametrize(
    "errors", [ERRORS, {"one": np.full((1, 4), 0.1)}, {"perfect": np.zeros((2, 4))}]
)
def test_pictures_of_many_and_few_errors(errors, tmp_path):
    pixels(error_by_length(LENGTHS, errors, tmp_path / "l.png", 1 / 6, "the adding problem"))
    pixels(
        error_by_length(
            LENGTHS[:1], {name: each[:, :1] for name, each in errors.items()}, tmp_path / "l.png"
        )
    )


def test_the_title_has_the_lowest_mean_error_of_the_longest_sequences(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda ax, title, **more: titles.append(title))
    errors = {"RNN": np.array([[1e-9, 0.5], [1e-9, 0.1]]), "LSTM": np.array([[1.0, 2e-5]])}
    error_by_length([10, 1000], errors, tmp_path / "l.png", title="adding")
    error_by_length([10, 1000], {"RNN": errors["RNN"]}, tmp_path / "l.png")
    assert titles == [
        "adding\nlowest error at 1,000 steps: 2e−05 (LSTM)",
        "lowest error at 1,000 steps: 0.3 (RNN)",
    ]


def test_bad_lengths(tmp_path):
    path = tmp_path / "l.png"
    with raises_input_error("lengths: got [2, 1], allowed: at least one number, ascending"):
        error_by_length([2, 1], {"a": np.ones((1, 2))}, path)
    with raises_input_error(
        "errors['a'] shape: got (2,), allowed: [S, L] with L = 2, S at least 1"
    ):
        error_by_length([1, 2], {"a": np.ones(2)}, path)
    with raises_input_error(
        "errors['a']: got [[1.0, -1.0]], allowed: finite numbers that are not negative"
    ):
        error_by_length([1, 2], {"a": np.array([[1, -1]])}, path)
    with raises_input_error("errors: got 0, allowed: 1 to 8 cells"):
        error_by_length([1, 2], {}, path)
