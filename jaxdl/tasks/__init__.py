"""Tasks: what a network is trained to do; each gives `init`, the loss and the inference functions."""

from jaxdl.tasks.applying import in_parts
from jaxdl.tasks.classify import Classifier, classify, random_shift
from jaxdl.tasks.language import Language, language
from jaxdl.tasks.regress import Regressor, regress
from jaxdl.tasks.sampling import check_filters, draw

__all__ = [
    "Classifier",
    "Language",
    "Regressor",
    "check_filters",
    "classify",
    "draw",
    "in_parts",
    "language",
    "random_shift",
    "regress",
]
