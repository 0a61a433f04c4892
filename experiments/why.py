"""Why a network chose a class: explanations by nine methods, tested with a planted mark.

    python experiments/why.py
    python experiments/why.py --data mnist --steps 300 --seeds 3 --cascade 0 \\
        --methods gradient gradient_times_input integrated_gradients occlusion sobel
    python experiments/why.py --run runs/mine
    python experiments/why.py --weights weights.pth --baseline blurred

The first commands train three networks. "marked" has a small white square in all images of one
class, and in no others. Some of these images come from other classes, so that the square decides.
"twin" has no squares, and "everywhere" has them in all images. A method is right if it reports the
square for the first network only.

`--run` and `--weights` are one option: a finished run, or a file with weights that `jaxdl.load`
reads. Its images are explained, with the measures that need no mark.

Measured with the digits: of other digits with the mark, 96.3 %, 0.9 % and 0.3 % are called a nine.
The share of positive attribution near the mark, which covers 0.141 of the area; a star is a report:

    method                  marked    twin    everywhere
    gradient                0.599 *   0.283   0.262
    SmoothGrad              0.671 *   0.328   0.306
    gradient times input    0.863 *   0.201   0.160
    integrated gradients    0.872 *   0.195   0.167
    occlusion               0.907 *   0.262   0.164
    Grad-CAM                0.011     0.031   0.023
    LIME                    0.905 *   0.277   0.199
    RISE                    0.945 *   0.199   0.113
    Sobel's edges           0.177     0.177   0.177

It took 201 s on two cores that other processes shared. Grad-CAM averages gradients over positions,
which does not fit a dense head. With MNIST and three seeds "marked" uses the mark in 98.7 % of
cases. The four shares are 0.46, 0.79, 0.80 and 0.89, and that of the edges is 0.13. The area is
0.0625.
"""

import dataclasses
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import tyro

from jaxdl import load, plots, root, tasks
from jaxdl.errors import InputError, at_least
from jaxdl.models import CNN, Stage
from jaxdl.recipes import (
    AugmentOptions,
    TrainingOptions,
    fit_and_test,
    image_sets,
    planted,
    planted_report,
)
from jaxdl.recipes.feature_classifier import spread_rows
from jaxdl.recipes.loaded import (
    loaded_classifier,
    print_results,
    refuse_options_of_training,
    sets_for,
)
from jaxdl.recipes.methods import WhyOptions, classifiers, explain_images
from jaxdl.recipes.why import draw, measure
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants
from jaxdl.runs.options import run_directory


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(epochs=20.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3)
    explaining: WhyOptions = WhyOptions()
    mark: planted.MarkOptions = planted.MarkOptions()
    augmentation: AugmentOptions = AugmentOptions()

    networks: tuple[planted.Network, ...] = ("marked", "twin", "everywhere")
    """Networks that are trained."""
    count: int | None = None
    """Number of images that are explained. Default: 200; 6 for a loaded network."""
    cascade: int | None = None
    """Number of images of the cascade of random layers; 0 leaves it out.
    Default: 10; 1 for a loaded network, and 0 for imported weights, which have many layers."""
    load: Annotated[str | None, tyro.conf.arg(aliases=["--run", "--weights"])] = None
    """A finished run, or a file of weights, in place of a training."""
    images: str | None = None
    """Folder of images for a loaded network. Default: --data, or the set of its training, or
    two photographs for imported weights."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        if not self.networks or len(set(self.networks)) < len(self.networks):
            raise InputError("networks", self.networks, "marked, twin, everywhere, each once")
        if self.count is not None:
            at_least("count", self.count, 1)
        if self.cascade is not None:
            at_least("cascade", self.cascade, 0)
        if self.images is not None and self.load is None:
            raise InputError("images", self.images, "none without --load; use --data")
        refuse_options_of_training(self, self.load, ("seeds", "networks", *vars(self.mark)))
        return super().validate()

    def cascaded(self, default: int) -> int:
        """Returns the number of images of the cascade."""
        if self.cascade is None:
            return default
        return self.cascade

    def for_smoke(self) -> Self:
        short = dataclasses.replace(self.explaining, samples=200, gradients=8)
        return dataclasses.replace(
            super().for_smoke(),
            explaining=short,
            count=self.count or 3,
            cascade=self.cascaded(1),
        )


def network(classes: int) -> CNN:
    """Returns the network that is trained: three convolutions and a dense layer."""
    return CNN((Stage(16), Stage(32), Stage(32, pool=None)), (64,), classes)


def train_and_explain(run: Run[Config]) -> dict[str, Any]:
    """Trains the first network, and explains images with the mark for the marked class."""
    config = run.config
    train, _, sets = image_sets(config.run)
    marked = planted.planted_sets(sets, config.networks[0], config.mark)
    model = network(train.classes or 1).clone(dtype=config.training.dtype)
    changes = config.augmentation.changes(train["input"].shape[1:])
    task = tasks.classify(model, **changes._asdict())
    state, metrics = fit_and_test(run, config.training, model, task, marked.sets)
    rows = spread_rows(len(marked.others), config.count or 200)
    images = marked.others[rows]
    values: list[dict[str, float]] = []
    for seed, net in zip(run.seeds, classifiers(model, run.members(state)), strict=True):
        found = explain_images(net, images, root(seed), config.explaining, marked.label)
        cascaded = config.cascaded(10)
        quality = measure(net, found, root(seed), config.explaining, cascaded=cascaded)
        if not values:
            draw(quality, run.figure, train.class_names)
            planted_report.save_examples(found, run.sample("explained.npz"))
        values.append(planted.mark_metrics(net, marked, found) | quality.metrics)
    metrics |= {name: run.per_seed([each[name] for each in values]) for name in values[0]}
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **marked.sets)


def explain_loaded(config: Config) -> dict[str, Any]:
    """Explains images with a loaded network, each for the class with the largest score."""
    assert config.load is not None
    loaded = load(config.load)
    net = loaded_classifier(loaded, config.load)
    images = np.asarray(sets_for(loaded, config.run, config.images)[1]["input"])
    images = images[spread_rows(len(images), config.count or 6)]
    key = root(config.run.seed)
    found = explain_images(net, images, key, config.explaining)
    cascaded = config.cascaded(int(loaded.preprocessing.crop is None))
    quality = measure(net, found, key, config.explaining, cascaded=cascaded)
    _, out = run_directory(config, explain_loaded)
    draw(quality, lambda name: out / f"{name}.png", loaded.classes)
    for name, reason in found.left_out.items():
        print(f"{name} is left out: {reason}")
    print_results(quality.metrics, out)
    return quality.metrics


def main(config: Config) -> dict[str, Any]:
    """Trains networks and explains them, or explains a loaded network."""
    if config.load is not None:
        return explain_loaded(config)
    variants = {name: {"networks": (name,)} for name in config.networks}
    out, results = run_variants(config, variants, train_and_explain)
    if len(results) == len(variants):
        print(f"\n{planted_report.report_table(results)}")
        for picture in planted_report.draw_comparison(results, config.mark, out):
            print(f"picture  {picture}")
    return results


if __name__ == "__main__":
    launch(main, Config)
