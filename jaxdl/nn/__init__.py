"""Layers that Linen lacks, or whose Linen versions are slow on a CPU."""

from jaxdl.nn.conv import Conv, conv2d
from jaxdl.nn.conv1d import Conv1D, conv1d
from jaxdl.nn.conv_transpose import ConvTranspose, conv_transpose2d
from jaxdl.nn.conv_transpose1d import ConvTranspose1D, conv_transpose1d
from jaxdl.nn.dense import WeightNormDense, initializer
from jaxdl.nn.elementwise import Dropout, PReLU, activation, activation_names
from jaxdl.nn.embedding import Embedding
from jaxdl.nn.masked_conv import MaskedConv
from jaxdl.nn.norm import Norm
from jaxdl.nn.pool import adaptive_avg_pool, avg_pool, lp_pool, max_pool
from jaxdl.nn.recurrent import GRU, LSTM, SimpleRNN
from jaxdl.nn.rnn import RNN
from jaxdl.nn.sequences import TimeDistributed, length_mask, lengths_of, pool_steps
from jaxdl.nn.sizes import out_size
from jaxdl.nn.spectral import spectral_norm, spectral_vectors
from jaxdl.nn.tap import named, tap

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Conv",
    "Conv1D",
    "ConvTranspose",
    "ConvTranspose1D",
    "Dropout",
    "Embedding",
    "MaskedConv",
    "Norm",
    "PReLU",
    "SimpleRNN",
    "TimeDistributed",
    "WeightNormDense",
    "activation",
    "activation_names",
    "adaptive_avg_pool",
    "avg_pool",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "initializer",
    "length_mask",
    "lengths_of",
    "lp_pool",
    "max_pool",
    "named",
    "out_size",
    "pool_steps",
    "spectral_norm",
    "spectral_vectors",
    "tap",
]
