"""Fully connected layers: initializers by name, and a layer with weight normalization."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of


def initializer(name: str | Initializer) -> Initializer:
    """Returns the weight initializer called `name`; a function is returned unchanged.

    Source: Glorot, Bengio 2010; He et al. 2015; LeCun et al. 1998, Efficient BackProp.

    Args:
      name: glorot_normal, glorot_uniform, he_normal, he_uniform, lecun_normal, lecun_uniform, or
        truncated_normal, which is `0.1 z` with z standard normal within [-2, 2].

    Returns:
      `init(key, shape, dtype) -> array`; the last axis of `shape` is the layer's output.

    Raises:
      InputError: an unknown name; the message has the nearest known one.

    Example:
      >>> bool(jnp.abs(initializer("truncated_normal")(jax.random.key(0), (50,))).max() <= 0.2)
      True
    """
    if callable(name):
        return name
    by_fan = (
        "glorot_normal",
        "glorot_uniform",
        "he_normal",
        "he_uniform",
        "lecun_normal",
        "lecun_uniform",
    )
    if one_of("kernel_init", name, [*by_fan, "truncated_normal"]) in by_fan:
        return getattr(jax.nn.initializers, name)()
    return jax.nn.initializers.truncated_normal(0.1)


def normalize_weights(layer: nn.Module, kernel: Float[Array, "*N D"]) -> Float[Array, "*N D"]:
    """Applies weight normalization to a kernel of a layer.

        w_d = scale_d kernel_d / ||kernel_d||

    The scale, `[D]`, is a parameter of the layer. It starts at `||kernel_d||`, so w starts at the
    kernel.

    Source: Salimans, Kingma 2016, Weight normalization.

    Args:
      layer: the module, inside its compact method.
      kernel: its parameter `kernel`, `[..., D]`.

    Returns:
      w, with the shape of the kernel.
    """
    length = jnp.sqrt(jnp.sum(jnp.square(kernel), tuple(range(kernel.ndim - 1))))
    scale = layer.param("scale", lambda key: length)
    return kernel * (scale / length).reshape((1,) * (kernel.ndim - 1) + (-1,))


class WeightNormDense(nn.Module):
    """A fully connected layer with weight normalization.

        y = x w + b,    w_d = scale_d kernel_d / ||kernel_d||

    The norm of the weights and their direction are separate parameters. The scale starts at
    `||kernel_d||`, so the initial outputs are those of `flax.linen.Dense`.

    Source: Salimans, Kingma 2016, Weight normalization.

    Attributes:
      features: D, the number of outputs.
      dtype: dtype of the computation; None means that of input and parameters.
      param_dtype: dtype of the parameters.
      kernel_init: initializer of `kernel`, `[C, D]`.
      bias_init: initializer of `bias`, `[D]`.

    Example:
      >>> variables = WeightNormDense(3).init(jax.random.key(0), jnp.ones((1, 4)))
      >>> jax.tree.map(jnp.shape, variables["params"])
      {'bias': (3,), 'kernel': (4, 3), 'scale': (3,)}
    """

    features: int
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "*B C"]) -> Float[Array, "*B D"]:
        """Computes the layer's outputs.

        Args:
          x: `[..., C]`, float.

        Returns:
          `[..., features]`.

        Raises:
          InputError: features below 1, or an input without values.
        """
        at_least("features", self.features, 1)
        if not x.ndim or not x.shape[-1]:
            raise InputError("x", x.shape, "[..., C], with at least 1 input")
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        weights = normalize_weights(self, kernel)
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, weights, bias = promote_dtype(x, weights, bias, dtype=self.dtype)
        return x @ weights + bias.reshape((1,) * (x.ndim - 1) + (-1,))
