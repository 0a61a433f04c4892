"""EfficientNet-Lite: inverted residual blocks of depthwise convolutions."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range
from jaxdl.metrics import wide
from jaxdl.models.mlp import normalize
from jaxdl.nn.conv import Conv
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.norm import Norm
from jaxdl.nn.tap import named


@dataclasses.dataclass(frozen=True)
class InvertedResidual:
    """Inverted residual blocks of one width.

    Attributes:
      features: number of output channels.
      blocks: number of blocks in sequence.
      kernel: height and width of the depthwise kernels.
      strides: stride of the first block.
      expansion: channels of the depthwise convolution per input channel.

    Raises:
      InputError: a field below 1.

    Example:
      >>> InvertedResidual(24, blocks=2, strides=2).expansion
      6
    """

    features: int
    blocks: int = 1
    kernel: int = 3
    strides: int = 1
    expansion: int = 6

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            at_least(field.name, getattr(self, field.name), 1)


class EfficientNet(nn.Module):
    """A network of inverted residual blocks, without squeeze and excitation.

        block:    u = f(norm(h * E)),   v = f(norm(depthwise(u))),   y = norm(v * P)

    E and P are 1x1 convolutions and f is `min(max(x, 0), 6)`. A block whose shapes allow it returns
    h + y. A block with expansion 1 has no E. After the blocks follow a 1x1 convolution, the mean
    over all positions, dropout and the logits. Padding is "SAME".

    Block i has the name `block_i`, with layers `expand`, `depthwise`, `project` and their norms.
    Activations are `block_i/activation_expand` and `block_i/activation_depthwise`.

    Source: Tan, Le 2019, EfficientNet; Liu 2020, EfficientNet-Lite; Sandler et al. 2018,
    MobileNetV2 (the blocks). Stochastic depth of the source is left out.

    Attributes:
      stages: the blocks of each width.
      stem: number of kernels of the first convolution, 3x3 with stride 2.
      top: number of kernels of the last convolution.
      outputs: number of classes. None means no head: the outputs are the maps after `top`.
      dropout: dropout rate of the head, in [0, 1).
      momentum: share of the running statistics that a step of training keeps.
      epsilon: number that the norms add to variances.
      dtype: dtype of the computation; None means that of the input. Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = EfficientNet((InvertedResidual(8),), stem=4, top=16, outputs=3)
      >>> x = jnp.zeros((2, 16, 16, 3))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 3)
    """

    stages: Sequence[InvertedResidual]
    stem: int = 32
    top: int = 1280
    outputs: int | None = 1000
    dropout: float = 0.2
    momentum: float = 0.99
    epsilon: float = 1e-3
    dtype: Any = None

    def __post_init__(self) -> None:
        stages = self.stages
        if not isinstance(stages, Sequence) or not all(
            isinstance(each, InvertedResidual) for each in stages
        ):
            raise InputError("stages", stages, "a sequence of InvertedResidual")
        self.stages = tuple(stages)
        for field in ("stem", "top"):
            at_least(field, getattr(self, field), 1)
        if self.outputs is not None:
            at_least("outputs", self.outputs, 1)
        in_range("dropout", self.dropout, 0, 1)
        self._norm()  # Raises if a number is out of range.
        super().__post_init__()

    def _norm(self) -> Norm:
        in_range("epsilon", self.epsilon, 0, math.inf)
        return Norm("batch", self.epsilon, self.momentum)

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B ..."]:
        """Computes the outputs, which are the logits of a classifier.

        Args:
          x: images `[B, H, W, C]`, float.
          train: if True, applies dropout (random stream "dropout") and uses the statistics of the
            batch.

        Returns:
          `[B, outputs]`, or maps `[B, I, J, top]`; float32.

        Raises:
          InputError: a wrong rank, or not float.
        """
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "float images [B, H, W, C]")
        norm = self._norm()
        x = Conv(self.stem, 3, 2, use_bias=False, dtype=self.dtype, name="conv_stem")(x)
        x = _relu6(self, "activation_stem", normalize(x, norm, "norm_stem", train))
        i = 0
        for stage in self.stages:
            for repeat in range(stage.blocks):
                first = repeat == 0
                block = _Block(
                    stage.features,
                    stage.kernel,
                    stage.strides if first else 1,
                    stage.expansion,
                    norm,
                    self.dtype,
                    name=f"block_{i}",
                )
                x = block(x, train)
                i += 1
        x = Conv(self.top, 1, use_bias=False, dtype=self.dtype, name="conv_top")(x)
        x = _relu6(self, "activation_top", normalize(x, norm, "norm_top", train))
        if self.outputs is None:
            return wide(x)
        x = Dropout(self.dropout)(named(self, "pool_head", x.mean((1, 2))), train)
        return wide(nn.Dense(self.outputs, dtype=self.dtype, name="out")(x))


class _Block(nn.Module):
    """One inverted residual block."""

    features: int
    kernel: int
    strides: int
    expansion: int
    norm: Norm
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B I J D"]:
        h = x
        norm = self.norm
        if self.expansion > 1:
            width = x.shape[-1] * self.expansion
            h = Conv(width, 1, use_bias=False, dtype=self.dtype, name="expand")(h)
            h = _relu6(self, "activation_expand", normalize(h, norm, "norm_expand", train))
        h = Conv(
            h.shape[-1],
            self.kernel,
            self.strides,
            groups=h.shape[-1],
            use_bias=False,
            dtype=self.dtype,
            name="depthwise",
        )(h)
        h = _relu6(self, "activation_depthwise", normalize(h, norm, "norm_depthwise", train))
        h = Conv(self.features, 1, use_bias=False, dtype=self.dtype, name="project")(h)
        h = normalize(h, norm, "norm_project", train)
        if self.strides == 1 and h.shape == x.shape:
            h = h + x.astype(h.dtype)
        return h


def _relu6(module: nn.Module, name: str, x: Array) -> Array:
    """Computes `min(max(x, 0), 6)`, with a name for `jaxdl.nn.tap`."""
    return named(module, name, jax.nn.relu6(x))


def efficientnet_lite0(outputs: int | None = 1000, dropout: float = 0.2) -> EfficientNet:
    """Returns EfficientNet-Lite0, which has 4,652,008 parameters for 1000 classes.

    Source: Liu 2020, EfficientNet-Lite; its images are 224 x 224 with pixels (x - 127) / 128.

    Args:
      outputs: number of classes; None means no head.
      dropout: dropout rate of the head, in [0, 1).

    Returns:
      An `EfficientNet` of 16 blocks.

    Example:
      >>> sum(stage.blocks for stage in efficientnet_lite0().stages)
      16
    """
    stages = (
        InvertedResidual(16, 1, expansion=1),
        InvertedResidual(24, 2, 3, 2),
        InvertedResidual(40, 2, 5, 2),
        InvertedResidual(80, 3, 3, 2),
        InvertedResidual(112, 3, 5, 1),
        InvertedResidual(192, 4, 5, 2),
        InvertedResidual(320, 1),
    )
    return EfficientNet(stages, outputs=outputs, dropout=dropout)
