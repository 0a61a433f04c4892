"""The front picture of the README: two networks that are trained on MNIST, and their insides.

    python docs/images/overview.py
    python docs/images/overview.py --data digits --steps 20 --out overview.png

A convolutional network reads test images. Its picture has the probabilities of its predictions,
the pixels behind some of them, and images that its units respond to. A variational autoencoder
writes each image as two numbers, and every point of that plane as an image. The first command takes
two minutes of processor time, and reads MNIST from TFDS_DATA_DIR.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optax
from matplotlib import colormaps

import jaxdl
from jaxdl import explain, models, plots, tasks
from jaxdl.core import inference
from jaxdl.functions import bind, predict_batched
from jaxdl.plots.page import RED, page

#: Side of the square of decoded points, and its most distant quantile of the normal distribution.
SIDE = 15
#: Mistakes in the first row, which are also explained.
WRONG = 3
#: Number of made images, and width and height of the picture in inches.
UNITS = 12
SIZE = (12.0, 5.7)


def fit(task: Any, data: Any, validation: Any, steps: int, rate: float) -> tuple[Any, list]:
    """Trains a network; returns its state and the records of the training."""
    records: dict[int, dict[str, float]] = {}

    def keep(step: int, metrics: dict[str, Any]) -> None:
        values = {name: float(np.mean(value)) for name, value in metrics.items()}
        records.setdefault(step, {"step": step}).update(values)

    schedule = optax.cosine_onecycle_schedule(steps, rate)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(schedule)))
    every = max(1, steps // 10)
    state = jaxdl.train(
        net,
        data,
        key=jaxdl.root(0),
        steps=steps,
        batch_size=min(128, len(data)),
        log_every=every,
        save_every=every,
        validation=validation,
        writers=[keep],
    )
    return state, list(records.values())


def chosen(label: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the first right prediction of each class of a test set, and its worst mistakes."""
    right = np.flatnonzero(probabilities.argmax(1) == label)
    first = right[np.unique(label[right], return_index=True)[1]]
    return np.concatenate([first, plots.worst(label, probabilities, WRONG)])


def draw_predictions(ax: Any, images: np.ndarray, label: np.ndarray, p: np.ndarray) -> None:
    """Draws images below the predicted class and its probability; mistakes are red."""
    titles = []
    for true, each in zip(label, p, strict=True):
        text = f"{each.argmax()} ({100 * each.max():.0f} %)"
        titles.append(text if each.argmax() == true else f"{true} → {text}")
    plots.draw_image_grid(ax, images, len(images), titles)
    for text, true, each in zip(ax.texts, label, p, strict=True):
        if each.argmax() != true:
            text.set(color=RED, weight="bold")


def draw_reasons(ax: Any, f: Any, images: np.ndarray, label: np.ndarray, p: np.ndarray) -> None:
    """Draws mistakes above the pixels for (red) and against (blue) the wrong and the true class."""
    wrong = p.argmax(1)
    rows = [np.repeat(images, 3, -1)]
    window = images.shape[1] // 5
    for target in (wrong, label):
        maps = explain.occlusion(f, images, target, window=window)[..., 0]
        limit = abs(maps).max(axis=(1, 2), keepdims=True)
        colors = colormaps["RdBu_r"](0.5 + maps / (2 * limit))[..., :3]
        # The strokes are darker than the rest of a map.
        rows.append(colors * (1 - 0.4 * images))
    columns = [f"{true} or {other}?" for true, other in zip(label, wrong, strict=True)]
    names = ["test image", "for the\npredicted class", "for the\ntrue class"]
    plots.draw_image_grid(ax, np.concatenate(rows), columns, rows=names)


def draw_accuracy(ax: Any, records: list) -> None:
    """Draws the accuracy of training and validation by step."""
    plots.draw_curves(ax, records, "accuracy")
    # The legend is above the axes, beside the title of the panel.
    ax.set_title("")


def draw_units(ax: Any, model: Any, variables: Any, images: np.ndarray) -> None:
    """Draws an image that was made for each of some units of the last convolution."""
    f = explain.layer(model, variables, "norm_2")
    made = explain.maximize(f, range(UNITS), jaxdl.root(0), images.shape[1:], clipped=True)
    plots.draw_image_grid(ax, made.images, UNITS // 2)


def draw(path: Path, panels: dict[str, tuple[tuple[float, float, float, float], Any]]) -> None:
    """Draws titled panels; each has a place, left, bottom, width and height, and a function."""
    with page(path, *SIZE) as figure:
        figure.set_layout_engine("none")
        for title, ((left, bottom, width, height), draw_panel) in panels.items():
            box = (left / SIZE[0], bottom / SIZE[1], width / SIZE[0], height / SIZE[1])
            ax = figure.add_axes(box)
            draw_panel(ax)
            top = (bottom + height + 0.12) / SIZE[1]
            figure.text(left / SIZE[0], top, title, fontsize=10.5)


def main(arguments: Sequence[str] | None = None) -> Path:
    """Trains both networks and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mnist", help="name of a set of grey images")
    parser.add_argument("--steps", type=int, default=600, help="steps of the classifier")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    options = parser.parse_args(arguments)
    whole, test = jaxdl.data.load(options.data)
    train, validation = jaxdl.data.split(whole, jaxdl.root(0), 0.05)
    shape = train["input"].shape[1:]
    stages = (models.Stage(32), models.Stage(64), models.Stage(64, pool=None))
    cnn = models.CNN(stages, (128,), train.classes, dropout=0.3, norm="batch")
    task = tasks.classify(cnn)
    state, records = fit(task, train, validation, options.steps, 3e-3)
    x = np.asarray(test["input"])
    label = np.asarray(test["label"])
    p = predict_batched(bind(task.predict, state), x)
    rows = chosen(label, p)
    wrong = rows[-WRONG:]

    halves = models.encoder_decoder(shape, 4, "dense", (512, 256))
    vae = tasks.vae(models.VAE(*halves, latent=2))
    written, _ = fit(vae, train, validation, 4 * options.steps, 2e-3)
    points = predict_batched(bind(vae.decode, written), tasks.latent_grid(SIDE))

    trained = inference(state)
    variables = {"params": trained.params, **trained.extra}
    f = explain.logits(cnn, variables)
    accuracy = f"{100 * (p.argmax(1) == label).mean():.1f} %"
    read = f"{len(x):,} test images of {test.name.upper()}"
    first = f"A CNN reads {read} after {options.steps} steps: {accuracy} right"
    panels = {
        f"{first}; mistakes are red": (
            (0.12, 4.2, 11.76, 1.12),
            partial(draw_predictions, images=x[rows], label=label[rows], p=p[rows]),
        ),
        "Its accuracy": ((0.6, 2.1, 3.4, 1.45), partial(draw_accuracy, records=records)),
        f"Images made for {UNITS} units of its last convolution": (
            (0.12, 0.1, 3.9, 1.27),
            partial(draw_units, model=cnn, variables=variables, images=x[:1]),
        ),
        "Why it errs: red parts are for the class, blue against": (
            (4.25, 0.1, 4.05, 3.45),
            partial(draw_reasons, f=f, images=x[wrong], label=label[wrong], p=p[wrong]),
        ),
        "A VAE: every point of a plane is a digit": (
            (8.45, 0.1, 3.45, 3.45),
            lambda ax: plots.draw_image_grid(ax, points, SIDE),
        ),
    }
    draw(options.out, panels)
    print(options.out, accuracy)
    return options.out


if __name__ == "__main__":
    main()
