"""Tests of the encoding of texts: rows of equal length, and files that are refused."""

import json

import numpy as np
import pytest

from jaxdl.data import TextEncoding, Vocabulary
from jaxdl.errors import InputError

WORDS = ["to", "be", "or", "not", "that", "is", "the", "question"]
VOCABULARY = Vocabulary.build(" ".join(WORDS), "word")


@pytest.mark.parametrize("keep", ["first", "last"])
def test_rows_hold_the_first_or_the_last_tokens(keep):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, n)) for n in random.integers(0, 12, 30)]
    rows, lengths = TextEncoding(VOCABULARY, 5, keep)(texts)
    for text, row, length in zip(texts, rows, lengths, strict=True):
        words = text.split()[:5] if keep == "first" else text.split()[-5:]
        ids = [VOCABULARY.index[word] for word in words] or [1]
        assert row.tolist() == ids + [0] * (5 - len(ids))
        assert length == len(ids)


def test_an_encoding_comes_back_from_json():
    encoding = TextEncoding(VOCABULARY, 7, "first")
    assert TextEncoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


@pytest.mark.parametrize("change", [{"length": 0}, {"keep": "middle"}, {"tokens": ["a"]}, {"x": 1}])
def test_other_contents_are_refused(change):
    stored = TextEncoding(VOCABULARY, 7).to_json()
    with pytest.raises(InputError):
        TextEncoding.from_json({**stored, **change})


@pytest.mark.parametrize("text", ["to be or", "to be or not to", "to be or nothing", ""])
def test_texts_that_must_be_whole(text):
    encoding = TextEncoding(VOCABULARY, 4, "all")
    rows, lengths = encoding(["to be or not", "not to be is"])
    assert (rows > 1).all() and lengths.tolist() == [4, 4]
    with pytest.raises(InputError, match="allowed: 4 of the 8 tokens of the vocabulary"):
        encoding(["to be or not", text])
