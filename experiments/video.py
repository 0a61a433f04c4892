"""Classification of short clips of moving digits, whose label no single frame shows.

    python experiments/video.py
    python experiments/video.py --question count

A CNN on one frame is compared with the same network followed by a recurrent one. The label is the
direction in which the digit moves, or the number of different digits in the clip.

Test accuracy on 800 clips, on two cores of an AMD EPYC, recurrent and with one frame:
direction 100.00 % in 14 s and 25.05 %, which is chance; count, with --epochs 20, 37.6 % in 28 s
and 26.0 %. For `count` the 4,000 training clips are memorized.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import numpy as np

from jaxdl import data, plots, tasks
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.models import CNN, SequenceNet, Stage
from jaxdl.nn import RNN, TimeDistributed
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.evaluation import (
    classification_metrics,
    draw_calibration_and_roc,
    predict_set,
)
from jaxdl.recipes.fitting import split_sets
from jaxdl.runs import Options, Run, RunOptions, launch, read_array, run_variants

NETWORKS = ("frames", "recurrent")

#: Names of the networks in pictures.
NAMES = {"frames": "single frames", "recurrent": "recurrent"}

#: Titles of the pictures by question.
QUESTIONS = {"direction": "direction of the motion", "count": "number of different digits"}


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
    if config.networks[0] == "frames":
        return CNN(
            stages, (config.features,), 4, dropout=config.dropout, dtype=config.training.dtype
        )
    body = RNN("gru", config.features, return_sequences=False, dtype=config.training.dtype)
    frame = TimeDistributed(CNN(stages, (), config.features, dtype=config.training.dtype))
    return SequenceNet(frame, body, 4, dropout=config.dropout)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests one network, for all seeds in one run."""
    config = run.config
    train, test = data.moving_digits(config.question, config.clips, config.frames)
    sets = split_sets(config.run, train, test)
    if config.networks[0] == "frames":
        sets = {part: data.single_frames(clips) for part, clips in sets.items()}
    model = network(config)
    task = tasks.classify(model)
    state, metrics = fit_and_test(run, config.training, model, task, sets)

    predictions = predict_set(run, task, state, sets["test"], 100)
    metrics = metrics | classification_metrics(run, task, state, sets, predictions, 100)
    # The network on one frame predicts each frame; its prediction for a clip is the mean of these.
    answers = predictions[0].reshape(len(test), -1, 4).mean(1).argmax(1)
    label = np.asarray(test["label"])
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(label, answers, 4, run.figure("confusion"), test.class_names)
    draw_calibration_and_roc(run, sets["test"], predictions[0], metrics)
    np.save(run.sample("answers.npy"), answers.astype(np.int32))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Trains every network, and writes six clips with the predictions of each."""
    variants = {name: {"networks": (name,)} for name in config.networks}
    out, results = run_variants(config, variants, train_and_test)
    if len(results) < len(config.networks):
        return results
    _, test = data.moving_digits(config.question, config.clips, config.frames)
    clips = np.asarray(test["input"])[:6]
    answers = {NAMES[name]: read_array(out / name / "samples" / "answers.npy") for name in results}
    names = data.video.CLASS_NAMES[config.question]
    label = np.asarray(test["label"])
    shares = [f"{name} {100 * np.mean(each == label):.1f} %" for name, each in answers.items()]
    heading = f"{QUESTIONS[config.question]}, correct in {len(label):,} clips: {', '.join(shares)}"
    titles = plots.prediction_titles(names, label[:6], answers)
    picture = plots.film(clips, titles, out / "clips.png", heading, "frame")
    print(f"\npicture  {picture}")
    print(f"picture  {plots.film_gif(clips, titles, out / 'clips.gif', heading)}")
    return results


if __name__ == "__main__":
    launch(main, Config)
