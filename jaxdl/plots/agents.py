"""Pictures of agents: returns of all seeds, maps of values, and films of episodes."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.animation import animation
from jaxdl.plots.curves import members, series
from jaxdl.plots.page import GREY, INK, PALETTE, RED, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

#: Radius of the wheels of a car, and length of a link, in units of the axes.
LINK = 1.0


def return_curves(
    records: Records,
    path: str | os.PathLike[str],
    moves: float,
    *,
    title: str,
    goal: float | None = None,
) -> Path:
    """Draws the return of greedy episodes of each seed, and its mean, over the moves.

    Args:
      records: metrics by step, with `validation/greedy_return`.
      path: path of the PNG file.
      moves: number of moves of one step.
      title: title of the picture.
      goal: a return to compare with; None draws none.

    Returns:
      The path.

    Raises:
      InputError: records without greedy returns.

    Example:
      >>> import tempfile
      >>> records = [{"step": i, "validation/greedy_return": 10.0 * i} for i in (1, 2, 3)]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     return_curves(records, f"{directory}/returns.png", 4, title="returns").name
      'returns.png'
    """
    name = "validation/greedy_return"
    steps, mean = series(records, name)
    if not len(steps):
        raise InputError("records", "no greedy returns", f"records with {name}")
    with page(path, 6.0, 3.4) as figure:
        ax = figure.subplots()
        for i, each in enumerate(members(records, name)):
            at, values = series(records, each)
            label = "one seed" if i == 0 else None
            ax.plot(at * moves, values, color=PALETTE[0], alpha=0.4, linewidth=0.9, label=label)
        label = "mean of the seeds" if members(records, name) else "greedy episodes"
        ax.plot(steps * moves, mean, color=PALETTE[0], linewidth=2, label=label)
        if goal is not None:
            ax.axhline(
                goal, color=PALETTE[1], linewidth=1, linestyle="--", label=f"{goal:g}, the goal"
            )
        ax.set_title(title)
        ax.set_xlabel("moves of the training")
        ax.set_ylabel("return of an episode")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        figure.legend(loc="outside lower left", ncols=3)
    return Path(path)


def value_map(
    values: Float[np.ndarray, "Y X"],
    axes: Sequence[tuple[str, Float[np.ndarray, " N"]]],
    paths: Mapping[str, Float[np.ndarray, "T 2"]],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draws the values of states over two of their numbers, with episodes as lines.

    Args:
      values: the largest value of an action in each state.
      axes: name and numbers of the horizontal axis, then of the vertical axis.
      paths: episodes by their label, points in the plane of both axes.
      path: path of the PNG file.
      title: title of the picture.

    Returns:
      The path.

    Raises:
      InputError: values of another shape than the axes have.

    Example:
      >>> import tempfile
      >>> x = np.linspace(-1, 1, 5)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     axes = [("angle", x), ("velocity", x)]
      ...     value_map(np.outer(x, x), axes, {}, f"{directory}/map.png", title="values").name
      'map.png'
    """
    (x_name, x), (y_name, y) = axes
    if values.shape != (len(y), len(x)):
        raise InputError("values", list(values.shape), f"[{len(y)}, {len(x)}], as the axes")
    with page(path, 6.0, 4.2) as figure:
        ax = figure.subplots()
        picture = ax.pcolormesh(x, y, values, cmap="viridis", shading="gouraud", rasterized=True)
        figure.colorbar(picture, label="largest value of an action")
        for (label, points), color in zip(paths.items(), (INK, RED, *PALETTE), strict=False):
            ax.plot(*np.asarray(points).T, color=color, linewidth=1.2, label=label)
            ax.plot(*points[0], "o", color=color, markersize=5)
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
        ax.set_title(title)
        ax.set_xlabel(x_name)
        ax.set_ylabel(y_name)
        ax.grid(False)
        if paths:
            ax.legend(loc="upper right", frameon=True, framealpha=0.8)
    return Path(path)


def episode_gif(
    films: Mapping[str, Sequence[Any]],
    draw: Callable[["Axes", Any], None],
    path: str | os.PathLike[str],
    *,
    title: str,
    frames: int = 100,
) -> Path:
    """Writes episodes side by side as an animated GIF with the number of the move.

    An episode that has ended stays at its last state.

    Args:
      films: the states of each episode by its label, each in order.
      draw: `draw(ax, state)` draws a state on empty axes, such as one of `DRAWN`.
      path: path of the GIF file.
      title: title of the picture.
      frames: largest number of frames. A longer episode leaves out states at equal distances.

    Returns:
      The path.

    Raises:
      InputError: no episodes, or one without states.

    Example:
      >>> import tempfile
      >>> films = {"before": [(0.0, 0.0), (0.1, 0.3)], "after": [(0.0, 0.0)]}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     episode_gif(films, draw_cart_pole, f"{directory}/pole.gif", title="pole").name
      'pole.gif'
    """
    if not films or not all(len(film) for film in films.values()):
        raise InputError("films", {name: len(film) for name, film in films.items()}, "episodes")
    longest = max(len(film) for film in films.values())
    chosen = np.unique(np.linspace(0, longest - 1, min(frames, longest)).astype(int))

    def prepare(figure: "Figure") -> Callable[[int], None]:
        figure.suptitle(title, x=0.02, ha="left", fontsize=10)
        all_axes = figure.subplots(1, len(films), squeeze=False)[0]

        def change(i: int) -> None:
            for ax, (name, film) in zip(all_axes, films.items(), strict=True):
                move = min(int(chosen[i]), len(film) - 1)
                ax.clear()
                draw(ax, film[move])
                over = ", over" * (move == len(film) - 1)
                ax.set_title(f"{name}: move {move} of {len(film) - 1}{over}", fontsize=9)

        return change

    width = 2.9 * len(films)
    seconds = max(2.0, 0.06 * len(chosen))
    return animation(path, width, 2.6, prepare, len(chosen), seconds)


def _empty(ax: "Axes", width: float, low: float, high: float) -> None:
    """Prepares axes without ticks, with equal units."""
    ax.set_xlim(-width, width)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def draw_cart_pole(ax: "Axes", state: Sequence[float]) -> None:
    """Draws a cart with its pole.

    Args:
      ax: empty axes.
      state: position of the cart in [-2.4, 2.4] and angle of the pole in radians, 0 upright.

    Example:
      >>> from matplotlib.figure import Figure
      >>> draw_cart_pole(Figure().subplots(), (0.5, 0.1))
    """
    from matplotlib.patches import Rectangle

    position, angle = (float(x) for x in state)
    _empty(ax, 2.8, -0.5, 1.9)
    ax.plot([-2.4, 2.4], [-0.2, -0.2], color=GREY, linewidth=1)
    ax.plot([-2.4, -2.4], [-0.35, -0.05], color=GREY)
    ax.plot([2.4, 2.4], [-0.35, -0.05], color=GREY)
    ax.add_patch(Rectangle((position - 0.35, -0.2), 0.7, 0.3, color=INK))
    tip = position + 1.5 * np.sin(angle), 0.1 + 1.5 * np.cos(angle)
    ax.plot([position, tip[0]], [0.1, tip[1]], color=PALETTE[1], linewidth=4)


def draw_mountain_car(ax: "Axes", state: Sequence[float]) -> None:
    """Draws a car in a valley, with a flag at its goal.

    Args:
      ax: empty axes.
      state: position in [-1.2, 0.6].

    Example:
      >>> from matplotlib.figure import Figure
      >>> draw_mountain_car(Figure().subplots(), (-0.5,))
    """
    position = float(state[0])
    x = np.linspace(-1.2, 0.6, 100)
    _empty(ax, 1.3, -1.2, 1.3)
    ax.set_xlim(-1.3, 0.7)
    ax.plot(x, np.sin(3 * x), color=GREY, linewidth=2)
    ax.plot([0.5, 0.5], [np.sin(1.5), np.sin(1.5) + 0.25], color=PALETTE[2], linewidth=3)
    ax.plot(position, np.sin(3 * position) + 0.06, "o", color=PALETTE[1], markersize=9)


def draw_acrobot(ax: "Axes", state: Sequence[float]) -> None:
    """Draws two links that hang from a fixed point, and the height that the tip has to reach.

    Args:
      ax: empty axes.
      state: angle of the first link, 0 downwards, and angle of the second one to the first.

    Example:
      >>> from matplotlib.figure import Figure
      >>> draw_acrobot(Figure().subplots(), (0.5, 0.1))
    """
    first, second = (float(x) for x in state)
    elbow = LINK * np.sin(first), -LINK * np.cos(first)
    tip = elbow[0] + LINK * np.sin(first + second), elbow[1] - LINK * np.cos(first + second)
    _empty(ax, 2.3, -2.2, 2.2)
    ax.axhline(LINK, color=PALETTE[2], linewidth=1, linestyle="--")
    ax.plot([0, elbow[0], tip[0]], [0, elbow[1], tip[1]], color=PALETTE[1], linewidth=4)
    ax.plot([0, elbow[0]], [0, elbow[1]], "o", color=INK, markersize=6)


def draw_tiles(ax: "Axes", state: Float[np.ndarray, "H W"]) -> None:
    """Draws a board of squares, dark for 0 and light for 1.

    Args:
      ax: empty axes.
      state: `[H, W]`, numbers in [0, 1].

    Example:
      >>> from matplotlib.figure import Figure
      >>> draw_tiles(Figure().subplots(), np.eye(3))
    """
    board = np.asarray(state)
    ax.imshow(board, cmap="cividis", vmin=0, vmax=1)
    ax.set_xticks(np.arange(0.5, board.shape[1] - 1), labels=[])
    ax.set_yticks(np.arange(0.5, board.shape[0] - 1), labels=[])
    ax.tick_params(length=0)
    ax.grid(color="white", linewidth=0.5)


#: Functions that draw a state, by the name of the environment.
DRAWN: dict[str, Callable[["Axes", Any], None]] = {
    "cart_pole": draw_cart_pole,
    "mountain_car": draw_mountain_car,
    "acrobot": draw_acrobot,
    "catch": draw_tiles,
    "flippers": draw_tiles,
}
