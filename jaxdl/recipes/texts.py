"""Texts: samples during training, word vectors, a linear baseline, and predictions by word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxdl.core import State
from jaxdl.data import Dataset, Reviews, Vocabulary, read_vectors
from jaxdl.data.vocabulary import PADDING, UNKNOWN
from jaxdl.errors import InputError
from jaxdl.functions import bind, predict_batched
from jaxdl.nn import Embedding
from jaxdl.plots import text_predictions
from jaxdl.rng import stream
from jaxdl.runs.run import Run


def text_sampler(
    run: Run[Any],
    generate: Callable[..., Any],
    vocabulary: Vocabulary,
    text: str,
    prompt: str | None = None,
    **options: Any,
) -> Callable[[State], None]:
    """Returns a function that generates a text, prints it and writes it to `samples/`.

    The function is the `on_validation` of `fit_and_test`. All its texts are sampled with the same
    key, by the first seed of the run.

    Args:
      run: the run.
      generate: the `generate` of a language task, `generate(params, extra, prompt, key, ...)`.
      vocabulary: the tokens of the network.
      text: training text, whose last 100 characters are the default of the prompt.
      prompt: text to continue, whose tokens must be in the vocabulary.
      **options: options of `generate`: `length`, `temperature`, `top_k`, `top_p`.

    Returns:
      A function of the state.

    Raises:
      InputError: a prompt without a token, or with a token that is not in the vocabulary.
    """
    shown = text[-100:] if prompt is None else prompt
    ids = vocabulary.encode(shown)
    if prompt is not None and (not len(ids) or UNKNOWN in ids):
        raise InputError("prompt", prompt, f"{vocabulary.kind}s that the training text has")
    key = stream(run.key.reshape(-1)[0], "sample")

    def write_sample(state: State) -> None:
        sample = bind(generate, run.first_seed(state))
        tokens = sample(ids[None], key, never=(PADDING, UNKNOWN), **options)
        continued = vocabulary.decode(np.asarray(tokens[0]))
        if jax.process_index() == 0:
            path = run.sample(f"step-{state.steps_done:07d}.txt")
            path.write_text(f"{shown}|{continued}\n", encoding="utf-8")
            print(f"\n--- step {state.steps_done:,}: sample after ...{shown[-20:]!r} ---")
            print(f"{continued}\n", flush=True)

    return write_sample


def word_embedding(
    vocabulary: Vocabulary, features: int, vectors: str | None = None, frozen: bool = False
) -> Embedding:
    """Returns an embedding of words that starts from random vectors, or from those of a file.

    Args:
      vocabulary: V words.
      features: D, dimensions of the vectors if there is no file.
      vectors: file of word vectors, for `data.read_vectors`. Words that are not in it start from
        random vectors.
      frozen: if True, the vectors of the file are not trained; those of missing words are.

    Returns:
      The layer.

    Raises:
      InputError: a file that `data.read_vectors` refuses.

    Example:
      >>> word_embedding(Vocabulary.build("to be or not", "word"), 8).vocabulary
      6
    """
    if vectors is None:
        return Embedding(len(vocabulary), features, padding=PADDING)
    rows, known = read_vectors(vectors, vocabulary)
    print(f"{vectors} has {known.sum():,} of {len(vocabulary):,} words")
    train_rows: Literal["all", "unknown"] = "unknown" if frozen else "all"
    # Rows without a vector are NaN and start from random numbers.
    rows = np.where(known[:, None], rows, np.nan)
    size, width = rows.shape
    return Embedding(size, width, padding=PADDING, vectors=rows, train_rows=train_rows)


def linear_text_accuracy(train: Reviews, test: Reviews) -> float:
    """Returns the test accuracy of logistic regression on words and pairs of words.

    The inputs are the TF-IDF weights of all words and pairs that occur in at least two training
    texts. Exclamation and question marks count as words.

    Args:
      train: training texts.
      test: test texts.

    Returns:
      A fraction in [0, 1].

    Raises:
      InputError: texts without a word that occurs twice.

    Source: Wang, Manning 2012, Baselines and bigrams.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[!?]"
    )
    model = LogisticRegression(C=30.0, max_iter=1000)
    try:
        model.fit(words.fit_transform(train.texts), train.labels)
    except ValueError as error:
        raise InputError(
            "baseline", True, f"False, for texts without words that occur twice ({error})"
        ) from None
    return float(model.score(words.transform(test.texts), test.labels))


def prefix_probabilities(
    predict: Callable[..., Any], ids: Int[np.ndarray, " T"], length: int
) -> Float[np.ndarray, "L C"]:
    """Returns the prediction for each beginning of a text.

    Args:
      predict: the trained network, `predict(inputs [B, T], lengths [B]) -> [B, C]`.
      ids: `[T]`, a text with its padding.
      length: L, number of valid steps, in [1, T].

    Returns:
      `[L, C]`; row i is the prediction after i + 1 tokens.

    Example:
      >>> count = lambda inputs, lengths: lengths[:, None]
      >>> prefix_probabilities(count, np.array([7, 7, 7, 0]), 3).tolist()
      [[1], [2], [3]]
    """
    prefixes = np.repeat(ids[None], length, 0)
    return predict_batched(predict, prefixes, np.arange(1, length + 1, dtype=np.int32))


def draw_best_and_worst(
    predict: Callable[..., Any],
    probabilities: Float[np.ndarray, "N 2"],
    test: Dataset,
    vocabulary: Vocabulary,
    classes: tuple[str, ...],
    figure: Callable[[str], Path],
) -> None:
    """Draws the texts with the best and the worst prediction, with a prediction after each word.

    Only texts of less than 60 words that are read whole are considered, if there are any.

    Args:
      predict: the trained network, `predict(inputs [B, T], lengths [B]) -> [B, 2]`.
      probabilities: `[N, 2]`, its output for the test set.
      test: the test set, see `data.encode_reviews`.
      vocabulary: the words of the ids.
      classes: names of the two classes.
      figure: path of a figure by name. The names are `text-best` and `text-worst`.
    """
    inputs = np.asarray(test["input"])
    lengths = np.asarray(test["length"])
    label = np.asarray(test["label"])
    of_label = probabilities[np.arange(len(label)), label]
    rows = best_and_worst(of_label, lengths, min(60, inputs.shape[1]))
    for name, row in zip(("text-best", "text-worst"), rows, strict=True):
        words = [vocabulary.tokens[i] for i in inputs[row, : lengths[row]]]
        second = prefix_probabilities(predict, inputs[row], len(words))[:, 1]
        text_predictions(words, second, classes, int(label[row]), figure(name))


def best_and_worst(
    probability: Float[np.ndarray, " N"], lengths: Int[np.ndarray, " N"], limit: int
) -> tuple[int, int]:
    """Returns the texts with the highest and the lowest probability of their label.

    Args:
      probability: `[N]`, predicted probability of the label.
      lengths: `[N]`, lengths of the texts.
      limit: only shorter texts are considered, if there are any.

    Returns:
      The rows of the best and the worst text.

    Example:
      >>> best_and_worst(np.array([0.9, 0.2, 0.5]), np.array([80, 3, 4]), 60)
      (2, 1)
    """
    rows = np.flatnonzero(lengths < limit)
    if not len(rows):
        rows = np.arange(len(lengths))
    order = rows[np.argsort(-probability[rows])]
    return int(order[0]), int(order[-1])
