"""Tests of decision maps: the probabilities mix the colours."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import axes, pixels, raises_input_error


def _half_plane(x):
    right = 1 / (1 + np.exp(-8 * x[:, :1]))
    return np.concatenate([1 - right, right], 1)


def test_decision_map_mixes_the_colours_by_the_probabilities(tmp_path):
    rng = np.random.default_rng(0)
    ax = axes()
    points = rng.normal(size=(60, 2))
    label = (points[:, 0] > 0).astype(np.int32)
    plots.draw_decision_map(ax, _half_plane, points, label)
    assert ax.get_title("left") + ax.get_title() == "100.0 % of 60 points correct"
    plane = np.asarray(ax.images[0].get_array())
    left, right, *_ = ax.images[0].get_extent()
    assert left < points[:, 0].min() < points[:, 0].max() < right
    blue = plane[0, 0]
    orange = plane[0, -1]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    x = np.linspace(left, right, plane.shape[1], dtype=np.float32)
    share = _half_plane(np.stack([x, 0 * x], 1))
    ends = share @ np.linalg.pinv(share[[0, -1]]) @ np.stack([blue, orange])
    np.testing.assert_allclose(plane[17], ends, atol=1e-6)
    pixels(plots.decision_map(_half_plane, points, label, tmp_path / "map.png"))


def test_bad_points(tmp_path):
    path = tmp_path / "map.png"
    with raises_input_error("points: got (4, 3), allowed: the shape [N, 2], N at least 1"):
        plots.decision_map(_half_plane, np.zeros((4, 3)), np.zeros(4, int), path)
    with raises_input_error("label: got (3,), allowed: one for each of 4 points"):
        plots.decision_map(_half_plane, np.zeros((4, 2)), np.zeros(3, int), path)
    with raises_input_error("label: got 2, allowed: integers in [0, 2)"):
        plots.decision_map(_half_plane, np.zeros((4, 2)), np.array([0, 1, 2, 0]), path)
    many = np.full((9, 9), 1 / 9)
    with raises_input_error("classes: got 9, allowed: at most 8"):
        plots.decision_map(
            lambda x: np.repeat(many[:1], len(x), 0), np.zeros((4, 2)), np.zeros(4, int), path
        )
