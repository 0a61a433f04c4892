"""Experiments: options, run directories, results."""

from jaxdl.experiment.classification import Classification, classification
from jaxdl.experiment.fitting import Training, compare, fitted
from jaxdl.experiment.options import Options, launch
from jaxdl.experiment.run import Run, repeat

__all__ = [
    "Classification",
    "Options",
    "Run",
    "Training",
    "classification",
    "compare",
    "fitted",
    "launch",
    "repeat",
]
