"""Data sets: what is embedded, what is read, how it is cut, ordered and checked."""

from jaxdl.data.checks import check_batch_size, check_classification
from jaxdl.data.dataset import Dataset, holdout, split
from jaxdl.data.scaling import standardize
from jaxdl.data.sources import load

__all__ = ["Dataset", "check_batch_size", "check_classification", "holdout", "load", "split", "standardize"]
