"""Pictures of attacks: accuracy over their size, attacked images, and gradients of networks."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.plots.images import as_picture
from jaxdl.plots.page import BLUE, GREY, INK, PALETTE, RED, page, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Images = Float[np.ndarray, "N H W C"]

#: Width of the picture of curves in inches.
WIDTH = 6.0
#: Side of an image in inches.
SIDE = 1.05


def accuracy_curves(
    epsilons: Float[np.ndarray, " E"],
    curves: Mapping[str, Float[np.ndarray, " E"]],
    path: str | os.PathLike[str],
    title: str = "",
    at: float | None = None,
) -> Path:
    """Draws the accuracy of a network, or of several, over the size of an attack.

    Args:
      epsilons: `[E]`, sizes of the attack.
      curves: `{name: accuracies [E]}`, in [0, 1].
      path: path of the PNG file.
      title: one line above the picture.
      at: a size that is marked by a vertical line.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     curves = {"pgd": np.array([1.0, 0.2])}
      ...     accuracy_curves(np.array([0.0, 0.1]), curves, f"{directory}/curves.png").name
      'curves.png'
    """
    with page(path, WIDTH, 3.4) as figure:
        ax = figure.subplots()
        for i, (name, values) in enumerate(curves.items()):
            color = PALETTE[i % len(PALETTE)]
            ax.plot(
                epsilons, 100 * np.asarray(values), "o-", color=color, ms=3.5, label=plain(name)
            )
        if at is not None:
            ax.axvline(at, color=GREY, lw=0.9, ls="--")
            ax.annotate(
                f"{at:g}", (at, 0.5), xycoords=("data", "axes fraction"), xytext=(3, -9),
                textcoords="offset points", fontsize=8, color=GREY,
            )  # fmt: skip
        ax.set_ylim(-3, 103)
        ax.set_xlabel("size of the attack, in units of pixels in [0, 1]")
        ax.set_ylabel("accuracy in %")
        ax.set_title(wrapped(title, WIDTH - 0.7, 9.5), fontsize=9.5)
        ax.legend(loc="lower left" if _falls_late(curves) else "upper right")
    return Path(path)


def _falls_late(curves: Mapping[str, Float[np.ndarray, " E"]]) -> bool:
    """Returns True if the lower left corner is free."""
    return all(np.min(values[: (len(values) + 1) // 2]) > 0.5 for values in curves.values())


def attacked_images(
    images: Images,
    attacked: Images,
    label: Int[np.ndarray, " N"],
    before: Float[np.ndarray, "N K"],
    after: Float[np.ndarray, "N K"],
    path: str | os.PathLike[str],
    epsilon: float,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Draws images, their changes and the attacked images, with the answers of a network.

    Answers are blue if they are right, and red if they are wrong.

    Args:
      images: `[N, H, W, C]` in [0, 1], C 1 or 3.
      attacked: the same images after an attack.
      label: `[N]`, their classes.
      before: `[N, K]`, probabilities for the images.
      after: `[N, K]`, probabilities for the attacked images.
      path: path of the PNG file.
      epsilon: size of the attack, for the title.
      class_names: names of the classes; None means their numbers.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1))
      >>> p = np.eye(2)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     attacked_images(x, 1 - x, np.array([0, 1]), p, p, f"{directory}/a.png", 0.1).name
      'a.png'
    """
    count = len(images)
    wrong = [int(np.sum(each.argmax(1) != label)) for each in (before, after)]
    change = np.asarray(attacked, np.float64) - images
    largest = max(float(np.abs(change).max()), 1e-12)
    with page(path, 0.55 + count * (SIDE + 0.12), 3 * (SIDE + 0.24) + 0.35) as figure:
        axes = figure.subplots(3, count, squeeze=False)
        for i in range(count):
            _image(axes[0, i], images[i], label[i], before[i], class_names)
            _change(axes[1, i], change[i], largest)
            _image(axes[2, i], attacked[i], label[i], after[i], class_names)
        for row, name in enumerate(("image", "change", "attacked")):
            axes[row, 0].set_ylabel(name, fontsize=9, color=INK)
        _heading(
            figure,
            f"{wrong[1]} of {count} images are misclassified after a change of size {epsilon:g}, "
            f"{wrong[0]} before (color scale of the changes: ±{largest:.2g})",
        )
    return Path(path)


def gradients_of_networks(
    images: Images,
    gradients: Mapping[str, Images],
    shares: Mapping[str, float],
    path: str | os.PathLike[str],
) -> Path:
    """Draws the gradients of several networks for the same images, in one row for each network.

    Args:
      images: `[N, H, W, C]` in [0, 1].
      gradients: `{network: [N, H, W, C]}`, each image with its own color scale around zero.
      shares: `{network: number}`, the gradient on the strokes relative to the rest.
      path: path of the PNG file.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     gradients_of_networks(x, {"none": x - 0.5}, {"none": 1.0}, f"{directory}/g.png").name
      'g.png'
    """
    count = len(images)
    rows = 1 + len(gradients)
    best = max(shares, key=lambda name: shares[name])
    with page(path, 1.0 + count * (SIDE + 0.06), rows * (SIDE + 0.08) + 0.4) as figure:
        axes = figure.subplots(rows, count, squeeze=False)
        for i in range(count):
            _bare(axes[0, i])
            axes[0, i].imshow(as_picture(images[i]), cmap="gray", vmin=0, vmax=1)
            for row, each in enumerate(gradients.values(), 1):
                _change(axes[row, i], each[i], max(float(np.abs(each[i]).max()), 1e-30))
        axes[0, 0].set_ylabel("image", fontsize=9, color=INK)
        for row, name in enumerate(gradients, 1):
            text = f"{plain(name)}\n{shares[name]:.2f} × on strokes"
            axes[row, 0].set_ylabel(text, fontsize=8, color=INK)
        _heading(
            figure,
            f"Gradient of the loss: that of '{best}' is {shares[best]:.2f} times as large "
            "on the strokes as on average",
        )
    return Path(path)


def _heading(figure: "Figure", title: str) -> None:
    """Writes a text above a figure, in as many lines as it needs."""
    text = wrapped(title, figure.get_figwidth() - 0.2, 9.5)
    figure.suptitle(text, fontsize=9.5, x=0.01, ha="left")


def _bare(ax: "Axes") -> None:
    """Removes ticks, grid and frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _image(
    ax: "Axes",
    image: Float[np.ndarray, "H W C"],
    label: int,
    probabilities: Float[np.ndarray, " K"],
    class_names: Sequence[str] | None,
) -> None:
    """Draws an image with the most probable class above it."""
    _bare(ax)
    ax.imshow(as_picture(image), cmap="gray", vmin=0, vmax=1)
    answer = int(probabilities.argmax())
    name: Any = answer
    if class_names is not None:
        name = plain(class_names[answer])
    color = BLUE if answer == label else RED
    ax.set_title(f"{name}, {100 * probabilities[answer]:.0f} %", fontsize=8, color=color, pad=3)


def _change(ax: "Axes", change: Float[np.ndarray, "H W C"], largest: float) -> None:
    """Draws a signed map: blue below zero, white at zero, red above."""
    _bare(ax)
    mean = change.mean(-1)
    ax.imshow(mean, cmap="RdBu_r", vmin=-largest, vmax=largest)
