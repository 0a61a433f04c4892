"""Image to image: sets with a known truth, scores of translations, baselines, hidden messages."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from jaxdl import models, plots, scores, tasks
from jaxdl.core import learner
from jaxdl.data.dataset import Dataset
from jaxdl.data.translations import TRANSLATIONS, enlarged, translation_pairs
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.functions import predict_batched
from jaxdl.recipes.feature_classifier import (
    ClassLabels,
    FeatureClassifierOptions,
    Features,
    features_and_labels_of,
    network,
)
from jaxdl.recipes.images import image_sets
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run
from jaxdl.training import train

Images = Float[np.ndarray, "N H W C"]
Translate = Callable[[Images], Images]
Classifier = Callable[[Images], tuple[Features, ClassLabels]]

#: Names of `source` and `target`.
DOMAINS = ("grey", *TRANSLATIONS)
#: Side of the windows of the best linear filter.
WINDOW = 7
#: Images from which the best linear filter is computed.
FILTERED = 500
#: Most columns of a picture.
MOST_COLUMNS = 10
#: Smallest side of the images, to which smaller ones are enlarged.
SIDE = 16


@dataclasses.dataclass(frozen=True)
class TranslationOptions:
    """Options of the domains and of the networks that translate between them."""

    source: Literal["grey", "thick", "thin", "sheared", "inverted", "outlines", "coloured"] = "grey"
    """Domain of the inputs: grey (the images as they are), thick, thin, sheared, inverted, outlines
    or coloured."""
    target: Literal["grey", "thick", "thin", "sheared", "inverted", "outlines", "coloured"] = "grey"
    """Domain of the outputs."""
    features: tuple[int, ...] = (16, 32, 64)
    """Kernels of the levels of each U-Net; each level halves height and width."""
    patches: tuple[int, ...] = (32, 64)
    """Kernels of the layers of each discriminator. Each layer doubles the size of a patch."""
    norm: Literal["instance", "batch", "none"] = "instance"
    """Norm of all networks."""
    loss: Literal["nonsaturating", "least_squares", "hinge"] = "least_squares"
    """Losses of scores."""
    classifier_steps: int = 400
    """Steps of the classifier that names the translated images."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for equal domains, or a value that is out of range."""
        one_of("source", self.source, DOMAINS)
        one_of("target", self.target, DOMAINS)
        if self.source == self.target:
            raise InputError("target", self.target, "another domain than that of the source")
        at_least("classifier_steps", self.classifier_steps, 1)
        self.generator(1)
        self.discriminator()

    @property
    def norm_of_networks(self) -> str | None:
        """Name of the norm, or None."""
        return None if self.norm == "none" else self.norm

    def generator(self, channels: int, dtype: Any = None) -> models.UNet:
        """Returns a U-Net for images with a number of channels."""
        return models.UNet(self.features, channels, norm=self.norm_of_networks, dtype=dtype)

    def discriminator(self, dtype: Any = None) -> models.PatchDiscriminator:
        """Returns a discriminator of patches."""
        return models.patch_discriminator(self.patches, self.norm_of_networks, dtype)


def translation_sets(run: RunOptions, options: TranslationOptions) -> dict[str, Dataset]:
    """Returns pairs of images by part: `train`, `test` and perhaps `validation`.

    Images with less than 16 pixels a side are enlarged first, so that the shorter side has 16.

    Args:
      run: options of the run.
      options: names of the domains.

    Raises:
      InputError: images that are not grey, or without classes.

    Example:
      >>> options = TranslationOptions("outlines", "grey")
      >>> translation_sets(RunOptions(), options)["test"]["input"].shape
      (359, 16, 16, 1)
    """
    _, _, sets = image_sets(run)
    return {
        part: translation_pairs(_large(data), options.source, options.target)
        for part, data in sets.items()
    }


def _large(data: Dataset) -> Dataset:
    """Returns a set with images of at least `SIDE` pixels a side."""
    images = np.asarray(data["input"])
    height, width = images.shape[1:3]
    if min(height, width) >= SIDE:
        return data
    factor = SIDE / min(height, width)
    size = round(factor * height), round(factor * width)
    return dataclasses.replace(data, arrays={**data.arrays, "input": enlarged(images, size)})


def reversed_pairs(pairs: Dataset) -> Dataset:
    """Returns the pairs with inputs and targets exchanged.

    Example:
      >>> pairs = Dataset({"input": np.zeros((2, 3)), "target": np.ones((2, 3))}, "pairs")
      >>> float(reversed_pairs(pairs)["input"].mean())
      1.0
    """
    arrays = {**pairs.arrays, "input": pairs["target"], "target": pairs["input"]}
    return dataclasses.replace(pairs, arrays=arrays, name=f"{pairs.name}, reversed")


def domain_classifier(pairs: Dataset, field: str, steps: int) -> Classifier:
    """Trains a classifier of one domain, whose features and classes score translated images.

    Args:
      pairs: the images, with `label`.
      field: name of the images of the domain, "input" or "target".
      steps: number of steps, of at most 100 images each.

    Returns:
      A function from images to features `[N, D]` and classes `[N]`.

    Raises:
      InputError: images without classes.
    """
    if pairs.classes is None:
        raise InputError("data", pairs.name, "images with classes, for scores")
    options = FeatureClassifierOptions()
    model = network(options, pairs.classes)
    task = tasks.classify(model)
    net = learner(task.init, *task.updates(options.training.make_optimizer(steps)))
    arrays = {"input": np.asarray(pairs[field]), "label": np.asarray(pairs["label"])}
    data = Dataset(arrays, f"{pairs.name}, {field}", pairs.classes)
    size = min(100, data.size)
    state = train(net, data, key=root(0), steps=steps, batch_size=size)
    return features_and_labels_of(model, state, pairs.classes)


def translation_scores(
    outputs: Images, truth: Images, label: Int[np.ndarray, " N"], classifier: Classifier
) -> dict[str, float]:
    """Returns the scores of translated images against the truth.

    Args:
      outputs: translated images, `[N, H, W, C]`.
      truth: the images that are right.
      label: their classes, `[N]`.
      classifier: classifier of the domain, of `domain_classifier`.

    Returns:
      The scores by name:

      - `l1`: mean absolute error; `psnr` in decibels; `ssim`: structural similarity;
      - `agreement`: share of the outputs that the classifier names right;
      - `frechet`: Fréchet distance of the classifier's features of outputs and truth.
    """
    features, named = classifier(outputs)
    known, _ = classifier(truth)
    return {
        "l1": float(np.abs(outputs - truth).mean()),
        "psnr": scores.psnr(truth, outputs),
        "ssim": float(scores.ssim(truth, outputs).mean()),
        "agreement": float((named == label).mean()),
        "frechet": scores.frechet_distance(known, features),
    }


def linear_filter(inputs: Images, targets: Images) -> Translate:
    """Returns the linear filter with the least squared error, as a function of images.

        y_ij = sum_kl w_kl x_{i+k, j+l} + b,    windows of 7x7 pixels

    Args:
      inputs: `[N, H, W, C]`. At most 500 of them are used.
      targets: `[N, H, W, D]`.

    Returns:
      A function from `[M, H, W, C]` to `[M, H, W, D]` in [0, 1].

    Example:
      >>> x = np.random.default_rng(0).random((4, 8, 8, 1)).astype(np.float32)
      >>> negative = linear_filter(x, 1 - x)
      >>> bool(abs(negative(x) - (1 - x)).max() < 1e-5)
      True
    """
    rows = np.linspace(0, len(inputs) - 1, min(len(inputs), FILTERED)).astype(int)
    x = _windows(inputs[rows])
    y = np.asarray(targets)[rows].reshape(len(x), -1).astype(np.float64)
    # The normal equations are small, while the windows are many.
    weights = np.linalg.lstsq(x.T @ x + 1e-6 * np.eye(x.shape[1]), x.T @ y, rcond=None)[0]
    shape = targets.shape[1:]

    def apply(images: Images) -> Images:
        parts = [
            _windows(images[start : start + FILTERED]) @ weights
            for start in range(0, len(images), FILTERED)
        ]
        found = np.concatenate(parts).reshape(len(images), *shape)
        return found.clip(0, 1).astype(np.float32)

    return apply


def _windows(images: Images) -> Float[np.ndarray, "P K"]:
    """Returns the window around each pixel as a row, and a column of ones."""
    half = WINDOW // 2
    padded = np.pad(np.asarray(images, np.float64), ((0, 0), (half, half), (half, half), (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), (1, 2))
    rows = found.reshape(images.shape[0] * images.shape[1] * images.shape[2], -1)
    return np.concatenate([rows, np.ones((len(rows), 1))], 1)


def baseline_scores(
    pairs: Dataset, test: Dataset, classifier: Classifier
) -> dict[str, dict[str, float]]:
    """Returns the scores of doing nothing, if the shapes allow it, and of the best linear filter.

    Args:
      pairs: pairs from which the filter is computed.
      test: pairs that are scored.
      classifier: classifier of the targets.
    """
    x = np.asarray(test["input"])
    truth = np.asarray(test["target"])
    label = np.asarray(test["label"])
    fitted = linear_filter(np.asarray(pairs["input"]), np.asarray(pairs["target"]))
    found = {"linear_filter": translation_scores(fitted(x), truth, label, classifier)}
    if x.shape == truth.shape:
        found = {"nothing": translation_scores(x, truth, label, classifier), **found}
    return found


class HiddenMessage(NamedTuple):
    """Errors of a cycle, after changes of the image in the middle that the eye hardly notices.

    Attributes:
      errors: mean absolute error of the cycle by change: none, rounded, blurred, noisy.
      ratio: mean change of the end per mean change of the middle, the largest of all changes. It
        is at most about 1 for a cycle that hides nothing, and many times larger for a message. NaN
        if the end is not finite.
    """

    errors: dict[str, float]
    ratio: float


def hidden_message(
    forth: Translate, back: Translate, images: Images, seed: int = 0
) -> HiddenMessage:
    """Tests if the image in the middle of a cycle hides a message from which the end is made.

        y = G(x), clipped to [0, 1],    e_c = mean |x - F(c(y))|
        r = max_c mean |F(c(y)) - F(y)| / mean |c(y) - y|
        c: rounding to 8 bits, blur of 0.5 pixels, noise with a standard deviation of 0.05, clipped

    A network can satisfy the cycle by faint patterns instead of the picture. Such patterns do not
    survive small changes, so the end changes far more than the middle. A c that changes nothing is
    left out of r.

    Args:
      forth: G, a function of images.
      back: F.
      images: x, `[N, H, W, C]` in [0, 1].
      seed: seed of the noise.

    Returns:
      The errors e_c, also that without a change, and the ratio r.

    Source: Chu, Zhmoginov and Sandler 2017, CycleGAN, a master of steganography.

    Example:
      >>> x = np.random.default_rng(0).random((4, 8, 8, 1)).astype(np.float32)
      >>> f"{hidden_message(lambda x: x, lambda x: x, x).ratio:.3f}"
      '1.000'
    """
    middle = predict_batched(forth, images).clip(0, 1)
    noise = np.asarray(jax.random.normal(stream(root(seed), "sample"), middle.shape))
    changed = {
        "none": middle,
        "rounded": np.round(middle * 255).astype(np.float32) / 255,
        "blurred": ndimage.gaussian_filter(middle, (0, 0.5, 0.5, 0)),
        "noisy": (middle + 0.05 * noise).clip(0, 1).astype(np.float32),
    }
    ends = {name: predict_batched(back, each) for name, each in changed.items()}
    errors = {name: float(np.abs(images - end).mean()) for name, end in ends.items()}
    ratios = [0.0]
    for name, end in ends.items():
        change = np.abs(changed[name] - middle).mean()
        # Rounding can change nothing.
        if not change <= 1e-6:
            ratios.append(np.abs(end - ends["none"]).mean() / change)
    return HiddenMessage(errors, float(np.max(ratios)))


def score_members(
    translators: Sequence[Translate], pairs: Dataset, classifier: Classifier
) -> tuple[Images, list[dict[str, float]]]:
    """Translates the inputs of pairs with the network of each seed, and scores the results.

    Args:
      translators: a function of images for each seed.
      pairs: pairs `input` and `target`, with `label`.
      classifier: classifier of the targets.

    Returns:
      The images of the first seed, and the scores of each seed.
    """
    x = np.asarray(pairs["input"])
    truth = np.asarray(pairs["target"])
    label = np.asarray(pairs["label"])
    outputs = [predict_batched(each, x) for each in translators]
    return outputs[0], [translation_scores(each, truth, label, classifier) for each in outputs]


def metrics_of_seeds(
    run: Run[Options], found: Sequence[Mapping[str, float]], prefix: str = ""
) -> dict[str, Any]:
    """Returns scores as metrics of a run, with one number per seed.

    Args:
      run: the run.
      found: the scores of each seed, or of all of them.
      prefix: text before the names.
    """
    return {
        f"{prefix}{name}": run.per_seed(np.array([each[name] for each in found]))
        for name in found[0]
    }


def draw_translations(
    kinds: Mapping[str, Images], label: Int[np.ndarray, " N"], path: Path, title: str
) -> Path:
    """Draws one example of each class: a column for each, and a row for each kind of image.

    Args:
      kinds: images `[N, H, W, C]` by the text beside the row.
      label: classes of the examples, `[N]`.
      path: path of the PNG file.
      title: the text above the table.
    """
    classes, first = np.unique(label, return_index=True)
    first = first[:MOST_COLUMNS]
    rows = [np.asarray(each)[first].clip(0, 1) for each in kinds.values()]
    if any(each.shape[-1] == 3 for each in rows):
        rows = [np.broadcast_to(each, (*each.shape[:3], 3)) for each in rows]
    texts = [f"a {each}" for each in classes[:MOST_COLUMNS]]
    images = np.concatenate(rows)
    return plots.image_grid(images, path, texts, title=title, rows=list(kinds))


def score_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Returns scores as a table, one line for each way of translating.

    Example:
      >>> print(score_table({"nothing": {"l1": 0.25, "agreement": 0.5}}))
                  l1  agreement
      nothing  0.250      0.500
    """
    names = list(next(iter(found.values())))
    width = max(map(len, found))
    lines = [" " * width + "".join(f"  {name:>{max(len(name), 5)}}" for name in names)]
    for name, values in found.items():
        cells = "".join(f"  {values[each]:>{max(len(each), 5)}.3f}" for each in names)
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)
