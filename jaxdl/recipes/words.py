"""Word vectors: texts as rows of words, training, tests of the vectors and their pictures."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxdl import data, plots
from jaxdl.core import State, learner
from jaxdl.data import Analogy, Dataset, Similarity, Vocabulary, WordRows, WordVectors
from jaxdl.data.tales import tales, tales_tests
from jaxdl.data.vocabulary import UNKNOWN
from jaxdl.errors import InputError
from jaxdl.functions import bind
from jaxdl.models import SkipGram
from jaxdl.network import Network
from jaxdl.recipes.word_options import WordOptions
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.tasks import Task

#: Numbers of the most frequent words among which analogies are answered.
AMONG = (5000, 30_000)

#: Words of the plane without a group.
PLAIN = 300

#: Most arrows of the plane.
ARROWS = 8

#: Words whose nearest words are shown, if the vocabulary has them.
SHOWN = ("king", "france", "two", "river", "music", "paris", "mother", "statement", "class")


class Text(NamedTuple):
    """A text for word vectors, and the tests of its vectors.

    Attributes:
      vocabulary: its words.
      words: rows of words and their counts.
      total: number of words, with those that are left out.
      similarities: pairs of words with scores of people.
      analogies: questions.
    """

    vocabulary: Vocabulary
    words: WordRows
    total: int
    similarities: list[Similarity]
    analogies: list[Analogy]


def load_text(name: str, options: WordOptions, evaluation: str | None) -> Text:
    """Reads a text in lower case, and the tests of its vectors.

    Args:
      name: `tales`, or a name or path for `data.read_text`.
      options: options of the vectors.
      evaluation: directory with `wordsim353.tsv` and `questions-words.txt`. None means the tests of
        `tales` for that text, and none for others.

    Returns:
      The text. Signs and line breaks are not words.

    Raises:
      InputError: a text without a word that occurs often enough, or files of another form.
    """
    similarities: list[Similarity] = []
    analogies: list[Analogy] = []
    if name == "tales":
        text = tales()
        similarities, analogies = tales_tests()
    else:
        text = data.read_text(name)
    if evaluation is not None:
        similarities, analogies = data.read_word_tests(evaluation)
    vocabulary = Vocabulary.build(text, "word", lower=True, min_count=options.min_count)
    tokens = (*vocabulary.tokens[:2], *filter(_is_word, vocabulary.tokens[2:]))
    vocabulary = dataclasses.replace(vocabulary, tokens=tokens)
    index = vocabulary.index
    ids = np.array([index.get(t, UNKNOWN) for t in vocabulary.split(text) if _is_word(t)], np.int32)
    if len(np.unique(ids[ids > UNKNOWN])) < 2:
        allowed = f"a text with words that occur {options.min_count} times; or less --min-count"
        raise InputError("data", name, allowed)
    length = options.length
    if length is None:
        length = 200 if name == "tales" else 1000
    words = data.word_rows(ids, vocabulary, length, Path(name).name)
    return Text(vocabulary, words, len(ids), similarities, analogies)


def _is_word(token: str) -> bool:
    """Returns True for a token with a letter or a digit."""
    return any(map(str.isalnum, token))


def vectors_of(
    vocabulary: Vocabulary,
    predict: Callable[..., Any],
    known: Bool[np.ndarray, " V"] | None = None,
) -> WordVectors:
    """Returns the vectors of all words in the order of the vocabulary.

    Args:
      vocabulary: the words.
      predict: function from ids `[N]` to vectors `[N, D]`, such as a bound `task.predict`.
      known: words to return; None means all but the two special tokens.

    Example:
      >>> words = Vocabulary.build("to be or not to be", "word")
      >>> vectors_of(words, lambda ids: np.ones((len(ids), 2))).words
      ('be', 'to', 'not', 'or')
    """
    rows = np.arange(UNKNOWN + 1, len(vocabulary), dtype=np.int32)
    if known is not None:
        rows = rows[known[rows]]
    return WordVectors(tuple(vocabulary.tokens[i] for i in rows), np.asarray(predict(rows)))


def word_vectors(network: Network) -> WordVectors:
    """Returns the vectors of a trained network, `jaxdl.load("runs/mine")`.

    Raises:
      InputError: a network that has no words.
    """
    encoding = network.preprocessing.text
    if encoding is None or not isinstance(network.model, SkipGram):
        raise InputError("network", network.task.name, "one that experiments/word2vec.py trained")
    return vectors_of(encoding.vocabulary, network.functions["predict"])


def train_vectors(
    run: Run[Options], options: WordOptions, text: Text
) -> tuple[State, Task, dict[str, Dataset]]:
    """Trains word vectors, with a test of their similarities at every checkpoint.

    The result of the run gets the entry `words_per_cpu_second`: words of the text that were
    read, by all seeds, in a second of processor time. It includes compilation, checkpoints and
    tests. A run that had no step to do has no such entry.

    Args:
      run: run to train in.
      options: options of the vectors.
      text: the text.

    Returns:
      The state, the task and the sets.
    """
    rows = text.words.rows
    config = run.config.run
    if options.method == "glove":
        kept = options.kept(text.words.counts, config.data)
        rows = pair_rows(rows, 10 if options.window is None else options.window, kept)
    sets = {"train": rows}
    if config.validation:
        from jaxdl.recipes.fitting import split_sets

        sets = split_sets(config, rows, rows)
        del sets["test"]
    steps = config.total_steps(sets["train"])
    task = options.task(text.words.counts, steps, config.data)
    net = learner(task.init, *task.updates())

    def keep(state: State) -> None:
        found = [
            data.agreement(each, text.similarities).spearman
            for each in vectors(run, task, text, state)
        ]
        if jax.process_index() == 0:
            path = run.sample(f"similarity-{state.steps_done:08d}.npz")
            epochs = state.steps_done / sets["train"].steps_per_epoch(config.batch_size)
            np.savez(path, epochs=epochs, spearman=np.array(found))

    before = max((int(p.name) for p in (run.out / "checkpoints").glob("[0-9]*")), default=0)
    start = time.process_time()
    tests = keep if text.similarities else None
    state = run.fit(net, sets["train"], sets.get("validation"), on_validation=tests, task=task)
    passes = (steps - before) / sets["train"].steps_per_epoch(config.batch_size)
    read = passes * text.total * len(run.seeds) / (time.process_time() - start)
    if before >= steps:
        return state, task, sets
    run.metadata["words_per_cpu_second"] = read
    print(f"{read:,.0f} words of the text in a second of processor time")
    return state, task, sets


def pair_rows(rows: Dataset, window: int, kept: Float[np.ndarray, " V"] | None = None) -> Dataset:
    """Returns the counts of pairs of a text in a random order, up to 1,000 of them in a row.

    Args:
      rows: the text, `input [N, L]`.
      window: largest distance of the words of a pair.
      kept: probability with which each occurrence of a word is kept; None keeps all. What is left
        out is the same for all runs, and the words around it move together.

    Returns:
      A set with `input [R, P, 2]` and `target [R, P]`, which is 0 for padding in the last row.

    Example:
      >>> text = Dataset({"input": np.array([[2, 3, 4]], np.int32)}, "text")
      >>> pair_rows(text, 1)["input"].shape
      (4, 1, 2)
    """
    words = np.asarray(rows["input"]).reshape(-1)
    if kept is not None:
        words = words[np.random.RandomState(1).uniform(size=len(words)) < kept[words]]
    counted = data.cooccurrences(words, window)
    order = np.random.RandomState(0).permutation(len(counted))
    size = max(1, min(1000, len(counted) // 64))
    padding = -len(order) % size
    pairs = np.pad(np.asarray(counted["input"])[order], ((0, padding), (0, 0)))
    target = np.pad(np.asarray(counted["target"])[order], (0, padding))
    arrays = {"input": pairs.reshape(-1, size, 2), "target": target.reshape(-1, size)}
    return Dataset(arrays, rows.name, text=rows.text)


def vectors(run: Run[Any], task: Task, text: Text, state: State) -> list[WordVectors]:
    """Returns the vectors of each seed of a run."""
    known = text.words.counts > 0
    states = run.members(state)
    return [vectors_of(text.vocabulary, bind(task.predict, each), known) for each in states]


def word_numbers(run: Run[Any], text: Text, found: Sequence[WordVectors]) -> dict[str, Any]:
    """Computes similarity and analogies of the vectors of each seed, and prints what is left out.

    Returns:
      `spearman`, `out_of_vocabulary`, the share of pairs that are left out, and the shares of right
      answers `analogies_5000` and `analogies_30000`. A test without a known word is left out.
    """
    metrics: dict[str, Any] = {}
    if text.similarities:
        results = [data.agreement(each, text.similarities) for each in found]
        left_out = results[0].out_of_vocabulary
        print(f"{100 * left_out:.1f} % of {len(text.similarities)} pairs have an unknown word")
        metrics["out_of_vocabulary"] = run.per_seed(left_out)
        if results[0].pairs > 1:
            metrics["spearman"] = run.per_seed([each.spearman for each in results])
        else:
            run.warn("no similarities are computed: all pairs have an unknown word")
    for among in AMONG if text.analogies else ():
        answered = [data.answers(each, text.analogies, among) for each in found]
        share = answered[0].out_of_vocabulary
        print(
            f"{100 * share:.1f} % of {len(text.analogies)} analogies have a word beyond the "
            f"{among} most frequent ones"
        )
        if answered[0].questions:
            accuracy = [each.accuracy for each in answered]
            metrics[f"analogies_{among}"] = run.per_seed(accuracy)
        else:
            run.warn(f"no analogies are answered among {among} words: all have an unknown word")
    return metrics


def draw_vectors(run: Run[Any], text: Text, first: WordVectors, metrics: dict[str, Any]) -> None:
    """Draws the plane of words, nearest words, and the similarities by passes over the text."""
    shown = [word for word in (*SHOWN, *first.words) if word in first][:6]
    neighbours = {word: first.nearest(word, min(8, len(first) - 1)) for word in shown}
    title = f"Nearest words of {len(shown)} words, among {len(first):,}"
    plots.nearest_words(neighbours, run.figure("nearest"), title=title)
    draw_plane(text.analogies, first, run.figure("plane"))
    files = sorted((run.out / "samples").glob("similarity-*.npz"))
    if files and "spearman" in metrics:
        stored = [np.load(path, allow_pickle=False) for path in files]
        epochs = np.array([float(each["epochs"]) for each in stored])
        curves = {"rank correlation": np.stack([each["spearman"] for each in stored])}
        last = float(np.mean(metrics["spearman"]))
        title = f"Rank correlation with people after {epochs[-1]:.3g} passes: {last:.3f}"
        title = title.replace("-", "−")
        plots.word_test_curves(epochs, curves, run.figure("similarity"), title=title)


def draw_plane(analogies: Sequence[Analogy], found: WordVectors, path: Path) -> Path:
    """Draws the most frequent words in the plane of the kind of analogy with most right answers.

    Args:
      analogies: the questions; without any the plane has no arrows.
      found: the vectors.
      path: path of the PNG file.

    Returns:
      The path.
    """
    result = data.answers(found, analogies, max(AMONG))
    sections = {
        name: right / count for name, (right, count) in result.by_section.items() if count >= 4
    }
    words = list(found.words[:PLAIN])
    arrows: list[tuple[str, str]] = []
    title = f"The {len(words)} most frequent words in the plane of their largest variance"
    groups: dict[str, list[str]] = {}
    if sections:
        best = max(sections, key=lambda name: sections[name])
        pairs = [(each.a, each.b) for each in analogies if each.section == best]
        known = [pair for pair in dict.fromkeys(pairs) if pair[0] in found and pair[1] in found]
        arrows = known[:ARROWS]
        groups = {f"{best}: first word": [a for a, _ in arrows]}
        groups[f"{best}: second word"] = [b for _, b in arrows]
        title = f"{best}: {100 * sections[best]:.0f} % of the analogies are right"
        words += [word for arrow in arrows for word in arrow if word not in words]
    rows = found.unit[found.rows(words)]
    chosen = rows
    if arrows:
        chosen = found.unit[found.rows([word for arrow in arrows for word in arrow])]
    points = (rows - chosen.mean(0)) @ principal_directions(chosen).T
    return plots.word_plane(points, words, path, title=title, groups=groups, arrows=arrows)


def principal_directions(x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "2 D"]:
    """Returns the two directions of largest variance, each with a fixed sign.

    Example:
      >>> principal_directions(np.array([[0.0, 0], [4, 0], [0, 1], [4, 1]])).round(6).tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    _, _, directions = np.linalg.svd(x - x.mean(0), full_matrices=False)
    directions = directions[:2]
    largest = np.take_along_axis(directions, abs(directions).argmax(1)[:, None], 1)
    return directions * np.sign(largest)
