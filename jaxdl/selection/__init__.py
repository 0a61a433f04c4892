"""Model selection: a learning rate from one curve, cross-validation, and search of options."""

from jaxdl.selection.finder import RULES, RateCurve, find_learning_rate
from jaxdl.selection.folds import Folds, kfold
from jaxdl.selection.search import Rung, Search, grid, sample, search

__all__ = [
    "RULES",
    "Folds",
    "RateCurve",
    "Rung",
    "Search",
    "find_learning_rate",
    "grid",
    "kfold",
    "sample",
    "search",
]
