"""A recurrent language model that continues a text by characters or by words.

    python experiments/text_generation.py
    python experiments/text_generation.py --data sherlock.txt
    python experiments/text_generation.py --data sherlock.txt --by word --vocabulary 8000 \\
        --embedding 128
    python experiments/text_generation.py --data sherlock.txt --length 40 --stride 3 --epochs 10

All results are measured on the last tenth of the text, which is the test set. The Adventures of
Sherlock Holmes with `--epochs 30`: 1.890 bits per character in 246 s, on two cores of an AMD EPYC
while other work shared the machine. A sample after 4 epochs is "I was ear of the door in the had
somether against his hand". After 30 epochs it is "there was a soft or tobacco. I should be all
asleep and down the office". In `units.png` one unit is active inside quotations, and its forget
gate resets it at each quotation mark and nowhere else.

With `--features 256 --dropout 0.35 --epochs 25 --ema 0.998 --learning-rate 1e-2`: 1.846 bits per
character in 785 s. In that network another unit counts the characters of the line.

Tiny Shakespeare, nats per character. Units are `--features`, the rate is `--learning-rate`, and
the decay is `--weight-decay`:

    units  epochs  rate  dropout  optimizer  decay  further options              nats
    256    12      5e-3  0.2      adamw      0.1                                 1.422
    256    12      1e-2  0.1      adam                                           1.462
    256    12      1e-2  0.3      adam                                           1.450
    256    12      1e-2  0.3      adam              --variational                1.454
    256    25      1e-2  0.4      adam              averaged weights             1.449
    256    20      5e-3  0.3      adamw      0.15   --ema 0.998                  1.4225
    384    12      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.385, 1,340 s
    384    15      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.382
    320    12      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.414, 1,091 s

More dropout does not replace weight decay. The row with 1.4225 shows that 256 units are too few.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jax.nn.initializers import normal

from jaxdl import data, plots, tasks
from jaxdl.data.vocabulary import UNKNOWN
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import Embedding
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.sequences import sequence_body
from jaxdl.recipes.texts import text_sampler
from jaxdl.recipes.units import unit_heatmap
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class TextOptions(RunOptions):
    """Options of a run on a text."""

    data: str = "english"
    """english (always available), tiny_shakespeare (TFDS), or a text file, which may end in .gz."""
    batch_size: int = 32
    """Windows per step."""
    validation: float = 0.0
    """Fraction of the training text that is the validation set, from its end; 0 means none."""


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the language model."""

    run: TextOptions = TextOptions(epochs=20.0)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-2, schedule="one_cycle", clip=1.0)

    by: Literal["character", "word"] = "character"
    """Unit of text that is one token."""
    vocabulary: int | None = None
    """Size of the vocabulary, which has the most frequent tokens; the others are <unk>.
    Default: all."""
    lower: bool = False
    """If True, the text is converted to lower case."""
    test_fraction: float = 0.1
    """Fraction of the text that is the test set, from its end."""
    length: int = 64
    """Steps of a window, through which gradients are propagated."""
    stride: int = 0
    """Tokens between the starts of two windows, which are shuffled. 0 means contiguous windows,
    with the recurrent state carried from each to the next."""
    cell: Literal["simple", "lstm", "gru"] = "lstm"
    """Recurrent cell."""
    features: int = 128
    """Units of each layer."""
    layers: int = 2
    """Number of layers."""
    embedding: int | None = None
    """Dimensions of the token embedding; 0 means one-hot vectors.
    Default: 0 for characters, 128 for words."""
    dropout: float = 0.1
    """Dropout rate of each layer's output, in [0, 1)."""
    variational: bool = False
    """If True, all steps of a window share one dropout mask."""
    temperature: float = 0.7
    """Temperature of the samples: below 1 favours likely tokens, 0 selects the most likely one."""
    top_k: int = 0
    """Number of the most likely tokens that samples are taken from; 0 means all."""
    top_p: float = 1.0
    """Total probability of the most likely tokens that samples are taken from; 1 means all."""
    prompt: str | None = None
    """Text that the samples continue; default: the end of the training text."""
    sample_length: int = 400
    """Tokens of a sample."""

    default_cpu_devices: ClassVar[int] = 2

    def validate(self) -> Self:
        for name in ("length", "features", "layers", "sample_length"):
            at_least(name, getattr(self, name), 1)
        at_least("stride", self.stride, 0)
        if self.embedding is None:
            embedding = {"character": 0, "word": 128}[self.by]
            return dataclasses.replace(self, embedding=embedding).validate()
        at_least("embedding", self.embedding, 0)
        if self.vocabulary is not None:
            at_least("vocabulary", self.vocabulary, 3)
        in_range("dropout", self.dropout, 0, 1)
        if self.prompt == "":
            raise InputError("prompt", self.prompt, "at least one character")
        if self.training.accumulate > 1 and not self.stride:
            raise InputError(
                "accumulate",
                self.training.accumulate,
                "1 if the recurrent state is carried; --stride trains on shuffled windows instead",
            )
        tasks.check_filters(self.temperature, self.top_k, self.top_p)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(
            super().for_smoke(), length=min(self.length, 16), features=16, sample_length=40
        )


def load_text(config: Config) -> data.TextSets:
    """Reads, splits and encodes the text."""
    return data.text_sets(
        data.read_text(config.run.data, config.run.data_dir, config.run.cache_dir),
        config.by,
        config.vocabulary,
        config.lower,
        length=config.length,
        stride=config.stride,
        test_fraction=config.test_fraction,
        validation=config.run.validation,
        name=Path(config.run.data).stem,
    )


def network(config: Config, vocabulary: int) -> SequenceNet:
    """Returns the network that the options describe."""
    embed: Any = OneHot(vocabulary)
    if config.embedding:
        embed = Embedding(vocabulary, config.embedding, embedding_init=normal(1.0))
    body = sequence_body(
        config.cell,
        config.features,
        config.layers,
        dropout=config.dropout,
        variational=config.variational,
        dtype=config.training.dtype,
        kernel_init="glorot_uniform" if config.embedding else normal(0.5),
    )
    return SequenceNet(embed, body, vocabulary, dropout=config.dropout)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests the network, with samples at every validation, and writes the pictures."""
    config = run.config
    text = load_text(config)
    model = network(config, len(text.vocabulary))
    task = tasks.language(model, carried=not config.stride)
    write_sample = text_sampler(
        run,
        task.generate,
        text.vocabulary,
        text.train,
        config.prompt,
        length=config.sample_length,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
    )
    state, metrics = fit_and_test(
        run, config.training, model, task, text.sets, on_validation=write_sample
    )
    text.vocabulary.save(run.out / "vocabulary.json")
    metrics["test/perplexity"] = np.exp(metrics["test/loss"])
    metrics["test/unknown"] = run.per_seed((text.test_ids == UNKNOWN).mean())
    plots.learning_curves(run.records(), run.figure("curves"))
    state_shown = run.first_seed(state)
    unit_heatmap(model, state_shown, text.vocabulary, text.test_ids, run.figure("units"))
    return run.finish(state, metrics, **text.sets)


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
