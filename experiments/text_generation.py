"""A recurrent network reads a text and writes on in its manner, character by character or word by word.

    python experiments/text_generation.py
    python experiments/text_generation.py --data sherlock.txt
    python experiments/text_generation.py --data sherlock.txt --by word --vocabulary 8000 --embedding 128
    python experiments/text_generation.py --data sherlock.txt --length 40 --stride 3 --epochs 10

The Adventures of Sherlock Holmes, its last tenth held out (`--data sherlock.txt --epochs 30`): 1.890 bits per character
in 246 s on two cores of an AMD EPYC that other work shared. After 4 epochs it writes "I was ear of the door in the had
somether against his hand", after 30 "there was a soft or tobacco. I should be all asleep and down the office". One of
its units follows the quotation marks, as the heat map `units.png` shows: its forget gate empties it at each of them and
nowhere else. With `--features 256 --dropout 0.35 --epochs 25 --ema 0.998 --learning-rate 1e-2`: 1.846 bits in 785 s;
there another unit counts how long the line is.

Tiny Shakespeare, its last tenth held out, two layers of 256 for 12 epochs, nats per character: 1.422 with `--features
256 --epochs 12 --learning-rate 5e-3 --dropout 0.2 --optimizer adamw --weight-decay 0.1`. More dropout does not replace
the decay of the weights: with Adam, `--learning-rate 1e-2` and dropout 0.1, 0.3, or 0.3 with one mask for all steps
1.462, 1.450, 1.454, and with 0.4, 25 epochs and averaged weights 1.449. With `--dropout 0.3 --epochs 20 --weight-decay
0.15 --ema 0.998` no less than 1.4225: the network is too small. With `--features 384 --embedding 128 --epochs 12
--learning-rate 4e-3 --dropout 0.3 --optimizer adamw --weight-decay 0.2 --ema 0.998`: 1.385 in 1,340 s; with 15 epochs
1.382, with 320 units 1.414 in 1,091 s.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import glorot_uniform, normal

from jaxdl import data, plots, tasks
from jaxdl.core import State, inference
from jaxdl.data import Dataset, Vocabulary
from jaxdl.data.vocabulary import PADDING, UNKNOWN
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.experiment import Run, TrainingOptions, fit_and_test, launch, run_experiment
from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import RNN, Embedding, gates
from jaxdl.rng import stream
from jaxdl.tasks import Language


@dataclasses.dataclass(frozen=True)
class Config(TrainingOptions):
    """Options of the writer."""

    data: str = "english"
    """english (always there), tiny_shakespeare (TFDS), or a text file, .gz too."""
    by: Literal["character", "word"] = "character"
    """What one step is."""
    vocabulary: int | None = None
    """How many tokens are known, the most frequent ones; the others are <unk>. Default: all."""
    lower: bool = False
    """Read capitals as small letters."""
    held_out: float = 0.1
    """Share of the text, its end, that is the test set."""
    length: int = 64
    """Steps of a window: how far gradients reach back."""
    stride: int = 0
    """0: windows follow each other and the network's state goes on; else how far apart they begin, in any order."""
    cell: Literal["simple", "lstm", "gru"] = "lstm"
    """The recurrent layer."""
    features: int = 128
    """Units of each layer."""
    layers: int = 2
    """How many layers."""
    embedding: int | None = None
    """Numbers per token; 0: one-hot vectors. Default: 0 for characters, 128 for words."""
    dropout: float = 0.1
    """Share of each layer's output that training drops, in [0, 1)."""
    variational: bool = False
    """One dropout mask for all steps of a window."""
    temperature: float = 0.7
    """Of the samples: below 1 likelier, above 1 bolder; 0: always the likeliest."""
    top_k: int = 0
    """Of the samples: draw from so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Of the samples: draw from the likeliest that have this probability together."""
    prompt: str | None = None
    """What the samples go on from; default: the end of the training text."""
    written: int = 400
    """Tokens of a sample."""
    batch_size: int = 32
    """Windows per step."""
    epochs: float = 20.0
    """Passes over the training text."""
    learning_rate: float = 2e-2
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    clip: float = 1.0
    """Largest norm of the whole gradient; 0: any."""
    validation: float = 0.0
    """Share of the training text, its end, kept to look at during training; 0: none."""

    default_cpu_devices: ClassVar[int] = 2

    def validate(self) -> Self:
        for name in ("length", "features", "layers", "written"):
            at_least(name, getattr(self, name), 1)
        at_least("stride", self.stride, 0)
        if self.embedding is None:
            return dataclasses.replace(
                self, embedding=0 if self.by == "character" else 128
            ).validate()
        at_least("embedding", self.embedding, 0)
        at_least("vocabulary", 3 if self.vocabulary is None else self.vocabulary, 3)
        in_range("dropout", self.dropout, 0, 1)
        if self.prompt == "":
            raise InputError("prompt", self.prompt, "at least one character")
        if self.accumulate > 1 and not self.stride:
            raise InputError(
                "accumulate",
                self.accumulate,
                "1 where the state is carried; --stride puts windows in any order",
            )
        tasks.check_filters(self.temperature, self.top_k, self.top_p)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(
            super().for_smoke(), length=min(self.length, 16), features=16, written=40
        )


def prepared(config: Config) -> tuple[dict[str, Dataset], Vocabulary, str, np.ndarray]:
    """The sets, the vocabulary of the training text, that text, and the ids of the held-out one."""
    whole = data.read_text(config.data, config.data_dir, config.cache_dir)
    train, test = data.split_text(whole, config.held_out)
    vocabulary = Vocabulary.of(train, config.by, size=config.vocabulary, lower=config.lower)
    name = Path(config.data).stem
    context = 4 * config.length
    texts = {"train": train, "test": test}
    if config.validation:
        texts["train"], texts["validation"] = data.split_text(train, config.validation)
    tokens = {part: vocabulary.encode(text) for part, text in texts.items()}
    sets = {
        part: data.text_evaluation_windows(ids, 2 * context, context, name)
        for part, ids in tokens.items()
        if part != "train"
    }
    if config.stride:
        sets["train"] = data.windows(tokens["train"], config.length, config.stride, name)
    else:
        sets["train"] = data.contiguous_windows(tokens["train"], config.length, name)
    return sets, vocabulary, texts["train"], tokens["test"]


def network(config: Config, vocabulary: int) -> SequenceNet:
    """The network that the options name."""
    if config.embedding:
        embed: Any = Embedding(vocabulary, config.embedding, embedding_init=normal(1.0))
    else:
        embed = OneHot(vocabulary)
    body = RNN(
        config.cell,
        config.features,
        config.layers,
        dropout=config.dropout,
        variational=config.variational,
        dtype=config.dtype,
        kernel_init=glorot_uniform() if config.embedding else normal(0.5),
    )
    return SequenceNet(embed, body, vocabulary, dropout=config.dropout)


def writer(
    run: Run[Config], task: Language, vocabulary: Vocabulary, text: str
) -> Callable[[State], str]:
    """A function from a state to what the network writes on one prompt; prints it and keeps it in a file."""
    config = run.config
    prompt = config.prompt or text[-100:]
    ids = vocabulary.encode(prompt)
    if config.prompt and (not len(ids) or UNKNOWN in ids):
        raise InputError("prompt", prompt, f"{config.by}s that the training text has")
    key = stream(run.key if run.key.ndim == 0 else run.key[0], "sample")
    drawn = {
        "temperature": config.temperature,
        "top_k": config.top_k,
        "top_p": config.top_p,
        "never": (PADDING, UNKNOWN),
    }

    def write(state: State) -> str:
        one = inference(run.first_seed(state))
        tokens = task.generate(
            one.params, one.extra, ids[None], key, length=config.written, **drawn
        )
        written = vocabulary.decode(np.asarray(tokens[0]))
        if jax.process_index() == 0:
            run.sample(f"step-{state.steps_done:07d}.txt").write_text(
                f"{prompt}|{written}\n", encoding="utf-8"
            )
            print(
                f"\n--- step {state.steps_done:,}: ...{prompt[-20:]!r} goes on ---\n{written}\n",
                flush=True,
            )
        return written

    return write


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""

    def one(run: Run[Config]) -> dict[str, Any]:
        sets, vocabulary, text, held_out = prepared(config)
        model = network(config, len(vocabulary))
        task = tasks.language(model, carried=not config.stride)
        write = writer(run, task, vocabulary, text)
        state, metrics = fit_and_test(run, model, task, sets, write)
        vocabulary.save(run.out / "vocabulary.json")
        metrics["test/perplexity"] = np.exp(metrics["test/loss"])
        metrics["test/unknown"] = np.full(
            np.shape(metrics["test/loss"]), (held_out == UNKNOWN).mean()
        )
        plots.learning_curves(run.records(), run.figure("curves"))
        draw(run, model, inference(run.first_seed(state)), vocabulary, held_out[:8192])
        return run.finish(state, metrics, **sets)

    return run_experiment(config, one)


def draw(
    run: Run[Config], model: SequenceNet, state: State, vocabulary: Vocabulary, ids: np.ndarray
) -> None:
    """Units of the last layer that follow what the text is doing, over a stretch of held-out text, and a gate."""
    config = run.config
    symbols = [vocabulary.tokens[i] for i in ids]
    variables = {
        "params": state.params,
        **{name: each for name, each in state.extra.items() if name != "carry"},
    }
    x = model.apply(
        variables, jnp.asarray(ids)[None], method=lambda net, ids: net.embed(ids, False)
    )
    found: dict[str, Any] = {}
    for i in range(config.layers):
        found = gates(config.cell, state.params["body"][f"{config.cell}_{i}"], x)
        x = found["h"]
    memory = np.asarray(jnp.tanh(found["cell"]) if "cell" in found else found["h"])[0]
    across = 64 if config.by == "character" else 12
    doing = doings(symbols, across)
    starts = range(0, max(1, len(ids) - 6 * across), across)
    begin = max(
        starts, key=lambda first: next(iter(doing.values()))[first : first + 6 * across].std()
    )
    shown = slice(begin, begin + 6 * across)
    rows = []
    titles = []
    for name, values in doing.items():
        unit, r = follower(memory, values)
        if rows and abs(r) < 0.4:  # nobody does
            continue
        rows.append(memory[shown, unit])
        titles.append(f"memory of unit {unit}, which follows {name} (r = {r:.2f})")
        if "forget" in found and len(rows) == 1:
            rows.append(np.asarray(found["forget"])[0, shown, unit])
            titles.append(f"forget gate of unit {unit}: 1 keeps, 0 forgets")
    plots.text_heatmap(symbols[shown], np.stack(rows), titles, run.figure("units"), width=across)


def doings(symbols: list[str], across: int) -> dict[str, np.ndarray]:
    """What a text is doing at each of its symbols, as numbers: only what it does at all."""
    inside = False
    quoted = []
    for symbol in symbols:
        inside = symbol == "“" or (inside and symbol != "”") if symbol != '"' else not inside
        quoted.append(inside)
    last = 0
    since = []
    for i, symbol in enumerate(symbols):
        since.append(min(i - last, across))
        last = i + 1 if symbol == "\n" else last
    capitals = [symbol[:1].isupper() for symbol in symbols]
    found = {"quotations": quoted, "the place in a line": since, "capitals": capitals}
    arrays = {name: np.array(values, np.float64) for name, values in found.items()}
    return {name: values for name, values in arrays.items() if values.std() > 0} or {
        "nothing": np.zeros(len(symbols))
    }


def follower(memory: np.ndarray, values: np.ndarray) -> tuple[int, float]:
    """The unit `[T, H]` whose numbers go with the values `[T]` best, and their correlation."""
    a = memory - memory.mean(0)
    b = values - values.mean()
    r = (a * b[:, None]).sum(0) / np.maximum(np.sqrt((a**2).sum(0) * (b**2).sum()), 1e-12)
    best = int(np.abs(r).argmax())
    return best, float(r[best])


if __name__ == "__main__":
    launch(main, Config)
