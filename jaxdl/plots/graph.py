"""A computation as a picture: values in green above the wires, gradients in red below them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxdl.errors import InputError
from jaxdl.plots.animation import animation
from jaxdl.plots.layered import Layout, layered
from jaxdl.plots.page import GREY, INK, PALETTE, font_size, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Distances of columns and rows, radius of a circle and end of its wire, in inches.
COLUMN = 1.25
ROW = 0.56
RADIUS = 0.19
WIRE = 0.7
#: Space around the picture, in inches.
MARGIN = 0.3

GREEN = "#00704F"
RED = "#B8400E"
#: Colors of a node that a step computes.
LIGHT = {"forward": "#BFE6D8", "backward": "#F8CDB8"}

#: Names that are shorter inside of a circle.
SHORT = {"sigmoid": "σ", "logistic": "σ", "broadcast": "[ ]"}

#: Largest number of entries of an array that are written as numbers.
ENTRIES = 3

#: Largest number of nodes of a picture.
MOST = 80


class Node(Protocol):
    """A node, such as a `jaxdl.explain.Node`."""

    @property
    def name(self) -> str:
        """Name of an argument or operation."""

    @property
    def value(self) -> np.ndarray:
        """Value."""

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the output."""

    @property
    def parents(self) -> tuple[int, ...]:
        """Positions of the operands."""


class Graph(Protocol):
    """A graph, such as a `jaxdl.explain.Graph`."""

    @property
    def nodes(self) -> Sequence[Node]:
        """All nodes."""

    @property
    def steps(self) -> Sequence[tuple[int, str]]:
        """Pairs of a node and its direction."""


def computation_graph(graph: Graph, path: str | os.PathLike[str], title: str = "") -> Path:
    """Draws a computation from left to right, with a circle for each operation.

    The number in green above a wire is its value. The number in red below it is the gradient of
    the output with respect to this value.

    Args:
      graph: the nodes, such as the result of `explain.computation_graph`.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no nodes, or more than 80.

    Example:
      >>> import tempfile
      >>> from jaxdl.explain import computation_graph as trace
      >>> graph = trace(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     computation_graph(graph, f"{directory}/graph.png", "L = (x + y) z").name
      'graph.png'
    """
    layout = _checked_layout(graph)
    width, height = _size(layout, title)
    with page(path, width, height) as figure:
        _draw(figure, graph, layout, title)
    return Path(path)


def computation_gif(
    graph: Graph, path: str | os.PathLike[str], title: str = "", seconds: float = 0.0
) -> Path:
    """Draws a computation step by step, first the values forward and then the gradients back.

    Args:
      graph: the nodes, such as the result of `explain.computation_graph`.
      path: path of the GIF file.
      title: one line above the picture.
      seconds: duration. 0 means three quarters of a second per frame.

    Returns:
      The path.

    Raises:
      InputError: no nodes, or more than 80.

    Example: see `computation_graph`.
    """
    layout = _checked_layout(graph)
    width, height = _size(layout, title)
    # All arguments have their values in the first frame.
    steps = [step for step in graph.steps if step[1] == "backward" or graph.nodes[step[0]].parents]
    count = len(steps)
    heads = [f"step 0 of {count}: the arguments"]
    heads += [f"step {i + 1} of {count}, {_sentence(graph, steps[i])}" for i in range(count)]

    def prepare(figure: "Figure") -> Callable[[int], None]:
        artists = _draw(figure, graph, layout, title)
        text = figure.text(0.02, 0.04, "", color=INK, fontsize=10, va="bottom")

        def change(i: int) -> None:
            done = {(node, "forward") for node, each in enumerate(graph.nodes) if not each.parents}
            done |= set(steps[:i])
            current = steps[i - 1] if i else None
            for node, (circle, value, gradient) in enumerate(artists):
                value.set_visible((node, "forward") in done)
                gradient.set_visible((node, "backward") in done)
                color = "white"
                if current is not None and node == current[0]:
                    color = LIGHT[current[1]]
                circle.set_facecolor(color)
            text.set_text(plain(heads[i]))

        return change

    frames = len(steps) + 1
    return animation(path, width, height + 0.4, prepare, frames, seconds or 0.75 * frames)


def _sentence(graph: Graph, step: tuple[int, str]) -> str:
    """Returns a step in words."""
    i, direction = step
    node = graph.nodes[i]
    if direction == "forward":
        return f"forward: the value of {node.name} is {_number(node.value)}"
    return f"backward: the gradient of {node.name} is {_number(node.gradient)}"


def _checked_layout(graph: Graph) -> Layout:
    """Returns the positions of all nodes."""
    count = len(graph.nodes)
    if not 0 < count <= MOST:
        raise InputError("graph", f"{count} nodes", f"1 to {MOST} nodes, which a page has room for")
    return layered([node.parents for node in graph.nodes])


def _size(layout: Layout, title: str) -> tuple[float, float]:
    """Returns the size of a page in inches."""
    columns, rows = layout.positions.max(0)
    width = columns * COLUMN + WIRE + RADIUS + 2 * MARGIN + 0.2
    return max(width, 4.0), rows * ROW + 2 * MARGIN + 0.5 + 0.25 * bool(title)


def _draw(figure: "Figure", graph: Graph, layout: Layout, title: str) -> list[tuple[Any, ...]]:
    """Draws a graph with its title, and returns circle, value and gradient of each node."""
    ax = figure.subplots()
    if title:
        size = font_size(figure.get_figwidth(), len(title), 11.0)
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=size)
    return draw_computation_graph(ax, graph, layout)


def draw_computation_graph(
    ax: "Axes", graph: Graph, layout: Layout | None = None
) -> list[tuple[Any, ...]]:
    """Draws a computation on given axes.

    Args:
      ax: the axes.
      graph: the nodes, such as the result of `explain.computation_graph`.
      layout: positions of the nodes; None means those of `layered`.

    Returns:
      The circle, the text of the value and the text of the gradient of each node.
    """
    layout = layout or _checked_layout(graph)
    scale = np.array([COLUMN, ROW])
    positions = layout.positions * scale
    for (parent, child), points in layout.edges.items():
        _draw_edge(ax, positions[parent], positions[child], points * scale)
    artists = [
        _draw_node(ax, node, *position)
        for node, position in zip(graph.nodes, positions, strict=True)
    ]
    x, y = positions[-1]
    ax.annotate(
        "", (x + WIRE + 0.16, y), (x + WIRE, y), arrowprops={"arrowstyle": "-|>", "color": GREY}
    )
    right, top = positions.max(0)
    ax.set(
        xlim=(-RADIUS - MARGIN, right + WIRE + MARGIN),
        ylim=(positions[:, 1].min() - MARGIN, top + MARGIN),
        aspect="equal",
    )
    ax.set_axis_off()
    return artists


def _draw_edge(ax: "Axes", start: Any, end: Any, points: Any) -> None:
    """Draws the wire between two nodes, horizontal where it passes a column."""
    corners = [(start[0] + WIRE, start[1])]
    for x, y in points:
        corners += [(x - RADIUS, y), (x + WIRE, y)]
    # The wire ends on the circle, in the direction of its centre.
    x, y = corners[-1]
    length = np.hypot(end[0] - x, end[1] - y)
    corners.append(
        (end[0] - RADIUS * (end[0] - x) / length, end[1] - RADIUS * (end[1] - y) / length)
    )
    ax.plot(*zip(*corners, strict=True), color=GREY, linewidth=1.0, zorder=1)


def _draw_node(ax: "Axes", node: Node, x: float, y: float) -> tuple[Any, ...]:
    """Draws a node with its wire, its value and its gradient."""
    from matplotlib.patches import Circle, FancyBboxPatch

    is_input = not node.parents
    patch: Any = Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, linewidth=1.1, zorder=3)
    if is_input:
        box = f"round,pad=0,rounding_size={0.3 * RADIUS}"
        corner = (x - RADIUS, y - 0.75 * RADIUS)
        patch = FancyBboxPatch(
            corner, 2 * RADIUS, 1.5 * RADIUS, box, facecolor="white", edgecolor=PALETTE[0], zorder=3
        )
    ax.add_patch(patch)
    ax.plot([x + RADIUS, x + WIRE], [y, y], color=GREY, linewidth=1.0, zorder=1)
    name = plain(SHORT.get(node.name, node.name))
    size = font_size(2 * RADIUS, len(name), 10.0)
    style: dict[str, Any] = {"ha": "center", "zorder": 4}
    ax.text(x, y - 0.005, name, va="center", fontsize=size, color=INK, **style)
    middle = x + (RADIUS + WIRE) / 2
    room = WIRE - RADIUS
    texts = []
    for number, color, va, dy in (
        (node.value, GREEN, "bottom", 0.02),
        (node.gradient, RED, "top", -0.03),
    ):
        text = _number(number)
        size = font_size(room, len(text), 9.0)
        texts.append(ax.text(middle, y + dy, text, va=va, fontsize=size, color=color, **style))
    return patch, *texts


def _number(value: np.ndarray) -> str:
    """Returns a number with two decimals, the numbers of a short vector, or the shape."""
    array = np.asarray(value)
    if array.ndim == 0:
        return _decimal(array)
    if array.ndim == 1 and array.size <= ENTRIES:
        return ", ".join(_decimal(each) for each in array)
    return " × ".join(map(str, array.shape))


def _decimal(value: Any) -> str:
    """Returns a number with two decimals, or two digits if it is small or large."""
    number = float(value)
    text = f"{number:.2f}"
    if number and not 1e-3 <= abs(number) < 1e4:
        text = f"{number:.1e}"
    elif 0 < abs(number) < 0.1:
        text = f"{number:.3f}"
    if text == "-0.00":
        text = "0.00"
    return text.replace("-", "−")
