"""Training: the loop, where it runs, what it keeps, whom it tells."""

from jaxdl.training.evaluation import evaluate
from jaxdl.training.loop import Every, Patience, train
from jaxdl.training.store import Directory, InMemory, state_sha256
from jaxdl.training.strategies import Pmapped, Sharded, strategy

__all__ = [
    "Directory",
    "Every",
    "InMemory",
    "Patience",
    "Pmapped",
    "Sharded",
    "evaluate",
    "state_sha256",
    "strategy",
    "train",
]
