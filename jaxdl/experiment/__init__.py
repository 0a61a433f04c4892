"""Experiments: options, run directories, results."""

from jaxdl.experiment.classification import Classification, classification
from jaxdl.experiment.directory import read_array
from jaxdl.experiment.draws import collapse, judge_draws, judged, noise
from jaxdl.experiment.fitting import Training, compare, fitted
from jaxdl.experiment.game import Game, game
from jaxdl.experiment.images import image_sets
from jaxdl.experiment.judge import judge_of
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
    "image_sets",
    "judge_draws",
    "judge_of",
    "judged",
    "launch",
    "noise",
    "read_array",
    "repeat",
]
