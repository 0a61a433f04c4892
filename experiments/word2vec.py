"""Word vectors by skip-gram, CBOW or GloVe, with similarities, analogies and a plane of words.

    python experiments/word2vec.py
    python experiments/word2vec.py --data text8.txt --evaluation word2vec-eval --seeds 3
    python experiments/word2vec.py --data text8.txt --evaluation word2vec-eval --method glove
    python experiments/sentiment.py --vectors runs/mine/vectors.txt --frozen

The default text is generated: short sentences about countries and people, whose analogies hold by
construction. The directory of `--evaluation` has `wordsim353.tsv` and `questions-words.txt`.
`vectors.txt` in the directory of the run has the vectors in the format of word2vec.

On the first 1,171,946 words of text8, 15 passes with the seeds 0, 1 and 2: rank correlation with
WordSim-353 0.616 ± 0.017 (21.0 % of its pairs have an unknown word). Of the analogies 23.5 % are
right among 5,000 words and 8.6 % among 30,000. A run takes 29 to 34 s of processor time on a shared
core of a Xeon. That is 511,000 to 603,000 words of text per second. With --method glove --epochs 5
the correlation is 0.397, in 71 s. The first command takes 19 s of processor time and solves all
analogies.
"""

import dataclasses
from typing import Any, ClassVar, Self

import jax

from jaxdl import plots
from jaxdl.recipes.word_options import WordOptions, WordRunOptions
from jaxdl.recipes.words import draw_vectors, load_text, train_vectors, vectors, word_numbers
from jaxdl.runs import Options, Run, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of word vectors."""

    run: WordRunOptions = WordRunOptions()
    words: WordOptions = WordOptions()

    evaluation: str | None = None
    """Directory with the similarities wordsim353.tsv and the analogies questions-words.txt.
    Default: the tests of tales for that text, none for others."""

    max_saves: ClassVar[int] = 5

    def for_smoke(self) -> Self:
        words = dataclasses.replace(self.words, features=8, shared=16, length=100)
        return dataclasses.replace(super().for_smoke(), words=words)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains word vectors, tests them, and writes them with their pictures."""
    config = run.config
    text = load_text(config.run.data, config.words, config.evaluation)
    print(
        f"{text.total:,} words, of which {100 * text.words.left_out:.1f} % are left out; "
        f"{(text.words.counts > 0).sum():,} different words remain"
    )
    state, task, sets = train_vectors(run, config.words, text)
    found = vectors(run, task, text, state)
    metrics = word_numbers(run, text, found)
    if jax.process_index() == 0:
        found[0].write(run.out / "vectors.txt")
    plots.learning_curves(run.records(), run.figure("curves"))
    draw_vectors(run, text, found[0], metrics)
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Trains word vectors, for all seeds in one program."""
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
