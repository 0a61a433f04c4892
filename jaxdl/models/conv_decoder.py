"""Images from vectors or from maps: stages of transposed convolution, a convolutional network turned around."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models.mlp import normalized
from jaxdl.nn.activations import activation
from jaxdl.nn.conv_transpose import ConvTranspose
from jaxdl.nn.dense import initializer


@dataclasses.dataclass(frozen=True)
class UpStage:
    """One transposed convolution.

    Attributes:
      features: how many kernels; of the last stage the channels of the image.
      kernel: their height and width. A multiple of `strides` covers every pixel equally often.
      strides: how many times larger the image becomes.

    Raises:
      InputError: for a field that cannot be used.

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


class ConvDecoder(nn.Module):
    """A network that draws: dense layers, the last one to the first maps, then stages that make them larger.

        h_0 = f(norm(reshape(g(z) W + b))),   h_i = f(norm(h_{i-1} *T K_i + b_i)),   y = h_{n-1} *T K_n + b_n

    and g the hidden dense layers, f(norm(z V_j + c_j)) each.

    Source: Zeiler et al. 2010, Deconvolutional networks; Radford, Metz, Chintala 2016 (DCGAN).

    Attributes:
      stages: from the first maps on; the last one gives the image, without norm and activation.
      start: height, width and features of the first maps; None: maps come in, not vectors.
      dense: widths of the hidden layers before the first maps, as a `CNN` has them behind its last ones.
      activation: its name, see `jaxdl.nn.activation`.
      norm: None, or "batch" (collection `batch_stats`), after every stage but the last.
      kernel_init: the initializer's name, see `jaxdl.nn.initializer`.
      dtype: of the computation (`jnp.bfloat16`); None: that of the input. Parameters are float32.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> import jax
      >>> model, z = ConvDecoder((UpStage(16), UpStage(1)), start=(7, 7, 32)), jnp.zeros((2, 20))
      >>> variables = model.init(jax.random.key(0), z, train=False)
      >>> model.apply(variables, z, train=False).shape
      (2, 28, 28, 1)
    """

    stages: Sequence[UpStage]
    start: tuple[int, int, int] | None = None
    dense: Sequence[int] = ()
    activation: str = "relu"
    norm: Literal["batch"] | None = None
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        if (
            not isinstance(self.stages, Sequence)
            or not self.stages
            or not all(isinstance(s, UpStage) for s in self.stages)
        ):
            raise InputError("stages", self.stages, "a sequence of UpStage, at least one")
        if self.start is not None and not (
            isinstance(self.start, Sequence) and len(self.start) == 3
        ):
            raise InputError("start", self.start, "height, width and features")
        for size in self.start or ():
            at_least("start", size, 1)
        if self.dense and self.start is None:
            raise InputError(
                "dense", self.dense, "() where maps come in; start makes them from vectors"
            )
        for width in self.dense:
            at_least("dense", width, 1)
        activation(self.activation)
        initializer(self.kernel_init)
        if self.norm is not None:
            one_of("norm", self.norm, ("batch",))
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Float[Array, "B ..."], train: bool) -> Float[Array, "B H W C"]:
        """The images, for a likelihood from logits their logits.

        Args:
          z: `[B, Z]`, or maps `[B, I, J, D]` where there is no `start`; float.
          train: whether "batch" uses the batch's own statistics.

        Returns:
          `[B, H, W, features of the last stage]`, float32; H and W are those of the first maps times all strides.

        Raises:
          InputError: another rank, or not float.
        """
        rank, said = (
            (4, "float maps [B, I, J, D]") if self.start is None else (2, "float vectors [B, Z]")
        )
        if z.ndim != rank or not jnp.issubdtype(z.dtype, jnp.floating):
            raise InputError("z", f"{z.dtype}{list(z.shape)}", said)
        h = z if self.start is None else self._stem(z, train)
        for i, stage in enumerate(self.stages):
            last = i == len(self.stages) - 1
            h = self._up(stage, i, last)(h)
            h = h if last else self._after(h, f"norm_{i}", train)
        return h.astype(jnp.float32)

    def _stem(self, h: Array, train: bool) -> Array:
        assert self.start is not None
        for i, width in enumerate(self.dense):
            h = self._after(self._dense(width, f"dense_{i}")(h), f"norm_dense_{i}", train)
        h = self._dense(math.prod(self.start), "dense")(h).reshape(-1, *self.start)
        return self._after(h, "norm_start", train)

    def _dense(self, width: int, name: str) -> nn.Dense:
        init = initializer(self.kernel_init)
        return nn.Dense(width, self.norm is None, dtype=self.dtype, kernel_init=init, name=name)

    def _up(self, stage: UpStage, i: int, last: bool) -> ConvTranspose:
        return ConvTranspose(
            stage.features,
            (stage.kernel, stage.kernel),
            (stage.strides, stage.strides),
            use_bias=last or self.norm is None,  # BatchNorm has one of its own
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            name=f"up_{i}",
        )

    def _after(self, h: Array, name: str, train: bool) -> Array:
        return activation(self.activation)(normalized(h, self.norm, name, train))
