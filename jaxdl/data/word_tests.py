"""Tests of word vectors: similarities by people, and analogies."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.data.files import decode_utf8, expand_path, open_maybe_gzip, read_bounded
from jaxdl.data.word_vectors import WordVectors
from jaxdl.errors import InputError, at_least

#: Names of the files that `read_word_tests` looks for in a directory.
FILES = ("wordsim353.tsv", "questions-words.txt")

#: Questions that are answered at a time.
BATCH = 500


class Similarity(NamedTuple):
    """A pair of words, and how similar people find them.

    Attributes:
      a: the first word.
      b: the second word.
      score: a larger number for more similar words.
    """

    a: str
    b: str
    score: float


class Analogy(NamedTuple):
    """The statement "a is to b as c is to d".

    Attributes:
      a: the first word.
      b: the word that belongs to a.
      c: the third word.
      d: the word that belongs to c, the answer.
      section: kind of the statement, such as "family".
    """

    a: str
    b: str
    c: str
    d: str
    section: str = ""


class Agreement(NamedTuple):
    """Agreement of vectors with the similarities of people.

    Attributes:
      spearman: rank correlation over the pairs whose words both have a vector; NaN for fewer than
        two.
      pairs: number of these pairs.
      out_of_vocabulary: share of the other pairs.
    """

    spearman: float
    pairs: int
    out_of_vocabulary: float


class Answers(NamedTuple):
    """Answers to questions for the fourth word of an analogy.

    Attributes:
      accuracy: share of right answers among the questions; NaN without a question.
      questions: number of questions whose four words are among the words that count.
      out_of_vocabulary: share of the other questions.
      by_section: right answers and questions of each section.
    """

    accuracy: float
    questions: int
    out_of_vocabulary: float
    by_section: dict[str, tuple[int, int]]


def read_similarities(path: str | os.PathLike[str], *, lower: bool = True) -> list[Similarity]:
    """Reads pairs of words with a score, in lines of three columns.

    Args:
      path: a UTF-8 file, such as WordSim-353. Columns are separated by tabs, commas or spaces.
        Lines that start with # and a first line without a number are left out.
      lower: if True, words are converted to lower case.

    Returns:
      The pairs in the order of the file.

    Raises:
      InputError: no such file, no pair, or a line of another form. The message has the line.

    Example:
      >>> import tempfile
      >>> with tempfile.NamedTemporaryFile() as file:
      ...     _ = Path(file.name).write_text("word 1,word 2,score\\nTiger,cat,7.35\\n")
      ...     read_similarities(file.name)
      [Similarity(a='tiger', b='cat', score=7.35)]

    Source: Finkelstein et al. 2002, Placing search in context.
    """
    pairs = []
    for number, line in _numbered(path):
        parts = line.replace(",", " ").split()
        if line.startswith("#"):
            continue
        score = None
        if len(parts) == 3:
            score = _number(parts[2])
        if score is None:
            if number == 1:
                continue
            raise InputError(f"{path}, line {number}", line[:50], "two words and a finite number")
        words = [word.lower() if lower else word for word in parts[:2]]
        pairs.append(Similarity(words[0], words[1], score))
    if not pairs:
        raise InputError("evaluation", str(path), "a file with pairs of words")
    return pairs


def read_analogies(path: str | os.PathLike[str], *, lower: bool = True) -> list[Analogy]:
    """Reads analogies, lines of four words in sections that start with a line `: name`.

    Args:
      path: a UTF-8 file, such as `questions-words.txt` of word2vec.
      lower: if True, words are converted to lower case.

    Returns:
      The analogies in the order of the file, each with its section.

    Raises:
      InputError: no such file, no analogy, or a line of another form. The message has the line.

    Example:
      >>> import tempfile
      >>> with tempfile.NamedTemporaryFile() as file:
      ...     _ = Path(file.name).write_text(": family\\nboy girl Man woman\\n")
      ...     read_analogies(file.name)
      [Analogy(a='boy', b='girl', c='man', d='woman', section='family')]

    Source: Mikolov et al. 2013, Efficient estimation of word representations in vector space.
    """
    section = ""
    found = []
    for number, line in _numbered(path):
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        words = (line.lower() if lower else line).split()
        if len(words) != 4:
            raise InputError(f"{path}, line {number}", line[:50], "four words, or ': section'")
        found.append(Analogy(words[0], words[1], words[2], words[3], section))
    if not found:
        raise InputError("evaluation", str(path), "a file with analogies")
    return found


def read_word_tests(
    directory: str | os.PathLike[str], *, lower: bool = True
) -> tuple[list[Similarity], list[Analogy]]:
    """Reads `wordsim353.tsv` and `questions-words.txt` from a directory.

    Args:
      directory: the directory.
      lower: if True, words are converted to lower case.

    Returns:
      The pairs and the analogies.

    Raises:
      InputError: a directory without one of the files, or files of another form.

    Example:
      >>> read_word_tests(".")
      Traceback (most recent call last):
      jaxdl.errors.InputError: evaluation: got '.', allowed: a directory with wordsim353.tsv and ...
    """
    folder = expand_path(directory, "evaluation")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError("evaluation", str(folder), f"a directory with {' and '.join(missing)}")
    pairs = read_similarities(folder / FILES[0], lower=lower)
    return pairs, read_analogies(folder / FILES[1], lower=lower)


def agreement(vectors: WordVectors, pairs: Sequence[Similarity]) -> Agreement:
    """Computes the rank correlation of cosines and scores of people.

        rho = correlation of the ranks; equal values have the mean of their ranks

    Args:
      vectors: the vectors.
      pairs: the pairs. Those with a word that has no vector are left out.

    Returns:
      The correlation, with the number of pairs and the share that was left out.

    Example:
      >>> array = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
      >>> vectors = WordVectors(("cup", "mug", "sky"), array)
      >>> scores = ("cup", "mug", 9), ("cup", "sky", 1), ("cup", "tea", 5)
      >>> pairs = [Similarity(*each) for each in scores]
      >>> rho, count, left_out = agreement(vectors, pairs)
      >>> round(rho, 6), count, round(left_out, 3)
      (1.0, 2, 0.333)
    """
    known = [pair for pair in pairs if pair.a in vectors and pair.b in vectors]
    left_out = 1 - len(known) / max(len(pairs), 1)
    cosines = np.array([vectors.similarity(pair.a, pair.b) for pair in known])
    scores = np.array([pair.score for pair in known])
    return Agreement(_rank_correlation(cosines, scores), len(known), left_out)


def answers(
    vectors: WordVectors, questions: Sequence[Analogy], among: int | None = None
) -> Answers:
    """Computes the share of analogies whose fourth word is the answer of `WordVectors.analogy`.

    Args:
      vectors: the vectors, the most frequent words first.
      questions: the analogies. Those with a word that does not count are left out.
      among: number of words from the start that count, both in questions and as answers; None means
        all.

    Returns:
      The share of right answers, with the number of questions and the share that was left out.

    Example:
      >>> array = np.array([[2, 0, 0], [2, 1, 0], [0, 0, 1], [0, 1, 1]], np.float32)
      >>> vectors = WordVectors(("man", "king", "woman", "queen"), array)
      >>> answers(vectors, [Analogy("man", "king", "woman", "queen")]).accuracy
      1.0
    """
    size = len(vectors)
    if among is not None:
        at_least("among", among, 1)
        size = min(among, size)
    index = {word: i for word, i in vectors.index.items() if i < size}
    known = [each for each in questions if all(word in index for word in each[:4])]
    ids = np.array([[index[word] for word in each[:4]] for each in known], np.int64).reshape(-1, 4)
    unit = vectors.unit[:size]
    right = np.zeros(len(ids), bool)
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        target = unit[part[:, 1]] - unit[part[:, 0]] + unit[part[:, 2]]
        cosines = target @ unit.T
        cosines[np.arange(len(part))[:, None], part[:, :3]] = -np.inf
        right[start : start + BATCH] = cosines.argmax(1) == part[:, 3]
    sections: dict[str, tuple[int, int]] = {}
    for each, is_right in zip(known, right.tolist(), strict=True):
        done, count = sections.get(each.section, (0, 0))
        sections[each.section] = done + is_right, count + 1
    accuracy = float(right.mean()) if len(right) else float("nan")
    left_out = 1 - len(known) / max(len(questions), 1)
    return Answers(accuracy, len(known), left_out, sections)


def _rank_correlation(x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"]) -> float:
    """Returns Spearman's correlation, NaN if one of the arrays is constant."""
    ranks = [_ranks(each) for each in (x, y)]
    if len(x) < 2 or min(np.ptp(each) for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(x: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Returns the ranks of numbers; equal ones have the mean of theirs."""
    _, group, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]


def _number(text: str) -> float | None:
    """Returns a finite number, or None for other texts."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _numbered(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    """Returns the lines of a file that are not empty, with their numbers."""
    path = expand_path(Path(path), "evaluation")
    with open_maybe_gzip(path) as file:
        text = decode_utf8(read_bounded(file), str(path))
    lines = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]
