"""Data sets: what is embedded, generated or read, how it is cut, ordered and checked."""

from jaxdl.data.checks import check_batch_size, check_classification
from jaxdl.data.dataset import Dataset, holdout, split
from jaxdl.data.long_range_tasks import adding, copy_memory
from jaxdl.data.reviews import Reviews, encode_reviews, read_reviews, synthetic_reviews
from jaxdl.data.scaling import standardize
from jaxdl.data.series import chronological, forecast_windows, series
from jaxdl.data.sources import load
from jaxdl.data.text import (
    contiguous_windows,
    read_text,
    split_text,
    text_evaluation_windows,
    windows,
)
from jaxdl.data.vectors import read_vectors
from jaxdl.data.video import moving_digits
from jaxdl.data.vocabulary import Vocabulary, check_ids

__all__ = [
    "Dataset",
    "Reviews",
    "Vocabulary",
    "adding",
    "check_batch_size",
    "check_classification",
    "check_ids",
    "chronological",
    "copy_memory",
    "encode_reviews",
    "forecast_windows",
    "split_text",
    "holdout",
    "text_evaluation_windows",
    "load",
    "moving_digits",
    "read_reviews",
    "read_text",
    "read_vectors",
    "synthetic_reviews",
    "series",
    "split",
    "standardize",
    "contiguous_windows",
    "windows",
]
