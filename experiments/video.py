"""Classification of short clips of moving digits, whose label no single frame shows.

    python experiments/video.py
    python experiments/video.py --question count

A convolutional network whose input is one frame is compared with the same network followed by a
recurrent one. `--question direction` asks for the direction in which the digit moves, `--question
count` for the number of different digits in the clip.

Test accuracy on 800 clips, measured on two cores of an AMD EPYC. The first number of each pair is
of the recurrent network, the second of the network on one frame:

    direction                   100.00 % in 14 s    25.05 %, which is chance
    count, with --epochs 20      37.6 % in 28 s     26.0 %

For `count` the 4,000 training clips are memorized.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import numpy as np

from jaxdl import bind, data, plots, predict_batched, tasks
from jaxdl.data import Dataset
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.models import CNN, SequenceNet, Stage
from jaxdl.nn import RNN, TimeDistributed
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.rng import root
from jaxdl.runs import Options, Run, RunOptions, launch, read_array, run_variants

#: Names of the labels, by question.
ANSWERS = {"direction": ("left", "right", "up", "down"), "count": ("1", "2", "3", "4")}

NETWORKS = ("frames", "recurrent")

#: Number of clips in the picture.
SHOWN = 6


@dataclasses.dataclass(frozen=True)
class ClipOptions(RunOptions):
    """Options of a run on generated clips."""

    data: str = "generated"
    """Clips are generated from scikit-learn's digits; there is no other set."""
    batch_size: int = 32
    """Clips per step, or frames for the network on one frame."""


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the clip classifier."""

    run: ClipOptions = ClipOptions()
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3, schedule="one_cycle")

    question: Literal["direction", "count"] = "direction"
    """direction: the direction of the motion; count: the number of different digits."""
    networks: tuple[str, ...] = NETWORKS
    """Networks to compare. frames: a CNN on one frame; recurrent: a CNN and a recurrent network."""
    clips: int = 4_000
    """Number of training clips; the test set has a fifth of it."""
    frames: int = 8
    """Frames of a clip."""
    features: int = 64
    """Outputs of the CNN for each frame, and units of the recurrent network."""
    dropout: float = 0.0
    """Dropout rate of the last layer's input, in [0, 1)."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        one_of("data", self.run.data, ["generated"])
        if not self.networks:
            raise InputError("networks", self.networks, "at least one")
        for name in self.networks:
            one_of("networks", name, NETWORKS)
        at_least("features", self.features, 1)
        in_range("dropout", self.dropout, 0, 1)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), clips=min(self.clips, 200), features=8)


def network(config: Config) -> CNN | SequenceNet:
    """Returns the first of the `networks`."""
    stages = (Stage(16), Stage(32))
    dtype = config.training.dtype
    if config.networks[0] == "frames":
        return CNN(stages, (config.features,), 4, dropout=config.dropout, dtype=dtype)
    body = RNN("gru", config.features, return_sequences=False, dtype=dtype)
    frame = TimeDistributed(CNN(stages, (), config.features, dtype=dtype))
    return SequenceNet(frame, body, 4, dropout=config.dropout)


def to_frames(clips: Dataset) -> Dataset:
    """Returns all frames as images `[N T, H, W, 1]`, each with the label of its clip."""
    images = np.asarray(clips["input"])
    label = np.asarray(clips["label"])
    arrays = {
        "input": images.reshape(-1, *images.shape[2:]),
        "label": np.repeat(label, images.shape[1]),
    }
    return Dataset(arrays, clips.name, clips.classes)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests one network, for all seeds in one run."""
    config = run.config
    train, test = data.moving_digits(config.question, config.clips, config.frames)
    sets = {"train": train, "test": test}
    if config.run.validation:
        sets["train"], sets["validation"] = data.split(train, root(0), config.run.validation)
    if config.networks[0] == "frames":
        sets = {part: to_frames(clips) for part, clips in sets.items()}
    model = network(config)
    task = tasks.classify(model)
    state, metrics = fit_and_test(run, config.training, model, task, sets)

    predict = bind(task.predict, run.first_seed(state))
    probabilities = predict_batched(predict, np.asarray(sets["test"]["input"]), batch_size=100)
    # The network on one frame predicts each frame; its prediction for a clip is the mean of these.
    answers = probabilities.reshape(len(test), -1, 4).mean(1).argmax(1)
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(np.asarray(test["label"]), answers, 4, run.figure("confusion"))
    np.save(run.sample("answers.npy"), answers.astype(np.int32))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Trains every network, and writes some clips with the predictions of each."""
    variants = {name: {"networks": (name,)} for name in config.networks}
    out, results = run_variants(config, variants, train_and_test)
    if len(results) < len(config.networks):
        return results
    _, test = data.moving_digits(config.question, config.clips, config.frames)
    clips = np.asarray(test["input"])[:SHOWN]
    label = np.asarray(test["label"])[:SHOWN]
    answers = {
        name: read_array(out / name / "samples" / "answers.npy")[:SHOWN] for name in config.networks
    }
    titles = titles_of(config.question, label, answers)
    print(f"\npicture  {plots.film(clips, titles, out / 'clips.png')}")
    print(f"picture  {plots.film_gif(clips, titles, out / 'clips.gif')}")
    return results


def titles_of(question: str, label: np.ndarray, answers: dict[str, np.ndarray]) -> list[str]:
    """Returns the title of each clip, which has its label and the prediction of each network."""
    names = ANSWERS[question]
    titles = []
    for i, true in enumerate(label):
        predictions = [f"{network} {names[values[i]]}" for network, values in answers.items()]
        titles.append(f"{names[true]}; predictions: {', '.join(predictions)}")
    return titles


if __name__ == "__main__":
    launch(main, Config)
