"""Layers that Linen lacks, or that are slow there on a CPU."""

from jaxdl.nn.activations import activation
from jaxdl.nn.conv import Conv, conv2d, out_size
from jaxdl.nn.dense import WeightNormDense, initializer
from jaxdl.nn.pool import avg_pool, max_pool

__all__ = ["Conv", "WeightNormDense", "activation", "avg_pool", "conv2d", "initializer", "max_pool", "out_size"]
