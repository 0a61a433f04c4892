"""Experiments: options, run directories, results."""

from jaxdl.experiment.classification import Classification, classification
from jaxdl.experiment.fitting import Training, compare, fitted
from jaxdl.experiment.game import Game, game
from jaxdl.experiment.judge import collapse, judge_of, judged, noise, numbers
from jaxdl.experiment.options import Options, launch
from jaxdl.experiment.run import Run, repeat

__all__ = [
    "Classification",
    "Game",
    "Options",
    "Run",
    "Training",
    "classification",
    "collapse",
    "compare",
    "fitted",
    "game",
    "judge_of",
    "judged",
    "launch",
    "noise",
    "numbers",
    "repeat",
]
