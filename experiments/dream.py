"""Deep dream: a photograph that is changed until it excites layers of a network more.

    python experiments/dream.py
    python experiments/dream.py --data mnist --epochs 2 --photograph flower
    python experiments/dream.py --load runs/mine --layers conv_1 conv_2
    python experiments/dream.py --load weights.pth --size 384 --seeds 2
    python experiments/dream.py --load vgg16.h5 --layers activation_8 --dream-steps 15 --size 384
    python experiments/dream.py --load weights.pth --scales 0 --no-decorrelate --octaves 1

The first commands train a small CNN. `--load` takes a finished run, or a file with weights that
`jaxdl.load` reads. The last command is the plain ascent, without what makes dreams smooth.

`depths.png` has the dreams of three layers, beside those of the same network with random weights.

Growth is that of the objective, for the whole dream against the photograph. The photograph has 0 %
black and 4 % white values, of which more means saturated patterns. With 4 octaves:

    network and layer                     pixels     step, coarse   growth   black, white
    EfficientNet-Lite0, block_11/acti..   171 x 256   0.01, 0.8        3.1    1 %,  3 %
    the same                              171 x 256   0.02, 1.5        3.7    3 %,  3 %
    EfficientNet-Lite0, block_8/activ..   171 x 256   0.015, 1.0       2.2    4 %,  5 %
    VGG16, activation_8, 15 steps         256 x 384   0.01, 0.8        5.8    5 %,  6 %
    VGG16, activation_6, 15 steps         256 x 384   0.008, 0.8       3.0    6 %,  6 %
    VGG16, activation_8                   128 x 192   0.02, 1.5        6.8   18 %, 16 %
    CNN of the digits, activation_2       171 x 256   0.005, 0.8       2.0   12 %, 29 %
    the same with random weights          171 x 256   0.005, 0.8       1.8    5 %, 25 %

The layers of EfficientNet-Lite0 are block_11/activation_expand, which gives faces of animals, and
block_8/activation_expand, which gives windows. The VGG16 is that of an edge detector and draws eyes
along edges. With steps of 0.02 and `--coarse 1.5` it turns dark. The small CNN draws short strokes.

The first command takes 114 s of processor time, with photographs of 171 x 256 pixels.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import jax
import numpy as np
import tyro

from jaxdl import load, plots, root, tasks
from jaxdl.core import inference
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.recipes import AugmentOptions, TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.dream_pictures import (
    draw_dreams,
    draw_own_images,
    dream_all,
    growths,
    save_pictures,
)
from jaxdl.recipes.dreaming import (
    DreamOptions,
    check_dreams,
    dream_layers,
    dreamer,
    load_photograph,
)
from jaxdl.recipes.loaded import print_results, refuse_options_of_training
from jaxdl.recipes.robustness import one_of_each_class
from jaxdl.recipes.seeing import check_layers, preparation
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment
from jaxdl.runs.options import run_directory

#: Size of a step for the network that is trained.
SMALL_STEP = 0.005

#: Number of images of the training set that are changed.
OWN = 8


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(epochs=20.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3)
    dreaming: DreamOptions = DreamOptions()
    augmentation: AugmentOptions = AugmentOptions()

    load: Annotated[str | None, tyro.conf.arg(aliases=["--run", "--weights"])] = None
    """A finished run, or a file of weights, in place of a training."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        refuse_options_of_training(self, self.load)
        return super().validate()

    def for_smoke(self) -> Self:
        short = dataclasses.replace(self.dreaming, dream_steps=2, octaves=2, size=48, shift=2)
        return dataclasses.replace(super().for_smoke(), dreaming=short)


def network(classes: int) -> CNN:
    """Returns the network that is trained: three convolutions and a dense layer."""
    return CNN((Stage(16), Stage(32), Stage(32, pool=None)), (64,), classes)


def train_and_dream(run: Run[Config]) -> dict[str, Any]:
    """Trains a CNN, evaluates it, and lets the network of each seed dream."""
    config = run.config
    dreaming = config.dreaming
    if dreaming.step_size is None:
        dreaming = dataclasses.replace(dreaming, step_size=SMALL_STEP)
    train, test, sets = image_sets(config.run)
    model = network(train.classes or 1).clone(dtype=config.training.dtype)
    shape = train["input"].shape[1:]
    photograph = load_photograph(dreaming.photograph, dreaming.size, shape[-1])
    image = np.zeros((1, *shape), np.float32)
    abstract = jax.eval_shape(lambda: model.init(root(0), image, train=False))
    names = dreaming.layers or dream_layers(model, abstract, shape)
    check_layers(model, abstract, shape, names)
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    check_dreams(dreamer(model, empty, names, shape), photograph.shape, dreaming.dream())
    task = tasks.classify(model, **config.augmentation.changes(shape)._asdict())
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    nets = []
    for seed, member in zip(run.seeds, run.members(state), strict=True):
        final = inference(member)
        random = root(seed) if dreaming.random else None
        variables = {"params": final.params, **final.extra}
        nets.append(dreamer(model, variables, names, shape, random=random))
    folder = run.sample("dreams")
    dreams = dream_all(nets, photograph, run.seeds, dreaming, folder)
    name = f"a CNN of {train.name}"
    draw_dreams(dreams, name, run.seeds, run.figure)
    save_pictures(dreams.trained, folder)
    rows = one_of_each_class(np.asarray(test["label"]), OWN)
    own = np.asarray(test["input"])[rows]
    titles = [f"class {name}" for name in np.asarray(test["label"])[rows]]
    draw_own_images(nets[0], own, dreaming, config.run.seed, run.figure("own"), titles)
    plots.learning_curves(run.records(), run.figure("curves"))
    metrics |= {key: run.per_seed(value) for key, value in growths(dreams).items()}
    return run.finish(state, metrics, **sets)


def dream_of_loaded(config: Config) -> dict[str, float]:
    """Lets a loaded network dream, once for each seed."""
    assert config.load is not None
    net = load(config.load)
    shape = net.fields["input"].shape
    if net.model is None or len(shape) != 3 or shape[-1] not in (1, 3):
        allowed = "a network of grey or RGB images with one module"
        raise InputError("load", config.load, allowed)
    options = config.dreaming
    names = options.layers or dream_layers(net.model, net.variables, shape)
    check_layers(net.model, net.variables, shape, names)
    photograph = load_photograph(options.photograph, options.size, shape[-1])
    seeds = range(config.run.seed, config.run.seed + config.run.seeds)
    random = root(config.run.seed) if options.random else None
    prepare = preparation(net.preprocessing)
    one = dreamer(net.model, net.variables, names, shape, prepare, random)
    check_dreams(one, photograph.shape, options.dream())
    out = run_directory(config, dream_of_loaded)[1]
    out.mkdir(parents=True, exist_ok=True)
    dreams = dream_all([one] * len(seeds), photograph, seeds, options, out / "dreams")
    draw_dreams(dreams, Path(config.load).stem, seeds, lambda name: out / f"{name}.png")
    save_pictures(dreams.trained, out / "dreams")
    metrics = {name: float(np.mean(values)) for name, values in growths(dreams).items()}
    print_results(metrics, out)
    print(f"picture  {out / 'dream.gif'}")
    return metrics


def main(config: Config) -> dict[str, Any]:
    """Trains a network that dreams, or lets a loaded network dream."""
    if config.load is not None:
        return dream_of_loaded(config)
    return run_experiment(config, train_and_dream)


if __name__ == "__main__":
    launch(main, Config)
