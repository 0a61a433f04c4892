"""Quality of generated images: scores from a feature classifier, and warnings about collapse."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from jaxdl import scores
from jaxdl.data.dataset import Dataset
from jaxdl.functions import predict_batched
from jaxdl.recipes.feature_classifier import FeatureClassifier, Images, nearest_of
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run


def sample_metrics(
    classifier: FeatureClassifier, generated: Images, label: Int[np.ndarray, " N"] | None = None
) -> dict[str, float]:
    """Computes metrics of generated images: their similarity to real images and their diversity.

    Args:
      classifier: feature classifier of the same data.
      generated: generated images `[N, H, W, C]`. N is the size of the classifier's test set,
        because a Fréchet distance depends on the number of images.
      label: class `[N]` that each image was generated for. None for unconditional generators.

    Returns:
      The metrics by name:

      - `fid_classifier`: Fréchet distance between the features of generated and training images.
      - `precision`, `recall`: `jaxdl.scores.precision_recall` against the test images.
      - `classes`, `entropy`: `jaxdl.scores.coverage` of the predicted classes.
      - `agreement`: fraction of images that are classified as `label`; only with `label`.
      - `spread`: standard deviation of the pixels within each class of `label`, divided by that of
        the test images.
      - `nearest`: mean Euclidean distance to the nearest training image, as vectors of pixels.
      - `fid_classifier_floor`, `nearest_test`: the same scores for the test set.
      - `precision_floor`, `recall_floor`: the same scores for as many training images.
    """
    features, predicted = classifier.features_and_labels(generated)
    classes, entropy = scores.coverage(predicted, classifier.test.classes or 0)
    precision, recall = scores.precision_recall(classifier.test_features, features)
    groups = np.zeros(len(generated), int)
    agreement: dict[str, float] = {}
    if label is not None:
        groups = label
        agreement["agreement"] = float((predicted == label).mean())
    spread = _deviation(generated, groups)
    real_spread = _deviation(np.asarray(classifier.test["input"]), groups)
    return {
        "fid_classifier": scores.frechet_distance(classifier.train_features, features),
        "precision": precision,
        "recall": recall,
        "classes": float(classes),
        "entropy": entropy,
        **agreement,
        "spread": spread / real_spread,
        "nearest": nearest_of(generated, classifier.train),
        **classifier.floor,
    }


def _deviation(images: Images, groups: Int[np.ndarray, " N"]) -> float:
    """Returns the standard deviation of pixels within each group, as a mean over pixels."""
    return float(np.mean([images[groups == each].std(0).mean() for each in np.unique(groups)]))


def collapse_warnings(metrics: Mapping[str, float], classes: int) -> list[str]:
    """Returns one warning for each metric that indicates bad or missing images.

    Args:
      metrics: metrics that `sample_metrics` returns.
      classes: number of classes that occur in the real images (`jaxdl.scores.coverage`).

    Returns:
      The warnings, one line each; an empty list if the images are good.

    Example:
      >>> metrics = {"classes": 1.0, "spread": 1.0, "precision": 0.9, "recall": 0.0}
      >>> for warning in collapse_warnings(metrics, 10):
      ...     print(warning)
      generated images show 1 of 10 classes
      generated images cover 0 % of the real images
    """
    warnings = []
    if metrics["spread"] < 0.1:
        warnings.append("generated images are almost identical")
    if metrics["classes"] < classes:
        warnings.append(f"generated images show {metrics['classes']:.0f} of {classes} classes")
    if metrics["precision"] < 0.1:
        warnings.append(f"only {100 * metrics['precision']:.0f} % of generated images look real")
    if metrics["recall"] < 0.05:
        share = 100 * metrics["recall"]
        warnings.append(f"generated images cover {share:.0f} % of the real images")
    return warnings


def latent_noise(seed: int, latent: int, n: int) -> np.ndarray:
    """Returns the latent vectors `[n, latent]` of a run's generated images.

    Example:
      >>> latent_noise(0, 8, 3).shape
      (3, 8)
    """
    return np.asarray(jax.random.normal(stream(root(seed), "sample"), (n, latent)))


def grid_inputs(
    seed: int, latent: int, classes: int | None = None, side: int = 10
) -> tuple[np.ndarray, ...]:
    """Returns the inputs of a generator for a grid of images, the same ones for each call.

    Args:
      seed: seed of the run.
      latent: number of latent dimensions Z.
      classes: number of classes of a conditional generator. None: it takes no label.
      side: number of columns, and most rows.

    Returns:
      Latents `[side * side, Z]`. For a conditional generator latents `[N, Z]`, equal in each
      column, and labels `[N]`, equal in each row: one row for each of the first `side` classes.

    Example:
      >>> latents, label = grid_inputs(0, latent=8, classes=3, side=2)
      >>> latents.shape, label.tolist()
      ((4, 8), [0, 0, 1, 1])
    """
    if classes is None:
        return (latent_noise(seed, latent, side * side),)
    rows = min(side, classes)
    label = np.repeat(np.arange(rows, dtype=np.int32), side)
    return np.tile(latent_noise(seed, latent, side), (rows, 1)), label


def class_rows(data: Dataset, label: Int[np.ndarray, " N"], side: int = 10) -> list[str]:
    """Returns the name of the class of each row of a grid, for the texts beside it.

    Args:
      data: set with the names of the classes.
      label: the second array of `grid_inputs`.
      side: number of columns.

    Example:
      >>> data = Dataset({"label": np.arange(2)}, "two", 2)
      >>> class_rows(data, np.array([0, 0, 1, 1]), 2)
      ['class 0', 'class 1']
    """
    if data.class_names is None:
        return [f"class {each}" for each in label[::side]]
    return [str(data.class_names[each]) for each in label[::side]]


def path_columns(count: int) -> list[str]:
    """Returns the shares of a way between two latent vectors, for the texts above a grid.

    Example:
      >>> path_columns(3)
      ['0 %', '50 %', '100 %']
    """
    return [f"{100 * i / max(count - 1, 1):.0f} %" for i in range(count)]


def evaluate_samples(
    run: Run[Options],
    classifier: FeatureClassifier,
    generators: Sequence[Callable[..., Any]],
    latent: int,
    conditional: bool,
) -> dict[str, Any]:
    """Generates images for each seed and evaluates them with the feature classifier.

    Signs of collapse become warnings of the run, and its result names the classifier.

    Args:
      run: run that the images belong to.
      classifier: feature classifier of the same data.
      generators: `generate(latent [B, Z]) -> images` of each seed; conditional generators also get
        the labels `[B]`.
      latent: number of latent dimensions Z.
      conditional: if True, images are generated for the classes of the test set.

    Returns:
      Metrics for `Run.finish`, as `samples/...`. They are NaN for a seed with images that are not
      finite. No metrics are returned if all seeds have such images.
    """
    run.metadata["feature_classifier"] = {
        **{
            "accuracy": classifier.accuracy,
            "sha256": classifier.sha256,
            "data_sha256": classifier.train.sha256,
        },
        "environment": classifier.environment,
    }
    test_label = np.asarray(classifier.test["label"])
    labels: tuple[np.ndarray, ...] = ()
    if conditional:
        labels = (test_label,)
    real_classes, _ = scores.coverage(test_label, classifier.test.classes or 0)
    metrics_of_seeds: list[dict[str, float]] = []
    for seed, generate in zip(run.seeds, generators, strict=True):
        latents = latent_noise(seed, latent, classifier.test.size)
        generated = predict_batched(generate, latents, *labels)
        metrics: dict[str, float] = {}
        warnings = ["generated images are not finite"]
        if np.isfinite(generated).all():
            metrics = sample_metrics(classifier, generated, *labels)
            warnings = collapse_warnings(metrics, real_classes)
        metrics_of_seeds.append(metrics)
        for warning in warnings:
            run.warn(f"seed {seed}: {warning}")
    # A dict keeps the order of the names.
    names = {name: None for metrics in metrics_of_seeds for name in metrics}
    return {
        f"samples/{name}": run.per_seed([each.get(name, np.nan) for each in metrics_of_seeds])
        for name in names
    }
