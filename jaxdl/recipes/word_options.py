"""Options of word vectors, and the task that they describe."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from jaxdl import tasks
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models import SkipGram
from jaxdl.runs.options import RunOptions
from jaxdl.tasks import Task
from jaxdl.tasks.pairs import kept_probabilities


@dataclasses.dataclass(frozen=True)
class WordRunOptions(RunOptions):
    """Options of a run on a text."""

    data: str = "tales"
    """tales (generated, always available), english, tiny_shakespeare, or a UTF-8 text file."""
    epochs: float = 15.0
    """Passes over the text."""
    batch_size: int = 2
    """Rows of --length words in a step; for glove, 1,000 pairs for each."""
    validation: float = 0.0
    """Fraction of the rows on which the loss is validated, in [0, 1); 0 trains on all of them."""


@dataclasses.dataclass(frozen=True)
class WordOptions:
    """Options of word vectors. A default of None depends on the method or the text."""

    method: Literal["skip_gram", "cbow", "glove"] = "skip_gram"
    """skip_gram: a word predicts the words around it. cbow: these predict the word.
    glove: counts of pairs are factorized."""
    features: int = 100
    """Dimensions of the vectors."""
    window: int | None = None
    """Largest distance of two words of a pair. Default: 5, for glove 10."""
    negatives: int | None = None
    """Weight of the random words, in random words for each pair. Default: 10, for tales 3."""
    shared: int = 128
    """Random words of a step, which all its pairs share."""
    subsample: float | None = None
    """Frequency above which occurrences of a word are left out at random; 0 keeps all.
    Default: 3e-5, for glove 1e-4, for tales 0.01."""
    most: float | None = None
    """Only glove: count from which on all pairs weigh the same. Default: 10."""
    rate: float | None = None
    """Learning rate at first. Default: 0.025, for cbow 0.05, for glove 0.15."""
    min_count: int = 5
    """Words that occur less often are left out."""
    length: int | None = None
    """Words of a row; a window ends with its row. Default: 1000, for tales 200."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range, or that the method does not have.

        The task checks the others.
        """
        at_least("min_count", self.min_count, 1)
        for name, least in (("length", 2), ("window", 1), ("negatives", 1)):
            if getattr(self, name) is not None:
                at_least(name, getattr(self, name), least)
        others = NOT_OF_GLOVE if self.method == "glove" else ONLY_OF_GLOVE
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in others and value != field.default:
                allowed = f"no value, since {self.method} has no such option; leave it out"
                raise InputError(field.name, value, allowed)

    def kept(self, counts: Int[np.ndarray, " V"], name: str) -> Float[np.ndarray, " V"]:
        """Returns the probability with which occurrences of each word are kept, `[V]`."""
        return kept_probabilities(counts, self._subsample(name))

    def _subsample(self, name: str) -> float:
        """Returns the frequency above which occurrences are left out, in a text of this name."""
        if self.subsample is not None:
            in_range("subsample", self.subsample, 0, 1)
            return self.subsample
        if name == "tales":
            return 0.01
        return 1e-4 if self.method == "glove" else 3e-5

    def task(self, counts: Int[np.ndarray, " V"], steps: int, name: str) -> Task:
        """Returns the task for words with these counts, in a text of this name."""
        window = self.window
        rate = self.rate
        negatives = self.negatives
        if rate is None:
            rate = RATES[self.method]
        if window is None:
            window = 5
        if negatives is None:
            negatives = 3 if name == "tales" else 10
        model = SkipGram(len(counts), self.features, biases=self.method == "glove")
        if self.method == "glove":
            most = 10.0 if self.most is None else self.most
            return tasks.glove(model, most=most, rate=rate)
        return tasks.embed(
            model,
            counts,
            method=self.method,
            window=window,
            negatives=negatives,
            shared=self.shared,
            subsample=self._subsample(name),
            rate=rate,
            steps=steps,
        )


#: Options that `jaxdl.tasks.glove` does not have.
NOT_OF_GLOVE = ("negatives", "shared")

#: Options that `jaxdl.tasks.embed` does not have.
ONLY_OF_GLOVE = ("most",)

#: Learning rate of each method.
RATES = {"skip_gram": 0.025, "cbow": 0.05, "glove": 0.15}
