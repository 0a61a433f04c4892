"""A classifier of drawn images: a classifier trained once on real ones, and what these get from it."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding
from jaxtyping import Float, Int

from jaxdl import scores, tasks
from jaxdl.core import State, inference
from jaxdl.data.cache import cache_root
from jaxdl.data.dataset import Dataset
from jaxdl.data.files import path_of
from jaxdl.errors import InputError, RunError
from jaxdl.experiment.classification import ClassificationOptions, run_classification
from jaxdl.experiment.directory import read_json, read_result
from jaxdl.experiment.options import Options, directory_key, from_json
from jaxdl.experiment.run import Run, run_experiment
from jaxdl.models import CNN, Stage
from jaxdl.rng import root
from jaxdl.training import Directory, state_sha256

Images = Float[np.ndarray, "N H W C"]

#: Images that distances between pixels are measured for, and that are drawn for the other numbers, at most.
NEAREST = 1_000
DRAWN = 10_000


@dataclasses.dataclass(frozen=True)
class FeatureClassifierOptions(ClassificationOptions):
    """Options of the classifier."""

    optimizer: str = "adamw"
    """sgd, momentum, nesterov, rmsprop, adagrad, adadelta, adam, adamw, nadam, lion, muon, schedule_free."""
    learning_rate: float = 3e-3
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    weight_decay: float = 0.05
    """Pulls kernels to zero: decoupled for adamw, lion, muon and schedule_free, else L2."""
    strategy: Literal["auto", "single", "sharded", "fsdp", "pmap"] = "single"
    """Where steps run; auto: sharded over all devices."""
    steps: int | None = 800
    """Updates; instead of --epochs."""
    validation: float = 0.0
    """Share of the training set kept for validation; 0: none."""

    seeds_share_cores: ClassVar[bool] = False

    def default_out(self, name: str) -> Path:
        """With the options of a classifier it is the one of its data set, which is kept in the cache."""
        mine = directory_key(self) == directory_key(FeatureClassifierOptions(self.data).validate())
        return default_directory(self) if mine else super().default_out(name)


class FeatureClassifier(NamedTuple):
    """A frozen classifier.

    Attributes:
      look: images `[N, H, W, C]` to features `[N, D]`, what the last hidden layer says before its norm, and
        labels `[N]`.
      accuracy: of its test set, in [0, 1].
      sha256: of its state.
      train: the set that it was trained on.
      test: the one that it has not seen; `DRAWN` images of it at most.
      known: the features of the training set.
      real: those of the test set.
      floor: what real images get, see `judged`.
      environment: where it was trained.
    """

    look: Callable[[Images], tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]]
    accuracy: float
    sha256: str
    train: Dataset
    test: Dataset
    known: Float[np.ndarray, "N D"]
    real: Float[np.ndarray, "N D"]
    floor: dict[str, float]
    environment: dict[str, Any]


def network(options: FeatureClassifierOptions, classes: int) -> CNN:
    """The classifier's network."""
    stages = Stage(32), Stage(64), Stage(64, pool=None)
    return CNN(stages, (128,), classes, dropout=0.3, norm="batch", dtype=options.dtype)


def train_feature_classifier(config: FeatureClassifierOptions) -> dict[str, Any]:
    """Trains a classifier."""

    def one(run: Run[FeatureClassifierOptions]) -> dict[str, Any]:
        kernel = lambda params, shape: np.asarray(params["conv_0"]["kernel"])  # noqa: E731
        return run_classification(run, lambda classes: network(config, classes), kernel)

    return run_experiment(config, one)


def default_directory(config: Options) -> Path:
    """Where the classifier of a data set is kept.

    Example:
      >>> default_directory(Options(data="mnist", cache_dir="/tmp/cache")).as_posix()
      '/tmp/cache/feature_classifiers/mnist'
    """
    name = config.data.replace("/", "-")
    if config.data.endswith(".npz"):
        place = str(Path(config.data).expanduser().resolve())
        name = f"{Path(config.data).stem}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    return cache_root(config.cache_dir) / "feature_classifiers" / name


def load_classifier(config: Any, train: Dataset, test: Dataset) -> FeatureClassifier:
    """The classifier of the data of a run.

    Args:
      config: the run's options; `classifier` is the directory of a finished run of `experiments/feature_classifier.py`, or None: the one
        in the cache, which is trained now if it is not there.
      train: the whole training set.
      test: the test set.

    Returns:
      The classifier.

    Raises:
      InputError: no finished run of a classifier there, or one of other data.
      RunError: its files are not those that were written.
    """
    place = (
        path_of(config.feature_classifier, "feature_classifier")
        if config.feature_classifier
        else default_directory(config)
    )
    if not config.feature_classifier and not (place / "result.json").exists():
        print(f"a classifier of {config.data} is not in the cache yet; training it, once")
        train_feature_classifier(
            FeatureClassifierOptions(config.data, config.data_dir, config.cache_dir).validate()
        )
    result, options = _finished(place, config.data)
    theirs = result["data"]["train"]
    if theirs["sha256"] != train.sha256:
        said = f"a classifier of {train.name} {train.sha256[:12]}; this one is of {theirs['name']} {theirs['sha256']!s:.12}"
        raise InputError("feature_classifier", str(place), said)
    classes = train.classes or 0
    state = inference(_restored(place, options, classes, train, result))
    net = network(options, classes)

    def look(params: Any, extra: Any, x: Any) -> Any:
        def wanted(module: Any, _: str) -> bool:
            return module.name == "dense_0"

        logits, seen = net.apply(
            {"params": params, **extra},
            x,
            train=False,
            capture_intermediates=wanted,
            mutable=["intermediates"],
        )
        features = jax.tree.leaves(seen["intermediates"])[0].astype(jnp.float32)
        return jnp.concatenate([features, logits], -1)

    def looked(images: Images) -> tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]:
        found = tasks.predict_batched(look, state, np.asarray(images))
        return found[:, :-classes], found[:, -classes:].argmax(1).astype(np.int32)

    some = spread_rows(test.size, DRAWN)
    test = Dataset(
        {name: np.asarray(x)[some] for name, x in test.arrays.items()}, test.name, test.classes
    )
    known, real = (looked(np.asarray(part["input"]))[0] for part in (train, test))
    precision, recall = scores.precision_recall(real, known[spread_rows(len(known), len(real))])
    floor = {
        "fid_classifier_floor": scores.frechet_distance(known, real),
        "precision_floor": precision,
        "recall_floor": recall,
        "nearest_test": nearest_of(np.asarray(test["input"]), train),
    }
    accuracy = result["metrics"]["test/accuracy"]
    sha256 = result["state_sha256"]
    return FeatureClassifier(
        looked, accuracy, sha256, train, test, known, real, floor, result["environment"]
    )


def spread_rows(size: int, most: int) -> Int[np.ndarray, " N"]:
    """At most so many rows of a set, from all over it.

    Example:
      >>> spread_rows(10, 4).tolist(), spread_rows(3, 4).tolist()
      ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, size - 1, min(size, most)).round().astype(int)


def nearest_of(images: Images, train: Dataset) -> float:
    """The mean Euclidean distance from some images to the nearest training image, as vectors of pixels."""
    some, known = (
        x.reshape(len(x), -1)
        for x in (images[spread_rows(len(images), NEAREST)], np.asarray(train["input"]))
    )
    return float(scores.nearest(some, known)[0].mean())


def _finished(place: Path, data: str) -> tuple[dict[str, Any], FeatureClassifierOptions]:
    """The result of a classifier's run and its options."""
    if (place / "result.json").exists():
        result = read_result(place / "result.json")
        options = from_json(FeatureClassifierOptions, read_json(place / "config.json"))
        whole = "train" in result["data"] and "test/accuracy" in result["metrics"]
        whole = whole and {"state_sha256", "environment"} <= result.keys()
        if (
            result.get("experiment") == "feature_classifier"
            and "seeds" not in result
            and whole
            and options is not None
        ):
            return result, options.validate()
    raise InputError(
        "feature_classifier",
        str(place),
        f"the directory of a finished run of python experiments/feature_classifier.py --data {data}",
    )


def _restored(
    place: Path, options: FeatureClassifierOptions, classes: int, train: Dataset, result: Any
) -> State:
    net = options.make_learner(tasks.classify(network(options, classes)), train.size)
    batch = {name: x[:1] for name, x in train.arrays.items()}
    here = SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
        jax.eval_shape(net.init, root(0), batch),
    )
    restored = Directory(place / "checkpoints").restore(wanted)
    if restored is None or state_sha256(jax.device_get(restored[0])) != result["state_sha256"]:
        raise RunError(
            f"classifier: {place} does not hold the state that its result.json names; remove it and train again"
        )
    return restored[0]
