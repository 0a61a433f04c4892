"""A recurrent language model that continues a text by characters or by words.

    python experiments/text_generation.py
    python experiments/text_generation.py --data sherlock.txt
    python experiments/text_generation.py --data sherlock.txt --by word --vocabulary 8000 \\
        --embedding 128
    python experiments/text_generation.py --data sherlock.txt --length 40 --stride 3 --epochs 10

All results are measured on the last tenth of the text, which is the test set.

The Adventures of Sherlock Holmes, with `--data sherlock.txt --epochs 30`: 1.890 bits per
character in 246 s, on two cores of an AMD EPYC while other work shared the machine. A sample
after 4 epochs is "I was ear of the door in the had somether against his hand". A sample after 30
epochs is "there was a soft or tobacco. I should be all asleep and down the office".

One of the units is active inside quotations. The heat map `units.png` shows that its forget gate
resets it at each quotation mark and nowhere else.

The same text with the following options: 1.846 bits per character in 785 s. In that network
another unit counts the characters of the line.

    --features 256 --dropout 0.35 --epochs 25 --ema 0.998 --learning-rate 1e-2

Tiny Shakespeare, nats per character. Units are `--features`, the rate is `--learning-rate`, and
the decay is `--weight-decay`:

    units  epochs  rate  dropout  optimizer  decay  further options              nats
    256    12      5e-3  0.2      adamw      0.1                                 1.422
    256    12      1e-2  0.1      adam                                           1.462
    256    12      1e-2  0.3      adam                                           1.450
    256    12      1e-2  0.3      adam              --variational                1.454
    256    25      1e-2  0.4      adam              averaged weights             1.449
    256    20      5e-3  0.3      adamw      0.15   --ema 0.998                  1.4225
    384    12      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.385
    384    15      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.382
    320    12      4e-3  0.3      adamw      0.2    --ema 0.998 --embedding 128  1.414

More dropout does not replace weight decay. The row with 1.4225 shows that 256 units are too few.
The rows with 1.385 and 1.414 took 1,340 s and 1,091 s.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import glorot_uniform, normal

from jaxdl import bind, data, plots, tasks
from jaxdl.core import State, inference
from jaxdl.data import Dataset, Vocabulary
from jaxdl.data.vocabulary import PADDING, UNKNOWN
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import RNN, Embedding, tap
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.rng import stream
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment

#: Number of test tokens that the heat map chooses its part of the text from.
HEATMAP_TOKENS = 8192

#: Lines of the heat map, and tokens in a line.
HEATMAP_LINES = 6
LINE_TOKENS = {"character": 64, "word": 12}


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


class Text(NamedTuple):
    """The text of a run.

    Attributes:
      sets: windows of the text by the name of the set.
      vocabulary: the vocabulary of the training text.
      train: the training text.
      test_ids: the ids of the test text.
    """

    sets: dict[str, Dataset]
    vocabulary: Vocabulary
    train: str
    test_ids: np.ndarray


def load_text(config: Config) -> Text:
    """Reads and splits the text, and encodes its parts."""
    whole = data.read_text(config.run.data, config.run.data_dir, config.run.cache_dir)
    train, test = data.split_text(whole, config.test_fraction)
    vocabulary = Vocabulary.build(train, config.by, size=config.vocabulary, lower=config.lower)
    texts = {"train": train, "test": test}
    if config.run.validation:
        texts["train"], texts["validation"] = data.split_text(train, config.run.validation)
    ids = {part: vocabulary.encode(text) for part, text in texts.items()}
    name = Path(config.run.data).stem
    context = 4 * config.length
    sets = {
        part: data.text_evaluation_windows(tokens, 2 * context, context, name)
        for part, tokens in ids.items()
        if part != "train"
    }
    if config.stride:
        sets["train"] = data.windows(ids["train"], config.length, config.stride, name)
    else:
        sets["train"] = data.contiguous_windows(ids["train"], config.length, name)
    return Text(sets, vocabulary, texts["train"], ids["test"])


def network(config: Config, vocabulary: int) -> SequenceNet:
    """Returns the network that the options describe."""
    if config.embedding:
        embed: Any = Embedding(vocabulary, config.embedding, embedding_init=normal(1.0))
        kernel_init = glorot_uniform()
    else:
        embed = OneHot(vocabulary)
        kernel_init = normal(0.5)
    body = RNN(
        config.cell,
        config.features,
        config.layers,
        dropout=config.dropout,
        variational=config.variational,
        dtype=config.training.dtype,
        kernel_init=kernel_init,
    )
    return SequenceNet(embed, body, vocabulary, dropout=config.dropout)


def sampler(run: Run[Config], task: tasks.Task, text: Text) -> Callable[[State], None]:
    """Returns a function that generates a sample, prints it and writes it to a file."""
    config = run.config
    prompt = config.prompt or text.train[-100:]
    ids = text.vocabulary.encode(prompt)
    if config.prompt and (not len(ids) or UNKNOWN in ids):
        raise InputError("prompt", prompt, f"{config.by}s that the training text has")
    # Only the first of several seeds generates samples.
    key = stream(run.key.reshape(-1)[0], "sample")

    def write_sample(state: State) -> None:
        generate = bind(task.generate, run.first_seed(state))
        tokens = generate(
            ids[None],
            key,
            length=config.sample_length,
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
            never=(PADDING, UNKNOWN),
        )
        sample = text.vocabulary.decode(np.asarray(tokens[0]))
        if jax.process_index() == 0:
            path = run.sample(f"step-{state.steps_done:07d}.txt")
            path.write_text(f"{prompt}|{sample}\n", encoding="utf-8")
            print(f"\n--- step {state.steps_done:,}: sample after ...{prompt[-20:]!r} ---")
            print(f"{sample}\n", flush=True)

    return write_sample


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests the network, with samples at every validation, and writes the pictures."""
    config = run.config
    text = load_text(config)
    model = network(config, len(text.vocabulary))
    task = tasks.language(model, carried=not config.stride)
    write_sample = sampler(run, task, text)
    state, metrics = fit_and_test(
        run, config.training, model, task, text.sets, on_validation=write_sample
    )
    text.vocabulary.save(run.out / "vocabulary.json")
    metrics["test/perplexity"] = np.exp(metrics["test/loss"])
    metrics["test/unknown"] = np.full(run.key.shape, (text.test_ids == UNKNOWN).mean())
    plots.learning_curves(run.records(), run.figure("curves"))
    write_heatmap(
        run,
        model,
        inference(run.first_seed(state)),
        text.vocabulary,
        text.test_ids[:HEATMAP_TOKENS],
    )
    return run.finish(state, metrics, **text.sets)


def write_heatmap(
    run: Run[Config], model: SequenceNet, state: State, vocabulary: Vocabulary, ids: np.ndarray
) -> None:
    """Writes a heat map of units that follow a feature of the text, and of a forget gate.

    Args:
      run: the run.
      model: the network.
      state: the state to compute the units with.
      vocabulary: the tokens of the ids.
      ids: ids of the test text, of which the part with the most variation is shown.
    """
    config = run.config
    symbols = [vocabulary.tokens[i] for i in ids]
    width = LINE_TOKENS[config.by]
    features = text_features(symbols, width)
    part = most_varied_part(next(iter(features.values())), width)
    layer = last_layer(config, model, state, ids)
    memory = layer["h"]
    if "cell" in layer:
        memory = np.asarray(jnp.tanh(layer["cell"]))

    rows = []
    titles = []
    for name, values in features.items():
        unit, r = best_correlated(memory, values)
        # A weak correlation is shown only if there is no other row.
        if rows and abs(r) < 0.4:
            continue
        rows.append(memory[part, unit])
        titles.append(f"state of unit {unit}, correlated with {name} (r = {r:.2f})")
        if "forget" in layer and len(rows) == 1:
            rows.append(layer["forget"][part, unit])
            titles.append(f"forget gate of unit {unit}: 1 keeps, 0 forgets")
    plots.text_heatmap(symbols[part], np.stack(rows), titles, run.figure("units"), width=width)


def last_layer(
    config: Config, model: SequenceNet, state: State, ids: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the gates and the carries of the last layer by name, `[T, H]` each."""
    collections = {name: each for name, each in state.extra.items() if name != "carry"}
    f = tap(model, {"params": state.params, **collections}, train=False)
    _, activations = f(jnp.asarray(ids)[None])
    layer = f"body/{config.cell}_{config.layers - 1}/"
    return {
        name.removeprefix(layer): np.asarray(values[0])
        for name, values in activations.items()
        if name.startswith(layer)
    }


def most_varied_part(values: np.ndarray, width: int) -> slice:
    """Returns the tokens of the lines in which a feature `[T]` has the largest deviation."""
    size = HEATMAP_LINES * width
    starts = range(0, max(1, len(values) - size), width)
    start = max(starts, key=lambda first: values[first : first + size].std())
    return slice(start, start + size)


def text_features(symbols: Sequence[str], width: int) -> dict[str, np.ndarray]:
    """Returns features of a text at each of its symbols by name, those that vary.

    Args:
      symbols: T tokens of the text.
      width: limit of the position in a line.

    Returns:
      Arrays `[T]`. If no feature varies, one array of zeros.
    """
    features = {
        "quotations": inside_quotations(symbols),
        "the position in a line": positions_in_line(symbols, width),
        "capitals": [symbol[:1].isupper() for symbol in symbols],
    }
    arrays = {name: np.array(values, np.float64) for name, values in features.items()}
    varied = {name: values for name, values in arrays.items() if values.std() > 0}
    return varied or {"no feature": np.zeros(len(symbols))}


def inside_quotations(symbols: Sequence[str]) -> list[bool]:
    """Returns True for each symbol that is inside a quotation."""
    inside = False
    values = []
    for symbol in symbols:
        if symbol == '"':
            inside = not inside
        elif symbol == "“":
            inside = True
        elif symbol == "”":
            inside = False
        values.append(inside)
    return values


def positions_in_line(symbols: Sequence[str], limit: int) -> list[int]:
    """Returns the number of symbols before each symbol in its line, at most `limit`."""
    start = 0
    values = []
    for i, symbol in enumerate(symbols):
        values.append(min(i - start, limit))
        if symbol == "\n":
            start = i + 1
    return values


def best_correlated(memory: np.ndarray, values: np.ndarray) -> tuple[int, float]:
    """Returns the unit of `[T, H]` that is best correlated with the values `[T]`, and its r."""
    a = memory - memory.mean(0)
    b = values - values.mean()
    r = (a * b[:, None]).sum(0) / np.maximum(np.sqrt((a**2).sum(0) * (b**2).sum()), 1e-12)
    best = int(np.abs(r).argmax())
    return best, float(r[best])


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
