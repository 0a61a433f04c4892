"""The training loop, strategies for devices, stores for checkpoints, writers for metrics."""

from jaxdl.training.evaluation import evaluate
from jaxdl.training.loop import train
from jaxdl.training.manifest import state_sha256
from jaxdl.training.plan import Patience
from jaxdl.training.store import Checkpoint, Directory, InMemory
from jaxdl.training.strategies import Pmapped, Sharded, strategy
from jaxdl.training.writers import Console, JsonLines, Memory, TensorBoard

__all__ = [
    "Checkpoint",
    "Console",
    "Directory",
    "InMemory",
    "JsonLines",
    "Memory",
    "Patience",
    "Pmapped",
    "Sharded",
    "TensorBoard",
    "evaluate",
    "state_sha256",
    "strategy",
    "train",
]
