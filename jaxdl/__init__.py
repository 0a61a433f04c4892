"""jaxdl: the classic networks of deep learning, as pure functions in JAX."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxdl import data, losses, metrics, models, nn, optimizers, plots, scores, tasks, training
from jaxdl.core import Learner, State, Update, inference, learner
from jaxdl.rng import root, stream
from jaxdl.training import Patience, evaluate, state_sha256, strategy, train
from jaxdl.version import __version__
from jaxdl.wrappers import accumulate, skip_nonfinite, sweep, with_ema

if TYPE_CHECKING:
    from jaxdl.reproduce import reproduce

__all__ = [
    "__version__",
    "Learner",
    "Patience",
    "State",
    "Update",
    "accumulate",
    "data",
    "evaluate",
    "inference",
    "learner",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "plots",
    "reproduce",
    "root",
    "scores",
    "skip_nonfinite",
    "state_sha256",
    "strategy",
    "stream",
    "sweep",
    "tasks",
    "train",
    "training",
    "with_ema",
]


def __getattr__(name: str) -> Any:
    """Imports `reproduce` at its first use, because it loads everything that runs need."""
    if name == "reproduce":
        return importlib.import_module("jaxdl.reproduce")
    raise AttributeError(f"module 'jaxdl' has no attribute {name!r}")
