"""Pictures of computations: layers without overlaps, values, gradients and steps of a GIF."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxdl import plots
from jaxdl.plots.layered import layered
from tests.plots.pictures import axes, pixels, raises_input_error


class Node(NamedTuple):
    name: str
    value: np.ndarray
    gradient: np.ndarray
    parents: tuple = ()


class Graph(NamedTuple):
    nodes: tuple
    steps: tuple


def graph():
    """Returns (a + b) c with a vector and a large array."""
    nodes = (
        Node("a $", np.array(-2.0), np.array(-4.0)),
        Node("b", np.array([1.0, 0.0004]), np.array([-0.031, 12345.0])),
        Node("c", np.ones((4, 5)), np.ones((4, 5))),
        Node("+", np.array(3.0), np.array(-0.0001), (0, 1)),
        Node("sigmoid", np.array(-12.0), np.array(1.0), (3, 2)),
    )
    forward = [(i, "forward") for i in range(5)]
    return Graph(nodes, (*forward, *((i, "backward") for i in range(4, -1, -1))))


def random_parents(seed, inputs=4, operations=14):
    rng = np.random.default_rng(seed)
    parents = [()] * inputs
    for i in range(inputs, inputs + operations):
        parents.append(tuple(int(each) for each in rng.integers(0, i, rng.integers(1, 3))))
    return parents


@pytest.mark.parametrize("seed", range(8))
def test_edges_go_to_the_right_and_nodes_do_not_overlap(seed):
    parents = random_parents(seed)
    found = layered(parents)
    places = [tuple(each) for each in found.positions]
    for child, each in enumerate(parents):
        for parent in each:
            start = places[parent][0]
            end = places[child][0]
            assert start < end
            points = found.edges[parent, child]
            # An edge occupies one place in each column that it passes.
            np.testing.assert_array_equal(points[:, 0], np.arange(start + 1, end))
            places += [tuple(point) for point in points]
    for column in {x for x, _ in places}:
        rows = sorted({y for x, y in places if x == column})
        assert all(b - a > 0.59 for a, b in itertools.pairwise(rows))
    nodes = found.positions
    for a, b in itertools.combinations(nodes, 2):
        assert a[0] != b[0] or abs(a[1] - b[1]) > 0.99
    assert min(y for _, y in places) == 0


def test_a_tree_has_no_crossings_and_a_chain_is_straight():
    """The leaves are in the worst order: both sums have one early and one late leaf."""
    positions = layered([(), (), (), (), (0, 3), (1, 2), (4, 5)]).positions
    leaves = positions[:4, 1]
    pairs = sorted([sorted([leaves[0], leaves[3]]), sorted([leaves[1], leaves[2]])])
    assert pairs[0][1] < pairs[1][0]
    chain = layered([(), (0,), (1,), (2,)]).positions
    np.testing.assert_allclose(chain, [[0, 0], [1, 0], [2, 0], [3, 0]], atol=1e-9)


def test_an_argument_is_beside_its_first_use():
    positions = layered([(), (), (0,), (2,), (3, 1)]).positions
    assert positions[1, 0] == 2
    assert positions[4, 0] == 3


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_each_node_has_its_name_value_and_gradient():
    ax = axes()
    artists = plots.draw_computation_graph(ax, graph())
    assert len(artists) == 5
    shown = [(value.get_text(), gradient.get_text()) for _, value, gradient in artists]
    assert shown == [
        ("−2.00", "−4.00"),
        ("1.00, 4.0e−04", "−0.031, 1.2e+04"),
        ("4 × 5", "4 × 5"),
        ("3.00", "−1.0e−04"),
        ("−12.00", "1.00"),
    ]
    assert r"a \$" in texts(ax) and "σ" in texts(ax)
    for patch, value, gradient in artists:
        low, high = (text.get_position()[1] for text in (gradient, value))
        assert low < high
        assert patch in ax.patches


def test_a_picture_with_a_title(drawn, tmp_path):
    path = plots.computation_graph(graph(), tmp_path / "g.png", "A $ title")
    pixels(path)
    assert drawn[0].get_figure().get_suptitle() == r"A \$ title"


def test_a_gif_has_a_frame_for_each_step(tmp_path):
    path = plots.computation_gif(graph(), tmp_path / "g.gif", seconds=1.0)
    with Image.open(path) as image:
        # Arguments have their values at once; two operations go forward, and all nodes back.
        assert image.n_frames == 1 + 2 + 5
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("L"), float))
    assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(frames))
    ink = [float((frame < 128).sum()) for frame in frames]
    assert ink[-1] > ink[0]


def test_bad_graphs(tmp_path):
    with raises_input_error(
        "graph: got '0 nodes', allowed: 1 to 80 nodes, which a page has room for"
    ):
        plots.computation_graph(Graph((), ()), tmp_path / "g.png")
    many = Graph(graph().nodes[:1] * 81, ())
    with raises_input_error(
        "graph: got '81 nodes', allowed: 1 to 80 nodes, which a page has room for"
    ):
        plots.computation_gif(many, tmp_path / "g.gif")


def test_an_animation_changes_only_what_its_function_changes(tmp_path):
    def prepare(figure):
        (line,) = figure.subplots().plot([0, 1], [0, 1], "o")
        return lambda i: line.set_ydata([i / 5, 1])

    path = plots.animation(tmp_path / "a.gif", 2, 2, prepare, 4, seconds=0.4)
    with Image.open(path) as image:
        assert (image.n_frames, image.size) == (4, (200, 200))
        assert image.info["duration"] == 100
        first = np.asarray(image.convert("L"), float)
        image.seek(3)
        last = np.asarray(image.convert("L"), float)
    changed = np.abs(first - last) > 30
    assert 0.001 < changed.mean() < 0.05
    assert (first[0] == 255).all()
    with raises_input_error("frames: got 0, allowed: at least 1"):
        plots.animation(tmp_path / "a.gif", 2, 2, prepare, 0)


def test_a_convolution_is_drawn_with_its_numbers(drawn, tmp_path):
    x = np.arange(9.0).reshape(3, 3)
    w = np.array([[1.0, -2.0], [0.5, 3.0]])
    dx = 100 + x
    path = plots.convolution_backward(
        x, w, w + 20, w + 30, w + 40, dx, tmp_path / "c.png", title="T"
    )
    pixels(path)
    shown = texts(drawn[0])
    for value in [*x.ravel(), *(w + 20).ravel(), *(w + 40).ravel(), *dx.ravel()]:
        assert f"{value:.4g}".replace("-", "−") in shown
    # The gradient of the output is framed by zeros, and the filter is rotated.
    assert shown.count("0") == 2 + 12
    with raises_input_error(
        "shapes: got [[3, 3], [2, 2], [3, 3], [2, 2], [2, 2], [3, 3]], allowed: "
        "[H, W], [h, w], twice [H - h + 1, W - w + 1], [h, w], [H, W]"
    ):
        plots.convolution_backward(x, w, x, w, w, dx, tmp_path / "c.png")
