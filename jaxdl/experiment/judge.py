"""A judge of drawn images: a classifier trained once on real ones, and what it says of the drawn."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding
from jaxtyping import Float, Int

from jaxdl import scores, tasks
from jaxdl.core import State, inference
from jaxdl.data.cache import cache_root
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, RunError
from jaxdl.experiment.classification import Classification, classification
from jaxdl.experiment.directory import read_json
from jaxdl.experiment.options import Options
from jaxdl.experiment.run import Run, repeat
from jaxdl.models import CNN, Stage
from jaxdl.rng import root, stream
from jaxdl.training import Directory, state_sha256

Images = Float[np.ndarray, "N H W C"]

#: Images that distances between pixels are measured for, and that are drawn for the other numbers, at most.
NEAREST, DRAWN = 1_000, 10_000


@dataclasses.dataclass(frozen=True)
class Judging(Classification):
    """Options of the judge."""

    optimizer: str = "adamw"
    """sgd, momentum, nesterov, rmsprop, adagrad, adadelta, adam, adamw, nadam, lion, muon, schedule_free."""
    learning_rate: float = 3e-3
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    weight_decay: float = 0.05
    """Pulls kernels to zero: decoupled for adamw, lion, muon and schedule_free, else L2."""
    steps: int | None = 800
    """Updates; instead of --epochs."""
    validation: float = 0.0
    """Share of the training set kept for validation; 0: none."""

    divides_cores: ClassVar[bool] = False


class Judge(NamedTuple):
    """A frozen classifier.

    Attributes:
      look: images `[N, H, W, C]` to features `[N, D]`, what the last hidden layer says before its activation, and
        labels `[N]`.
      accuracy: of its test set, in [0, 1].
      sha256: of its state.
      data: the SHA-256 of the set that it was trained on.
      train: that set.
      test: the one that it has not seen; `DRAWN` images of it at most.
      known: the features of the training set.
      real: those of the test set.
    """

    look: Callable[[Images], tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]]
    accuracy: float
    sha256: str
    data: str
    train: Dataset
    test: Dataset
    known: Float[np.ndarray, "N D"]
    real: Float[np.ndarray, "N D"]


def network(classes: int) -> CNN:
    """The judge's network."""
    return CNN((Stage(32), Stage(64), Stage(64, pool=None)), (128,), classes, dropout=0.3, norm="batch")


def main(config: Judging) -> dict[str, Any]:
    """Trains the judge of a data set; it is kept in the cache, unless `out` says another place."""
    config = config if config.out else dataclasses.replace(config, out=str(home(config)))

    def one(run: Run[Judging]) -> dict[str, Any]:
        return classification(run, network, lambda params, shape: np.asarray(params["conv_0"]["kernel"]))

    return repeat(config, one)


def home(config: Options) -> Path:
    """Where the judge of a data set is kept.

    Example:
      >>> home(Options(data="mnist", cache_dir="/tmp/cache")).as_posix()
      '/tmp/cache/judges/mnist'
    """
    data = Path(config.data).stem if config.data.endswith(".npz") else config.data.replace("/", "-")
    return cache_root(config.cache_dir) / "judges" / data


def judge_of(config: Any, train: Dataset, test: Dataset) -> Judge:
    """The judge of the data of a run.

    Args:
      config: the run's options; `judge` is the directory of a finished run of `experiments/judge.py`, or None: the one
        in the cache, which is trained now if it is not there.
      train: the whole training set.
      test: the test set.

    Returns:
      The judge.

    Raises:
      InputError: no finished run there, or one of other data.
      RunError: its files are not those that were written.
    """
    place = Path(config.judge) if config.judge else home(config)
    if not config.judge and not (place / "result.json").exists():
        print(f"a judge of {config.data} is not in the cache yet; training it, once")
        main(Judging(config.data, config.data_dir, config.cache_dir, strategy="single", cpu_devices=1).checked())
    if not (place / "result.json").exists():
        command = f"python experiments/judge.py --data {config.data}"
        raise InputError("judge", str(place), f"the directory of a finished run of {command}")
    result, options = read_json(place / "result.json"), read_json(place / "config.json")
    theirs = result["data"]["train"]
    if theirs["sha256"] != train.sha256:
        said = f"a judge of {train.name} {train.sha256[:12]}; this one is of {theirs['name']} {theirs['sha256'][:12]}"
        raise InputError("judge", str(place), said)
    classes = train.classes or 0
    state = inference(_restored(place, Judging(**options), classes, train, result))
    net = network(classes)

    def look(params: Any, extra: Any, x: Any) -> Any:
        def wanted(module: Any, _: str) -> bool:
            return module.name == "dense_0"

        logits, seen = net.apply(
            {"params": params, **extra}, x, train=False, capture_intermediates=wanted, mutable=["intermediates"]
        )
        features = jax.tree.leaves(seen["intermediates"])[0]
        return jnp.concatenate([features, logits], -1)

    def looked(images: Images) -> tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]:
        found = tasks.in_parts(look, state, np.asarray(images))
        return found[:, :-classes], found[:, -classes:].argmax(1).astype(np.int32)

    test = Dataset({name: x[:DRAWN] for name, x in test.arrays.items()}, test.name, test.classes)
    known, real = (looked(np.asarray(part["input"]))[0] for part in (train, test))
    about = result["metrics"]["test/accuracy"], result["state_sha256"], theirs["sha256"]
    return Judge(looked, *about, train, test, known, real)


def _restored(place: Path, options: Judging, classes: int, train: Dataset, result: Any) -> State:
    net = options.make_learner(tasks.classify(network(classes)), train.size)
    batch = {name: x[:1] for name, x in train.arrays.items()}
    here = SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), jax.eval_shape(net.init, root(0), batch)
    )
    restored = Directory(place / "checkpoints").restore(wanted)
    if restored is None or state_sha256(jax.device_get(restored[0])) != result["state_sha256"]:
        raise RunError(f"judge: {place} does not hold the state that its result.json names; remove it and train again")
    return restored[0]


def judged(judge: Judge, drawn: Images, label: Int[np.ndarray, " N"] | None = None) -> dict[str, float]:
    """Numbers for drawn images: how near they are to the real ones, and how many kinds of them there are.

    Args:
      judge: of the same data.
      drawn: `[N, H, W, C]`, N the size of the judge's test set: a Fréchet distance depends on the number of images.
      label: `[N]`, the class that each drawn image was asked to show; None: none.

    Returns:
      `frechet`: the Fréchet distance between the features of drawn and training images, `frechet_floor`: that of test
      images; `precision`, `recall`: `jaxdl.scores.precision_recall` against the test images; `classes`, `entropy`:
      `jaxdl.scores.coverage`; `agreement`: the share of images that show the class asked for; `nearest`: the mean
      distance in pixels to the nearest training image, `nearest_test`: that of test images.
    """
    here, seen = judge.look(drawn)
    classes, entropy = scores.coverage(seen, judge.test.classes or 0)
    precision, recall = scores.precision_recall(judge.real, here)
    pixels, real, known = (_rows(x) for x in (drawn[:NEAREST], judge.test["input"][:NEAREST], judge.train["input"]))
    return {
        "frechet": scores.frechet_distance(judge.known, here),
        "frechet_floor": scores.frechet_distance(judge.known, judge.real),
        "precision": precision,
        "recall": recall,
        "classes": float(classes),
        "entropy": entropy,
        **({} if label is None else {"agreement": float((seen == label).mean())}),
        "nearest": float(scores.nearest(pixels, known)[0].mean()),
        "nearest_test": float(scores.nearest(real, known)[0].mean()),
    }


def collapse(found: Mapping[str, float], classes: int) -> list[str]:
    """What is wrong with drawn images by their numbers, one line each; none where they are fit to be seen.

    Args:
      found: of `judged`.
      classes: of the data.

    Example:
      >>> collapse({"classes": 1.0, "entropy": 0.0, "precision": 0.9, "recall": 0.0}, 10)
      ['drawn images show 1 of 10 classes', 'drawn images cover 0 % of the real ones']
    """
    said = []
    if found["classes"] < classes:
        said.append(f"drawn images show {found['classes']:.0f} of {classes} classes")
    if found["precision"] < 0.1:
        said.append(f"of drawn images {100 * found['precision']:.0f} % look real")
    if found["recall"] < 0.05:
        said.append(f"drawn images cover {100 * found['recall']:.0f} % of the real ones")
    return said


def noise(seed: int, latent: int, n: int) -> np.ndarray:
    """What the drawn images of a run are made of, `[n, latent]`.

    Example:
      >>> noise(0, 8, 3).shape
      (3, 8)
    """
    return np.asarray(jax.random.normal(stream(root(seed), "sample"), (n, latent)))


def numbers(
    run: Run[Any], judge: Judge, generate: Callable, states: Sequence[State], latent: int, conditional: bool
) -> dict[str, Any]:
    """What the judge says of each seed's images, as `drawn/...`; what does not look like success is a warning.

    Args:
      run: the run; its result is told of the judge.
      judge: of its data.
      generate: `generate(params, extra, latent [B, Z]) -> images`, with the labels `[B]` behind if it is conditional.
      states: `inference(state)` of each seed.
      latent: Z.
      conditional: whether images are asked for by the classes of the test set.

    Returns:
      Metrics for `Run.finish`.
    """
    run.about["judge"] = {"accuracy": judge.accuracy, "sha256": judge.sha256, "data_sha256": judge.data}
    labels, found = (np.asarray(judge.test["label"]),) if conditional else (), []
    for seed, state in zip(run.seeds, states, strict=True):
        drawn = tasks.in_parts(generate, state, noise(seed, latent, judge.test.size), *labels)
        found.append(judged(judge, drawn, *labels))
        for said in collapse(found[-1], judge.test.classes or 0):
            run.warn(f"seed {seed}: {said}")
    each = {f"drawn/{name}": np.array([one[name] for one in found]) for name in found[0]}
    return {name: values if run.key.ndim else values[0] for name, values in each.items()}


def _rows(images: Any) -> Float[np.ndarray, "N D"]:
    return np.asarray(images).reshape(len(images), -1)
