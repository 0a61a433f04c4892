"""Networks that map vectors or feature maps to images by transposed convolutions."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, integers
from jaxdl.metrics import wide
from jaxdl.models.mlp import normalize
from jaxdl.nn.conv_transpose import ConvTranspose
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import activation
from jaxdl.nn.norm import Norm, check_norm, replaces_bias
from jaxdl.nn.tap import named


@dataclasses.dataclass(frozen=True)
class UpStage:
    """A transposed convolution of a `ConvDecoder`.

    Attributes:
      features: number of kernels; in the last stage, the number of channels of the image.
      kernel: height and width of the kernels. A multiple of `strides` covers all pixels equally
        often.
      strides: factor by which height and width grow.

    Raises:
      InputError: an invalid field.

    Example:
      >>> UpStage(32)
      UpStage(features=32, kernel=4, strides=2)
    """

    features: int
    kernel: int = 4
    strides: int = 2

    def __post_init__(self) -> None:
        for name in ("features", "kernel", "strides"):
            at_least(name, getattr(self, name), 1)


def three_sizes(field: str, value: Any, allowed: str) -> tuple[int, int, int]:
    """Returns a sequence of three sizes as a tuple.

    Example:
      >>> three_sizes("shape", [8, 8, 1], "height, width and channels")
      (8, 8, 1)
    """
    sizes = integers(field, value, None, allowed)
    if len(sizes) != 3:
        raise InputError(field, value, allowed)
    return sizes[0], sizes[1], sizes[2]


class ConvDecoder(nn.Module):
    """A decoder of images: dense layers, then stages that enlarge feature maps.

        h_0 = f(norm(reshape(g(z) W + b)))
        h_i = f(norm(h_{i-1} *T K_i + b_i))
        y   = h_{n-1} *T K_n + b_n

    g stands for the hidden dense layers, f(norm(z V_j + c_j)) each.

    Source: Zeiler et al. 2010, Deconvolutional networks; Radford, Metz, Chintala 2016 (DCGAN).

    Attributes:
      stages: the stages in order. The last one returns the image, without norm and activation.
      start: height, width and features of the first feature maps; None if the input is maps.
      dense: widths of the hidden dense layers before the first feature maps.
      activation: name of the activation, see `jaxdl.nn.activation`.
      norm: None, a `jaxdl.nn.Norm`, or its kind, such as "batch" (collection `batch_stats`); after
        every layer except the last.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> model = ConvDecoder((UpStage(16), UpStage(1)), start=(7, 7, 32))
      >>> z = jnp.zeros((2, 20))
      >>> variables = model.init(jax.random.key(0), z, train=False)
      >>> model.apply(variables, z, train=False).shape
      (2, 28, 28, 1)
    """

    stages: Sequence[UpStage]
    start: Sequence[int] | None = None
    dense: Sequence[int] = ()
    activation: str = "relu"
    norm: Norm | str | None = None
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        if (
            not isinstance(self.stages, Sequence)
            or not self.stages
            or not all(isinstance(s, UpStage) for s in self.stages)
        ):
            raise InputError("stages", self.stages, "a sequence of UpStage, at least one")
        if self.start is not None:
            allowed = "height, width and features"
            self.start = three_sizes("start", self.start, allowed)
        self.dense = integers("dense", self.dense, None, "a sequence of widths, () for none")
        if self.dense and self.start is None:
            raise InputError(
                "dense", self.dense, "() without `start`, where the input is feature maps"
            )
        activation(self.activation)
        initializer(self.kernel_init)
        check_norm(self.norm, dense=self.dense)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Float[Array, "B ..."], train: bool) -> Float[Array, "B H W C"]:
        """Computes images, or logits if the likelihood takes logits.

        Args:
          z: `[B, Z]`, or maps `[B, I, J, D]` without `start`; float.
          train: if True, the norm uses the statistics of the batch.

        Returns:
          `[B, H, W, C]`, float32. H and W are those of the first maps times all strides, C is the
          number of features of the last stage.

        Raises:
          InputError: another rank, or not float.
        """
        self._check(z)
        h = z
        if self.start is not None:
            h = self._stem(z, train)
        for i, stage in enumerate(self.stages):
            last = i == len(self.stages) - 1
            h = self._up(stage, i, last)(h)
            if not last:
                h = self._norm_activation(h, str(i), train)
        return wide(h)

    def _check(self, z: Array) -> None:
        rank = 2
        allowed = "float vectors [B, Z]"
        if self.start is None:
            rank = 4
            allowed = "float maps [B, I, J, D]"
        if z.ndim != rank or not jnp.issubdtype(z.dtype, jnp.floating):
            raise InputError("z", f"{z.dtype}{list(z.shape)}", allowed)

    def _stem(self, h: Array, train: bool) -> Array:
        assert self.start is not None
        for i, width in enumerate(self.dense):
            h = self._dense(width, f"dense_{i}")(h)
            h = self._norm_activation(h, f"dense_{i}", train)
        h = self._dense(math.prod(self.start), "dense")(h).reshape(-1, *self.start)
        return self._norm_activation(h, "start", train)

    def _dense(self, width: int, name: str) -> nn.Dense:
        init = initializer(self.kernel_init)
        use_bias = not replaces_bias(self.norm)
        return nn.Dense(width, use_bias, dtype=self.dtype, kernel_init=init, name=name)

    def _up(self, stage: UpStage, i: int, last: bool) -> ConvTranspose:
        return ConvTranspose(
            stage.features,
            (stage.kernel, stage.kernel),
            (stage.strides, stage.strides),
            use_bias=last or not replaces_bias(self.norm),
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            name=f"up_{i}",
        )

    def _norm_activation(self, h: Array, name: str, train: bool) -> Array:
        h = activation(self.activation)(normalize(h, self.norm, f"norm_{name}", train))
        return named(self, f"activation_{name}", h)
