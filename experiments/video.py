"""Moving digits: a question that no single frame answers.

    python experiments/video.py
    python experiments/video.py --question count

A convolutional network that sees one frame alone, against the same network with a recurrent one behind it.
`direction`: which way does the digit go? `count`: how many different digits came by?

Which way, two cores of an AMD EPYC: with a memory 100.00 % of 800 films in 14 s, one frame alone 25.05 %, which is
chance. How many, with 20 epochs: 37.6 % in 28 s and 26.0 %; 4,000 films are learned by heart.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import numpy as np

from jaxdl import data, plots, tasks
from jaxdl.core import inference
from jaxdl.data import Dataset
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.experiment import Run, TrainingOptions, fit_and_test, launch, read_array, run_variants
from jaxdl.models import CNN, SequenceNet, Stage
from jaxdl.nn import RNN, TimeDistributed
from jaxdl.rng import root

ANSWERS = {"direction": ("left", "right", "up", "down"), "count": ("1", "2", "3", "4")}


@dataclasses.dataclass(frozen=True)
class Config(TrainingOptions):
    """Options of the film watcher."""

    data: str = "generated"
    """Films are made of scikit-learn's digits; there is no other set."""
    question: Literal["direction", "count"] = "direction"
    """Which way does the digit go, or how many different ones came by."""
    networks: tuple[str, ...] = ("frames", "recurrent")
    """frames: one frame alone; recurrent: with a memory."""
    films: int = 4_000
    """To learn from; a fifth as many to test on."""
    frames: int = 8
    """Of a film."""
    features: int = 64
    """What the convolutional network says of a frame, and units of the recurrent one."""
    dropout: float = 0.0
    """Share of the last layer's input that training drops, in [0, 1)."""
    batch_size: int = 32
    """Films per step."""
    epochs: float = 10.0
    """Passes over the training set."""
    learning_rate: float = 2e-3
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        one_of("data", self.data, ["generated"])
        if not self.networks:
            raise InputError("networks", self.networks, "at least one")
        for name in self.networks:
            one_of("networks", name, ("frames", "recurrent"))
        at_least("features", self.features, 1)
        in_range("dropout", self.dropout, 0, 1)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), films=min(self.films, 200), features=8)


def network(config: Config) -> CNN | SequenceNet:
    """The one of the name that stands first in `networks`."""
    stages = (Stage(16), Stage(32))
    if config.networks[0] == "frames":
        return CNN(stages, (config.features,), 4, dropout=config.dropout, dtype=config.dtype)
    body = RNN("gru", config.features, return_sequences=False, dtype=config.dtype)
    frame = TimeDistributed(CNN(stages, (), config.features, dtype=config.dtype))
    return SequenceNet(frame, body, 4, dropout=config.dropout)


def as_frames(films: Dataset) -> Dataset:
    """Every frame an image `[N T, H, W, 1]` with the label of its film."""
    clips = np.asarray(films["input"])
    label = np.asarray(films["label"])
    arrays = {
        "input": clips.reshape(-1, *clips.shape[2:]),
        "label": np.repeat(label, clips.shape[1]),
    }
    return Dataset(arrays, films.name, films.classes)


def one(run: Run[Config]) -> dict[str, Any]:
    """One network, all seeds at once."""
    config = run.config
    train, test = data.moving_digits(config.question, config.films, config.frames)
    sets = {"train": train, "test": test}
    if config.validation:
        sets["train"], sets["validation"] = data.split(train, root(0), config.validation)
    alone = config.networks[0] == "frames"
    sets = {part: as_frames(films) for part, films in sets.items()} if alone else sets
    model = network(config)
    task = tasks.classify(model)
    state, metrics = fit_and_test(run, model, task, sets)
    p = tasks.predict_batched(
        task.predict,
        inference(run.first_seed(state)),
        np.asarray(sets["test"]["input"]),
        batch_size=100,
    )
    p = p.reshape(len(test), -1, 4).mean(
        1
    )  # of a film that was seen frame by frame what they say together
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(np.asarray(test["label"]), p.argmax(1), 4, run.figure("confusion"))
    np.save(run.sample("answers.npy"), p.argmax(1).astype(np.int32))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Every network, and a film with what each says."""
    out, results = run_variants(
        config, {name: {"networks": (name,)} for name in config.networks}, one
    )
    if len(results) < len(config.networks):
        return results
    _, test = data.moving_digits(config.question, config.films, config.frames)
    shown = slice(6)
    names = ANSWERS[config.question]
    said = {name: read_array(out / name / "samples" / "answers.npy") for name in config.networks}
    titles = [
        f"{names[label]}: "
        + ", ".join(f"{network} says {names[answers[i]]}" for network, answers in said.items())
        for i, label in enumerate(np.asarray(test["label"])[shown])
    ]
    clips = np.asarray(test["input"])[shown]
    print(f"\npicture  {plots.film(clips, titles, out / 'film.png')}")
    print(f"picture  {plots.film_gif(clips, titles, out / 'film.gif')}")
    return results


if __name__ == "__main__":
    launch(main, Config)
