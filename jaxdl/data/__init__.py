"""Data sets: loading, generating, splitting, scaling, ordering and checking them."""

from jaxdl.data.checks import check_classification
from jaxdl.data.columns import Column, encode_rows
from jaxdl.data.conversion import as_dataset
from jaxdl.data.curves import SINE, TEMPO, Curve, curve_points
from jaxdl.data.dataset import Dataset, check_batch_size, holdout, split
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.faults import find_faults
from jaxdl.data.labels import few_labels, first_labels, random_labels
from jaxdl.data.loading import load
from jaxdl.data.long_range_tasks import (
    adding,
    copy_memory,
    image_sequences,
    long_range_sets,
    memoryless_error,
)
from jaxdl.data.marks import Mark, add_strays, plant
from jaxdl.data.pairs import WordRows, cooccurrences, word_rows
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.data.reviews import (
    Reviews,
    encode_reviews,
    load_reviews,
    read_reviews,
    synthetic_reviews,
)
from jaxdl.data.scaling import standardize
from jaxdl.data.series import chronological, forecast_sets, forecast_windows, series
from jaxdl.data.sound import (
    Sounds,
    level_entropy,
    mu_law,
    mu_law_inverse,
    plucked,
    read_wav,
    sines,
    write_wav,
)
from jaxdl.data.source import Simulated, Source, paired
from jaxdl.data.tales import tales, tales_tests
from jaxdl.data.text import (
    TextSets,
    contiguous_windows,
    read_text,
    split_text,
    text_evaluation_windows,
    text_sets,
    windows,
)
from jaxdl.data.vectors import read_vectors
from jaxdl.data.video import moving_digits, single_frames
from jaxdl.data.vocabulary import Vocabulary, check_ids
from jaxdl.data.weights import class_weights
from jaxdl.data.word_tests import (
    Analogy,
    Similarity,
    agreement,
    answers,
    read_analogies,
    read_similarities,
    read_word_tests,
)
from jaxdl.data.word_vectors import WordVectors, read_word_vectors

__all__ = [
    "SINE",
    "TEMPO",
    "Analogy",
    "Column",
    "Curve",
    "Dataset",
    "Mark",
    "Preprocessing",
    "Reviews",
    "Similarity",
    "Simulated",
    "Sounds",
    "Source",
    "TextEncoding",
    "TextSets",
    "Vocabulary",
    "WordRows",
    "WordVectors",
    "add_strays",
    "adding",
    "agreement",
    "answers",
    "as_dataset",
    "check_batch_size",
    "check_classification",
    "check_ids",
    "chronological",
    "class_weights",
    "contiguous_windows",
    "cooccurrences",
    "copy_memory",
    "curve_points",
    "encode_reviews",
    "encode_rows",
    "few_labels",
    "find_faults",
    "first_labels",
    "forecast_sets",
    "forecast_windows",
    "holdout",
    "image_sequences",
    "level_entropy",
    "load",
    "load_reviews",
    "long_range_sets",
    "memoryless_error",
    "moving_digits",
    "mu_law",
    "mu_law_inverse",
    "paired",
    "plant",
    "plucked",
    "random_labels",
    "read_analogies",
    "read_reviews",
    "read_similarities",
    "read_text",
    "read_vectors",
    "read_wav",
    "read_word_tests",
    "read_word_vectors",
    "series",
    "sines",
    "single_frames",
    "split",
    "split_text",
    "standardize",
    "synthetic_reviews",
    "tales",
    "tales_tests",
    "text_evaluation_windows",
    "text_sets",
    "windows",
    "write_wav",
    "word_rows",
]
