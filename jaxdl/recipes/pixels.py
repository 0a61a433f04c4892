"""Networks that predict pixel by pixel: options, likelihoods, samples, completions and pictures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float, Int

from jaxdl import plots, tasks
from jaxdl.core import State
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.functions import bind, predict_batched
from jaxdl.models import table
from jaxdl.models.pixel_net import PixelNet
from jaxdl.recipes.feature_classifier import FeatureClassifier, classifier_of_classes
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test
from jaxdl.recipes.images import check_pixels, image_sets
from jaxdl.recipes.sample_quality import class_rows, sample_metrics
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run
from jaxdl.tasks import Task
from jaxdl.tasks.autoregressive import quantized

#: Height and width of the images of a picture of reaches, and its red pixel.
REACH_SIZE = (13, 13)
REACH_PIXEL = (8, 6)

#: Numbers of the sets, each of which has its own binarization.
PARTS = {"train": 0, "test": 1, "validation": 2}

#: Images that are sampled at once.
SAMPLED = 500


@dataclasses.dataclass(frozen=True)
class PixelOptions:
    """Options of the grey levels, the classes, and the samples."""

    bits: int = 4
    """Bits of a pixel, from 1 to 8; grey values are rounded to the nearest level."""
    binarize: Literal["none", "threshold", "fixed", "dynamic"] = "none"
    """Images of one bit. threshold: a pixel is white above 1/2; fixed: white with the probability
    of its grey value, sampled once; dynamic: sampled again at each step."""
    draws: int = 1
    """Binarizations of the test set whose likelihoods are averaged, with --binarize fixed."""
    conditional: bool = True
    """If True, the network is conditioned on the class; pictures have one class per row."""
    feature_classifier: str | None = None
    """Directory of a finished run of experiments/feature_classifier.py.
    Default: the one in the cache, trained if it is missing."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("bits", self.bits, 1)
        if self.bits > 8:
            raise InputError("bits", self.bits, "at most 8")
        one_of("binarize", self.binarize, ("none", "threshold", "fixed", "dynamic"))
        if self.binarize != "none" and self.bits != 1:
            allowed = f"none, with {self.bits} bits; write --bits 1"
            raise InputError("binarize", self.binarize, allowed)
        at_least("draws", self.draws, 1)
        if self.draws > 1 and self.binarize != "fixed":
            raise InputError("draws", self.draws, "1, without --binarize fixed")

    @property
    def levels(self) -> int:
        """Number of grey levels."""
        return 2**self.bits

    @property
    def of_task(self) -> Any:
        """The binarization of `jaxdl.tasks.autoregressive`; that of "fixed" is in the set."""
        return {"threshold": 0.5, "dynamic": "dynamic"}.get(self.binarize)

    def prepared(self, data: Dataset, part: int, draw: int = 0) -> Dataset:
        """Returns a set whose images are binarized once if the options say so, else itself.

        Args:
          data: images in [0, 1].
          part: number of the set in `PARTS`.
          draw: number of the binarization.

        Raises:
          InputError: a pixel outside of [0, 1].
        """
        if self.binarize in ("none", "dynamic"):
            return data
        images = np.asarray(data["input"])
        check_pixels(images, data.name)
        if self.binarize == "threshold":
            white = images > 0.5
        else:
            white = _uniform(part, draw, images.shape) < images
        arrays = {**data.arrays, "input": white.astype(np.float32)}
        return dataclasses.replace(data, arrays=arrays)


def _uniform(part: int, draw: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the numbers of a fixed binarization, which depend on nothing else."""
    key = jax.random.fold_in(stream(root(0), "binarize"), part)
    return np.asarray(jax.random.uniform(jax.random.fold_in(key, draw), shape))


def run_pixels(
    run: Run[Options],
    training: TrainingOptions,
    pixels: PixelOptions,
    make: Callable[[tuple[int, int], int | None], PixelNet],
    reaches: Callable[[], Mapping[str, PixelNet]],
) -> dict[str, Any]:
    """Trains and tests a network of pixels, scores its samples and writes the pictures.

    Args:
      run: run to train in.
      training: options of the optimizer.
      pixels: options of levels, classes and samples.
      make: `make(size, classes)` returns the network; classes is None for an unconditional one.
      reaches: returns the networks of the picture of reaches, by name.

    Returns:
      The result of the run.
    """
    options = run.config.run
    train, test, sets = image_sets(options, labelled=pixels.conditional)
    if train["input"].shape[-1] != 1:
        raise InputError("data", f"{options.data} of RGB images", "grey images")
    height, width, _ = train["input"].shape[1:]
    classes = train.classes if pixels.conditional else None
    model = make((height, width), classes)
    task = tasks.autoregressive(model, binarize=pixels.of_task)
    classifier = classifier_of_classes(options, pixels.feature_classifier, train, test)
    sets = {part: pixels.prepared(each, PARTS[part]) for part, each in sets.items()}
    example = {"label": np.zeros(1, np.int32)} if classes else {}
    print(table(model, train["input"][:1], **example), "\n")
    grid_labels = _grid_labels(classes)
    count = 100 if grid_labels is None else len(grid_labels)
    names = None if grid_labels is None else class_rows(train, grid_labels)

    def on_validation(state: State) -> None:
        images = sampled(task, run.first_seed(state), 0, count, grid_labels)
        run.grid(state.steps_done, images, 10, "sampled with the same key at every step", names)

    state, metrics = fit_and_test(run, training, None, task, sets, on_validation=on_validation)
    members = run.members(state)
    metrics |= _draw_metrics(run, task, members, pixels, test, classes)
    if classifier is not None:
        metrics |= _sample_metrics(run, task, members, classifier, pixels, classes)
    write_pictures(run, task, members[0], sets["test"], grid_labels, reaches())
    return run.finish(state, metrics, **sets)


def _grid_labels(classes: int | None) -> Int[np.ndarray, " N"] | None:
    """Returns the labels of a grid of samples with ten columns, or None without classes."""
    if classes is None:
        return None
    return np.repeat(np.arange(min(classes, 10), dtype=np.int32), 10)


def sampled(
    task: Task,
    state: State,
    seed: int,
    n: int,
    label: Int[np.ndarray, " N"] | None = None,
    prompt: Float[np.ndarray, "N P"] | None = None,
) -> Float[np.ndarray, "N H W 1"]:
    """Returns n images, sampled in groups of equal size with one compiled program.

    Args:
      task: a `jaxdl.tasks.autoregressive`.
      state: the trained state of one run.
      seed: seed of the random numbers.
      n: number of images.
      label: class of each image, for a conditional network.
      prompt: the first P pixels of each image.
    """
    sample = bind(task.sample, state)
    key = stream(root(seed), "sample")
    size = min(n, SAMPLED)
    images = []
    for first in range(0, n, size):
        rows = np.minimum(np.arange(first, first + size), n - 1)
        given = {}
        if prompt is not None:
            given["prompt"] = prompt[rows]
        labels = [] if label is None else [label[rows]]
        images.append(np.asarray(sample(jax.random.fold_in(key, first), size, *labels, **given)))
    return np.concatenate(images)[:n]


def nats_of_images(
    task: Task, state: State, inputs: Sequence[np.ndarray]
) -> Float[np.ndarray, " N"]:
    """Returns -log p(x) of each example in nats.

    Args:
      task: a `jaxdl.tasks.autoregressive`.
      state: the trained state of one run.
      inputs: images `[N, H, W, 1]` and, for a conditional network, their labels `[N]`.
    """
    return predict_batched(bind(task.nll, state), *inputs, batch_size=100)


def _draw_metrics(
    run: Run[Options],
    task: Task,
    members: Sequence[State],
    pixels: PixelOptions,
    test: Dataset,
    classes: int | None,
) -> dict[str, Any]:
    """Returns mean and standard deviation of the nats over several binarizations of the test."""
    if pixels.draws == 1:
        return {}
    found = np.zeros((len(members), pixels.draws))
    for draw in range(pixels.draws):
        data = pixels.prepared(test, PARTS["test"], draw)
        fields = ("input",) if classes is None else ("input", "label")
        inputs = [np.asarray(data[field]) for field in fields]
        for i, member in enumerate(members):
            found[i, draw] = nats_of_images(task, member, inputs).mean()
    return {
        "test/nats_of_draws": run.per_seed(found.mean(1)),
        "test/nats_std_of_draws": run.per_seed(found.std(1, ddof=1)),
    }


def _sample_metrics(
    run: Run[Options],
    task: Task,
    members: Sequence[State],
    classifier: FeatureClassifier,
    pixels: PixelOptions,
    classes: int | None,
) -> dict[str, Any]:
    """Samples as many images as the test set has, and scores them by the classifier."""
    test = classifier.test
    label = np.asarray(test["label"])
    grey = jnp.asarray(pixels.prepared(test, PARTS["test"])["input"])
    real = np.asarray(quantized(grey, pixels.levels))
    run.metadata["feature_classifier"] = {
        "accuracy": classifier.accuracy,
        "sha256": classifier.sha256,
        "data_sha256": classifier.train.sha256,
        "environment": classifier.environment,
    }
    labels = label if classes is not None else None
    found: list[dict[str, float]] = []
    for seed, member in zip(run.seeds, members, strict=True):
        images = sampled(task, member, seed, test.size, labels)
        if not np.isfinite(images).all():
            run.warn(f"seed {seed}: generated images are not finite")
            found.append({})
            continue
        found.append(sample_metrics(classifier, images, labels))
    names = {name: None for metrics in found for name in metrics}
    scores = {
        f"samples/{name}": run.per_seed([each.get(name, np.nan) for each in found])
        for name in names
    }
    _, predicted = classifier.features_and_labels(real)
    scores["samples/agreement_of_test"] = run.per_seed((predicted == label).mean())
    return scores


def write_pictures(
    run: Run[Options],
    task: Task,
    state: State,
    test: Dataset,
    label: Int[np.ndarray, " N"] | None,
    reaches: Mapping[str, PixelNet],
) -> None:
    """Draws samples, completions, a GIF of images pixel by pixel, reaches and learning curves.

    Args:
      run: run of the pictures.
      task: a `jaxdl.tasks.autoregressive`.
      state: the trained state of one run.
      test: test images.
      label: labels of the grid of samples; None for an unconditional network.
      reaches: networks of the picture of reaches, which get random weights.
    """
    seed = run.seeds[0]
    plots.learning_curves(run.records(), run.figure("curves"))
    images = sampled(task, state, seed, 100 if label is None else len(label), label)
    title = f"{len(images)} images, sampled pixel by pixel after {state.steps_done:,} steps"
    names = None if label is None else class_rows(test, label)
    plots.image_grid(images, run.figure("samples"), 10, title=title, rows=names)
    rows = [i * len(images) // 8 for i in range(8)]
    plots.drawing_gif(images[rows], run.figure("drawing").with_suffix(".gif"))
    run.training_gif()
    _write_completions(run, task, state, test, seed)
    maps = {name: reach_of(model) for name, model in reaches.items()}
    plots.reach_maps(maps, REACH_PIXEL, run.figure("reach"))


def _write_completions(
    run: Run[Options], task: Task, state: State, test: Dataset, seed: int, count: int = 8
) -> None:
    """Draws ten completions of the upper half of some test images."""
    levels = task.arguments["model"].levels
    whole = np.asarray(quantized(jnp.asarray(test["input"][:count]), levels))
    height, width = whole.shape[1:3]
    given = height // 2
    prompt = np.repeat(whole.reshape(count, -1)[:, : given * width], 10, 0)
    label = None
    if task.arguments["model"].classes is not None:
        label = np.repeat(np.asarray(test["label"][:count]), 10)
    images = sampled(task, state, seed, 10 * count, label, prompt)
    images = images.reshape(count, 10, height, width, 1)
    plots.completions(whole, images, given, run.figure("completions"))


def reach_of(model: PixelNet) -> Float[np.ndarray, "H W"]:
    """Computes how much the logits of `REACH_PIXEL` depend on each pixel, for random weights.

        r_k = sum_l |d logit_l / d x_k|,    as a mean over 16 random images

    Args:
      model: a network of images of `REACH_SIZE`, without classes.

    Returns:
      `[H, W]`, exactly 0 for pixels without influence.
    """
    key = stream(root(0), "init")
    images = jax.random.uniform(jax.random.fold_in(key, 1), (16, *REACH_SIZE, 1))
    variables = model.init(key, images[:1], train=False)
    logits = Partial(partial(_logits_of_pixel, model), variables)
    gradients = jax.jit(jax.vmap(jax.jacrev(logits)))(images)
    return np.asarray(abs(gradients).sum((1, 4)).mean(0))


def _logits_of_pixel(model: PixelNet, variables: Any, image: Any) -> Any:
    """Returns the logits of `REACH_PIXEL` of one image."""
    return model.apply(variables, image[None], train=False)[0][REACH_PIXEL]  # type: ignore
