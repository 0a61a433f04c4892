"""What a classifier says of drawn images, and what does not look like success."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from jaxdl import scores, tasks
from jaxdl.core import State
from jaxdl.experiment.feature_classifier import FeatureClassifier, Images, nearest_of
from jaxdl.experiment.run import Run
from jaxdl.rng import root, stream


def sample_metrics(
    classifier: FeatureClassifier, drawn: Images, label: Int[np.ndarray, " N"] | None = None
) -> dict[str, float]:
    """Numbers for drawn images: how near they are to the real ones, and how many kinds of them there are.

    Args:
      classifier: of the same data.
      drawn: `[N, H, W, C]`, N the size of the classifier's test set: a Fréchet distance depends on the number of images.
      label: `[N]`, the class that each drawn image was asked to show; None: none.

    Returns:
      `fid_classifier`: the Fréchet distance between the features of drawn and training images; `precision`, `recall`:
      `jaxdl.scores.precision_recall` against the test images; `classes`, `entropy`: `jaxdl.scores.coverage`;
      `agreement`: the share of images that show the class asked for; `spread`: the standard deviation of their pixels
      (within the classes asked for) by that of the test images; `nearest`: the mean Euclidean distance to the nearest
      training image, as a vector of pixels. Beside them what real images get: `fid_classifier_floor`, `nearest_test` those of
      the test set; `precision_floor`, `recall_floor` those of as many training images.
    """
    here, seen = classifier.look(drawn)
    classes, entropy = scores.coverage(seen, classifier.test.classes or 0)
    precision, recall = scores.precision_recall(classifier.real, here)
    groups = np.zeros(len(drawn), int) if label is None else label
    return {
        "fid_classifier": scores.frechet_distance(classifier.known, here),
        "precision": precision,
        "recall": recall,
        "classes": float(classes),
        "entropy": entropy,
        **({} if label is None else {"agreement": float((seen == label).mean())}),
        "spread": _deviation(drawn, groups)
        / _deviation(np.asarray(classifier.test["input"]), groups),
        "nearest": nearest_of(drawn, classifier.train),
        **classifier.floor,
    }


def _deviation(images: Images, groups: Int[np.ndarray, " N"]) -> float:
    return float(np.mean([images[groups == each].std(0).mean() for each in np.unique(groups)]))


def collapse_warnings(found: Mapping[str, float], classes: int) -> list[str]:
    """What is wrong with drawn images by their numbers, one line each; none where they are fit to be seen.

    Args:
      found: of `judged`.
      classes: how many the real images show (`jaxdl.scores.coverage`).

    Example:
      >>> collapse_warnings({"classes": 1.0, "spread": 1.0, "precision": 0.9, "recall": 0.0}, 10)
      ['drawn images show 1 of 10 classes', 'drawn images cover 0 % of the real ones']
    """
    said = []
    if found["spread"] < 0.1:
        said.append("drawn images hardly differ")
    if found["classes"] < classes:
        said.append(f"drawn images show {found['classes']:.0f} of {classes} classes")
    if found["precision"] < 0.1:
        said.append(f"of drawn images {100 * found['precision']:.0f} % look real")
    if found["recall"] < 0.05:
        said.append(f"drawn images cover {100 * found['recall']:.0f} % of the real ones")
    return said


def latent_noise(seed: int, latent: int, n: int) -> np.ndarray:
    """What the drawn images of a run are made of, `[n, latent]`.

    Example:
      >>> latent_noise(0, 8, 3).shape
      (3, 8)
    """
    return np.asarray(jax.random.normal(stream(root(seed), "sample"), (n, latent)))


def evaluate_samples(
    run: Run[Any],
    classifier: FeatureClassifier,
    generate: Callable,
    states: Sequence[State],
    latent: int,
    conditional: bool,
) -> dict[str, Any]:
    """What the classifier says of each seed's images, as `samples/...`; what does not look like success is a warning.

    Args:
      run: the run; its result is told of the classifier.
      classifier: of its data.
      generate: `generate(params, extra, latent [B, Z]) -> images`, with the labels `[B]` behind if it is conditional.
      states: `inference(state)` of each seed.
      latent: Z.
      conditional: whether images are asked for by the classes of the test set.

    Returns:
      Metrics for `Run.finish`; NaN for a seed whose images are not finite, and nothing if there is no other.
    """
    run.metadata["feature_classifier"] = {
        **{
            "accuracy": classifier.accuracy,
            "sha256": classifier.sha256,
            "data_sha256": classifier.train.sha256,
        },
        "environment": classifier.environment,
    }
    found: list[dict[str, float]] = []
    truth = np.asarray(classifier.test["label"])
    labels = (truth,) if conditional else ()
    real = scores.coverage(truth, classifier.test.classes or 0)[0]
    for seed, state in zip(run.seeds, states, strict=True):
        drawn = tasks.predict_batched(
            generate, state, latent_noise(seed, latent, classifier.test.size), *labels
        )
        if np.isfinite(drawn).all():
            found.append(sample_metrics(classifier, drawn, *labels))
            wrong = collapse_warnings(found[-1], real)
        else:
            found.append({})
            wrong = ["drawn images are not finite"]
        for said in wrong:
            run.warn(f"seed {seed}: {said}")
    names = {name: None for one in found for name in one}  # in their order
    each = {f"samples/{name}": np.array([one.get(name, np.nan) for one in found]) for name in names}
    return {name: values if run.key.ndim else values[0] for name, values in each.items()}
