"""Perceptrons of any depth; with no hidden layer, softmax regression."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.nn.activations import activation
from jaxdl.nn.dense import WeightNormDense, initializer
from jaxdl.nn.dropout import Dropout


class MLP(nn.Module):
    """A multi-layer perceptron.

        h_0 = x,    h_i = dropout(f(norm(h_{i-1} W_i + b_i))),    y = h_n W + b

    With `hidden=()` it is the single-layer (multi-class) perceptron, softmax regression under
    the cross-entropy.

    Source: Rosenblatt 1958; Rumelhart, Hinton, Williams 1986; Srivastava et al. 2014 (dropout);
    Ioffe, Szegedy 2015 (batch norm); Ba et al. 2016 (layer norm); Salimans, Kingma 2016 (weight norm).

    Attributes:
      hidden: widths of the hidden layers, from the input on.
      outputs: how many numbers per example, one per class.
      activation: its name, see `jaxdl.nn.activation`.
      dropout: the share of each hidden layer that training drops, in [0, 1).
      norm: None, "batch" (collection `batch_stats`; its own bias replaces the layer's), "layer" or
        "weight" (on every layer).
      kernel_init: the initializer's name, see `jaxdl.nn.initializer`.
      bias_init: what every bias starts at.
      dtype: of the computation (`jnp.bfloat16`); None: that of the input. Parameters are float32.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> import jax
      >>> model, x = MLP((512,)), jnp.zeros((2, 28, 28, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 10)
    """

    hidden: Sequence[int] = ()
    outputs: int = 10
    activation: str = "relu"
    dropout: float = 0.0
    norm: Literal["batch", "layer", "weight"] | None = None
    kernel_init: str = "he_normal"
    bias_init: float = 0.0
    dtype: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, Sequence):
            raise InputError("hidden", self.hidden, "a sequence of widths, () for none")
        for width in self.hidden:
            at_least("hidden", width, 1)
        at_least("outputs", self.outputs, 1)
        in_range("dropout", self.dropout, 0, 1)
        activation(self.activation)
        initializer(self.kernel_init)
        if self.norm is not None:
            one_of("norm", self.norm, ("batch", "layer", "weight"))
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "B ..."], train: bool) -> Float[Array, "B K"]:
        """The outputs, for a classifier its logits.

        Args:
          x: `[B, ...]`, float; flattened to `[B, D]`.
          train: whether to drop (random stream "dropout") and to use the batch's own statistics.

        Returns:
          `[B, outputs]`, float32.

        Raises:
          InputError: no batch axis, or not float.
        """
        if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "floats [B, ...]")
        h = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden):
            h = self._dense(width, f"dense_{i}", self.norm != "batch")(h)
            h = activation(self.activation)(normalized(h, self.norm, f"norm_{i}", train))
            h = Dropout(self.dropout)(h, train)
        y = self._dense(self.outputs, "out")(h)
        return y.astype(jnp.float32)

    def _dense(self, width: int, name: str, use_bias: bool = True) -> nn.Module:
        init = initializer(self.kernel_init)
        bias = nn.initializers.constant(self.bias_init)
        if self.norm == "weight":
            return WeightNormDense(
                width, dtype=self.dtype, kernel_init=init, bias_init=bias, name=name
            )
        # BatchNorm takes any bias before it away again, so none could be trained.
        return nn.Dense(
            width, use_bias, dtype=self.dtype, kernel_init=init, bias_init=bias, name=name
        )


def normalized(
    h: Float[Array, "B ..."], norm: str | None, name: str, train: bool
) -> Float[Array, "B ..."]:
    """`h` after the normalization of a hidden layer or a stage, to call inside a module.

        (h - mean) / sqrt(var + eps) scale + bias

    Computed in float32, whatever the dtype of `h`: the statistics need it.

    Args:
      h: `[B, ..., D]`, float; each of the D features has a scale and a bias.
      norm: "batch": statistics over all but D, running ones with momentum 0.9; "layer": over D;
        anything else: none.
      name: of the layer.
      train: whether "batch" uses the batch's own statistics.

    Returns:
      The same shape and dtype.

    Example:
      >>> normalized(jnp.ones((2, 3)), None, "norm_0", train=True).shape
      (2, 3)
    """
    wide = h.astype(jnp.float32)
    if norm == "batch":
        wide = nn.BatchNorm(use_running_average=not train, momentum=0.9, name=name)(wide)
    elif norm == "layer":
        wide = nn.LayerNorm(name=name)(wide)
    return wide.astype(h.dtype)


def softmax_mlp() -> MLP:
    """The lecture's 784-512-10 network: one hidden layer of ReLUs, 407,050 parameters on 28x28 images.

    Returns:
      An `MLP`; the softmax belongs to the loss.

    Example:
      >>> import jax
      >>> model, x = softmax_mlp(), jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      407050
    """
    return MLP((512,))
