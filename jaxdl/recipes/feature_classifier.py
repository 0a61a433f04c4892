"""Feature classifier: a classifier of real images whose features score generated ones."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding
from jaxtyping import Float, Int

from jaxdl import scores, tasks
from jaxdl.core import State
from jaxdl.data.cache import cache_root
from jaxdl.data.dataset import Dataset
from jaxdl.data.files import expand_path
from jaxdl.data.loading import file_of
from jaxdl.errors import InputError, RunError
from jaxdl.functions import bind, predict_batched
from jaxdl.models import CNN, Stage
from jaxdl.nn import tap
from jaxdl.recipes.classification import ClassificationOptions, run_classification
from jaxdl.recipes.fitting import TrainingOptions
from jaxdl.rng import root
from jaxdl.runs.directory import read_json, read_result
from jaxdl.runs.options import (
    DeviceOptions,
    Options,
    RunOptions,
    directory_key,
    from_json,
    with_options,
)
from jaxdl.runs.run import Run, run_experiment
from jaxdl.training import Directory, state_sha256

Images = Float[np.ndarray, "N H W C"]
Features = Float[np.ndarray, "N D"]
ClassLabels = Int[np.ndarray, " N"]

#: Largest number of images whose distance to the nearest training image is measured.
NEAREST = 1_000
#: Largest number of test images, and therefore of generated images, for all other scores.
MOST_IMAGES = 10_000


@dataclasses.dataclass(frozen=True)
class FeatureClassifierOptions(Options):
    """Options of the feature classifier."""

    run: RunOptions = RunOptions(steps=800, validation=0.0)
    devices: DeviceOptions = DeviceOptions(strategy="single")
    training: TrainingOptions = TrainingOptions(
        optimizer="adamw", learning_rate=3e-3, schedule="one_cycle", weight_decay=0.05
    )
    classification: ClassificationOptions = ClassificationOptions()

    seeds_share_cores: ClassVar[bool] = False

    def default_out(self, name: str) -> Path:
        """Returns the directory in the cache if the options are the default ones for the data."""
        defaults = with_options(FeatureClassifierOptions(), data=self.run.data).validate()
        if directory_key(self) == directory_key(defaults):
            return default_directory(self.run)
        return super().default_out(name)


class FeatureClassifier(NamedTuple):
    """A trained classifier with the features of real images.

    Attributes:
      features_and_labels: function from images `[N, H, W, C]` to features `[N, D]`, the output of
        the last hidden layer before its norm, and predicted classes `[N]`.
      accuracy: accuracy on the test set, in [0, 1].
      sha256: hash of the classifier's state.
      train: training set of the classifier.
      test: test set, at most `MOST_IMAGES` images of it.
      train_features: features of the training set.
      test_features: features of the test set.
      floor: scores of real images, see `sample_metrics`.
      environment: environment in which the classifier was trained.
    """

    features_and_labels: Callable[[Images], tuple[Features, ClassLabels]]
    accuracy: float
    sha256: str
    train: Dataset
    test: Dataset
    train_features: Features
    test_features: Features
    floor: dict[str, float]
    environment: dict[str, Any]


def network(options: FeatureClassifierOptions, classes: int) -> CNN:
    """Returns the network of the classifier."""
    stages = (Stage(32), Stage(64), Stage(64, pool=None))
    return CNN(stages, (128,), classes, dropout=0.3, norm="batch", dtype=options.training.dtype)


def train_feature_classifier(config: FeatureClassifierOptions) -> dict[str, Any]:
    """Trains a feature classifier and returns the result of its run.

    If another process trains it already, this one waits for the result.
    """

    def experiment(run: Run[FeatureClassifierOptions]) -> dict[str, Any]:
        def kernel(params: Any, shape: tuple) -> np.ndarray:
            return np.asarray(params["conv_0"]["kernel"])

        return run_classification(
            run,
            config.training,
            config.classification,
            lambda classes: network(config, classes),
            kernel,
        )

    doing = f"trains the feature classifier of {config.run.data}"
    return run_experiment(config, experiment, wait_for=doing)


def default_directory(run: RunOptions) -> Path:
    """Returns the directory in the cache for the classifier of a data set.

    Example:
      >>> default_directory(RunOptions(data="mnist", cache_dir="/tmp/cache")).as_posix()
      '/tmp/cache/feature_classifiers/mnist'
    """
    name = run.data.replace("/", "-")
    path, argument = file_of(run.data)
    if path is not None:
        text = str(path.resolve()) + argument
        name = f"{path.stem}-{hashlib.sha256(os.fsencode(text)).hexdigest()[:8]}"
    return cache_root(run.cache_dir) / "feature_classifiers" / name


def classifier_of_classes(
    run: RunOptions, directory: str | None, train: Dataset, test: Dataset
) -> FeatureClassifier | None:
    """Returns the feature classifier of a set with classes, and None for one without.

    Args:
      run: see `load_classifier`.
      directory: see `load_classifier`; None for a set without classes.
      train: whole training set.
      test: test set.

    Raises:
      InputError: a directory for a set without classes; see also `load_classifier`.
    """
    if train.classes is not None:
        return load_classifier(run, directory, train, test)
    if directory:
        raise InputError("feature_classifier", directory, "none for images without classes")
    print("the images have no classes, so no classifier scores the generated ones")
    return None


def load_classifier(
    run: RunOptions, directory: str | None, train: Dataset, test: Dataset
) -> FeatureClassifier:
    """Loads the feature classifier for the data of a run.

    Args:
      run: options of the run.
      directory: directory of a finished run of `experiments/feature_classifier.py`. None means the
        classifier in the cache, which is trained first if it is missing.
      train: whole training set.
      test: test set.

    Returns:
      The classifier.

    Raises:
      InputError: the directory has no finished run of a classifier, or one of other data.
      RunError: a file of the run is damaged.
    """
    out = default_directory(run)
    if directory:
        out = expand_path(directory, "feature_classifier")
    elif not (out / "result.json").exists():
        print(f"the cache has no classifier of {run.data} yet; training it, once per data set")
        options = with_options(
            FeatureClassifierOptions(),
            data=run.data,
            data_dir=run.data_dir,
            cache_dir=run.cache_dir,
        )
        train_feature_classifier(options.validate())
    result, options = _finished(out, run.data)
    stored = result["data"]["train"]
    if stored["sha256"] != train.sha256:
        allowed = (
            f"a classifier of {train.name} {train.sha256[:12]}; "
            f"this one is of {stored['name']} {stored['sha256']!s:.12}"
        )
        raise InputError("feature_classifier", str(out), allowed)
    classes = train.classes or 0
    state = _restored(out, options, classes, train, result)
    features_and_labels = features_and_labels_of(network(options, classes), state, classes)
    rows = spread_rows(test.size, MOST_IMAGES)
    arrays = {name: np.asarray(x)[rows] for name, x in test.arrays.items()}
    test = dataclasses.replace(test, arrays=arrays)
    train_features, _ = features_and_labels(np.asarray(train["input"]))
    test_features, _ = features_and_labels(np.asarray(test["input"]))
    rows = spread_rows(len(train_features), len(test_features))
    precision, recall = scores.precision_recall(test_features, train_features[rows])
    floor = {
        "fid_classifier_floor": scores.frechet_distance(train_features, test_features),
        "precision_floor": precision,
        "recall_floor": recall,
        "nearest_test": nearest_of(np.asarray(test["input"]), train),
    }
    return FeatureClassifier(
        features_and_labels,
        result["metrics"]["test/accuracy"],
        result["state_sha256"],
        train,
        test,
        train_features,
        test_features,
        floor,
        result["environment"],
    )


def features_and_labels_of(
    net: CNN, state: State, classes: int
) -> Callable[[Images], tuple[Features, ClassLabels]]:
    """Returns the function `FeatureClassifier.features_and_labels` of a trained network."""

    def predict(params: Any, extra: Any, x: Any) -> Any:
        f = tap(net, {"params": params, **extra}, "head/dense_0", train=False)
        logits, activations = f(x)
        features = activations["head/dense_0"].astype(jnp.float32)
        return jnp.concatenate([features, logits], -1)

    def features_and_labels(images: Images) -> tuple[Features, ClassLabels]:
        outputs = predict_batched(bind(predict, state), np.asarray(images))
        return outputs[:, :-classes], outputs[:, -classes:].argmax(1).astype(np.int32)

    return features_and_labels


def spread_rows(size: int, most: int) -> Int[np.ndarray, " N"]:
    """Returns at most `most` rows, evenly spaced over a set of `size` rows.

    Example:
      >>> spread_rows(10, 4).tolist(), spread_rows(3, 4).tolist()
      ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, size - 1, min(size, most)).round().astype(int)


def nearest_of(images: Images, train: Dataset) -> float:
    """Returns the mean Euclidean distance of images to the nearest training image, in pixels."""
    some = images[spread_rows(len(images), NEAREST)]
    known = np.asarray(train["input"])
    distances, _ = scores.nearest(some.reshape(len(some), -1), known.reshape(len(known), -1))
    return float(distances[:, 0].mean())


def _finished(out: Path, data: str) -> tuple[dict[str, Any], FeatureClassifierOptions]:
    """Returns the result and the options of a classifier's run; raises if it is not finished."""
    if (out / "result.json").exists():
        result = read_result(out / "result.json")
        options = from_json(FeatureClassifierOptions, read_json(out / "config.json"))
        complete = "train" in result["data"] and "test/accuracy" in result["metrics"]
        complete = complete and {"state_sha256", "environment"} <= result.keys()
        one_seed = "seeds" not in result
        is_classifier = result.get("experiment") == "feature_classifier"
        if is_classifier and one_seed and complete and options is not None:
            return result, options.validate()
    raise InputError(
        "feature_classifier",
        str(out),
        f"the directory of a finished run of jaxdl run feature_classifier --data {data}",
    )


def _restored(
    out: Path, options: FeatureClassifierOptions, classes: int, train: Dataset, result: Any
) -> State:
    """Restores the state of a classifier's run; raises RunError for a wrong hash."""
    optimizer = options.training.make_optimizer(options.run.total_steps(train))
    net = options.training.make_learner(tasks.classify(network(options, classes)), optimizer)
    batch = {name: x[:1] for name, x in train.arrays.items()}
    sharding = SingleDeviceSharding(jax.devices()[0])
    abstract_state = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        jax.eval_shape(net.init, root(0), batch),
    )
    restored = Directory(out / "checkpoints").restore(abstract_state)
    if restored is None or state_sha256(jax.device_get(restored[0])) != result["state_sha256"]:
        raise RunError(
            f"classifier: {out} does not hold the state that its result.json names; "
            "remove it and train again"
        )
    return restored[0]
