"""Tasks: what a network is trained to do; each gives `init`, the loss and the inference functions."""

from jaxdl.tasks.classify import Classifier, classify, random_shift

__all__ = ["Classifier", "classify", "random_shift"]
