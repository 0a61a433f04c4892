"""Multi-layer perceptrons, and softmax regression as the one without hidden layers."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, integers
from jaxdl.metrics import wide
from jaxdl.nn.dense import WeightNormDense, initializer
from jaxdl.nn.elementwise import Dropout, activation
from jaxdl.nn.norm import Norm, check_norm, norm_of, refuse_single_values, replaces_bias
from jaxdl.nn.tap import named


class MLP(nn.Module):
    """A multi-layer perceptron.

        h_0 = x,    h_i = dropout(f(norm(h_{i-1} W_i + b_i))),    y = h_n W + b

    With `hidden=()` it is a single-layer perceptron. With the cross-entropy that is softmax
    regression.

    Source: Rosenblatt 1958; Rumelhart, Hinton, Williams 1986; Srivastava et al. 2014 (dropout);
    Ioffe, Szegedy 2015 (batch norm); Ba et al. 2016 (layer norm); Salimans, Kingma 2016 (weight
    norm).

    Attributes:
      hidden: widths of the hidden layers, beginning at the input.
      outputs: number of outputs per example, one per class.
      activation: name of the activation, see `jaxdl.nn.activation`.
      dropout: dropout rate of the hidden layers, in [0, 1).
      norm: None, "weight" on every layer, a `jaxdl.nn.Norm`, or its kind: "batch" (collection
        `batch_stats`), "layer", "rms" or "group". The bias of "batch" replaces that of the dense
        layer.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      bias_init: initial value of every bias.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> model = MLP((512,))
      >>> x = jnp.zeros((2, 28, 28, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 10)
    """

    hidden: Sequence[int] = ()
    outputs: int = 10
    activation: str = "relu"
    dropout: float = 0.0
    norm: Norm | str | None = None
    kernel_init: str = "he_normal"
    bias_init: float = 0.0
    dtype: Any = None

    def __post_init__(self) -> None:
        self.hidden = integers("hidden", self.hidden, None, "a sequence of widths, () for none")
        at_least("outputs", self.outputs, 1)
        in_range("dropout", self.dropout, 0, 1)
        activation(self.activation)
        initializer(self.kernel_init)
        check_norm(self.norm, "weight", dense=self.hidden)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "B ..."], train: bool) -> Float[Array, "B K"]:
        """Computes the outputs, which are the logits of a classifier.

        Args:
          x: `[B, ...]`, float. It is flattened to `[B, D]`.
          train: if True, applies dropout (random stream "dropout") and uses the statistics of the
            batch.

        Returns:
          `[B, outputs]`, float32, or float64 for a computation in float64.

        Raises:
          InputError: no batch axis, or not float.
        """
        if x.ndim < 2 or 0 in x.shape[1:] or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "floats [B, ...]")
        h = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        for i, width in enumerate(self.hidden):
            h = self._dense(width, f"dense_{i}", not replaces_bias(self.norm))(h)
            h = activation(self.activation)(normalize(h, self.norm, f"norm_{i}", train))
            h = named(self, f"activation_{i}", h)
            h = Dropout(self.dropout)(h, train)
        y = self._dense(self.outputs, "out")(h)
        return wide(y)

    def _dense(self, width: int, name: str, use_bias: bool = True) -> nn.Module:
        init = initializer(self.kernel_init)
        bias = nn.initializers.constant(self.bias_init)
        if self.norm == "weight":
            return WeightNormDense(
                width, dtype=self.dtype, kernel_init=init, bias_init=bias, name=name
            )
        # BatchNorm subtracts any bias before it, so that bias could not be trained.
        return nn.Dense(
            width, use_bias, dtype=self.dtype, kernel_init=init, bias_init=bias, name=name
        )


def normalize(
    h: Float[Array, "B ..."], norm: Norm | str | None, name: str, train: bool
) -> Float[Array, "B ..."]:
    """Applies the norm of a hidden layer or a stage; to be called inside a module.

        (h - mean) / sqrt(var + eps) scale + bias

    The computation is in float32 or a wider dtype, because the statistics need it.

    Args:
      h: `[B, ..., D]`, float; each of the D features has a scale and a bias.
      norm: a `Norm` or its kind; None or "weight" for no norm.
      name: name of the norm's layer.
      train: if True, "batch" uses the statistics of the batch.

    Returns:
      An array of the same shape and dtype.

    Raises:
      InputError: statistics of one value, as in `jaxdl.nn.norm`, or groups that do not divide D.

    Example:
      >>> normalize(jnp.ones((2, 3)), None, "norm_0", train=True).shape
      (2, 3)
    """
    y = wide(h)
    found = norm_of(norm)
    if found is not None:
        with nn.intercept_methods(refuse_single_values):
            y = found.layer(name, train, h.shape[-1])(y)  # type: ignore[operator]
    return y.astype(h.dtype)


def softmax_mlp() -> MLP:
    """Returns the lectures' 784-512-10 network.

    It has one hidden layer of ReLUs and 407,050 parameters for 28x28 images.

    Returns:
      An `MLP`. The softmax is part of the loss.

    Example:
      >>> import jax
      >>> model = softmax_mlp()
      >>> x = jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      407050
    """
    return MLP((512,))
