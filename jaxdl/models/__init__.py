"""The networks, as Flax Linen modules; one idea per file."""

from jaxdl.models.cnn import CNN, Stage, lecture_cnn_3x3, lecture_cnn_5x5
from jaxdl.models.mlp import MLP, softmax_mlp
from jaxdl.models.table import table

__all__ = ["CNN", "MLP", "Stage", "lecture_cnn_3x3", "lecture_cnn_5x5", "softmax_mlp", "table"]
