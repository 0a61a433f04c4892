"""Layers that Linen lacks, or that are slow there on a CPU."""

from jaxdl.nn.activations import activation
from jaxdl.nn.conv import Conv, conv2d, out_size
from jaxdl.nn.conv_transpose import ConvTranspose, conv_transpose2d
from jaxdl.nn.dense import WeightNormDense, initializer
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.pool import avg_pool, max_pool
from jaxdl.nn.recurrent import GRU, LSTM, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "SimpleRNN",
    "WeightNormDense",
    "activation",
    "avg_pool",
    "conv2d",
    "conv_transpose2d",
    "initializer",
    "max_pool",
    "out_size",
]
