"""Convolutional classifiers: stages of convolution and pooling, then a dense head."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.models.mlp import MLP, normalized
from jaxdl.nn.activations import KEEPS_LARGEST, activation
from jaxdl.nn.conv import Conv, Padding, out_size
from jaxdl.nn.dense import initializer
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.pool import avg_pool, max_pool


@dataclasses.dataclass(frozen=True)
class Stage:
    """One convolution and what follows it: norm, activation, pooling, dropout.

    Attributes:
      features: how many kernels.
      kernel: their height and width.
      strides: how far they move.
      padding: "SAME" or "VALID".
      pool: "max", "average" or None.
      window: height, width and stride of the pooling.
      dropout: the share of the result that training drops, in [0, 1).
      use_norm: False: this stage goes without the network's `norm`, and has a bias instead.

    Raises:
      InputError: for a field that cannot be used.

    Example:
      >>> Stage(32).size(28), Stage(32, 5, padding="VALID", pool=None).size(28)
      (14, 24)
    """

    features: int
    kernel: int = 3
    strides: int = 1
    padding: Padding = "SAME"
    pool: Literal["max", "average"] | None = "max"
    window: int = 2
    dropout: float = 0.0
    use_norm: bool = True

    def __post_init__(self) -> None:
        for name in ("features", "kernel", "strides", "window"):
            at_least(name, getattr(self, name), 1)
        one_of("padding", self.padding, ("SAME", "VALID"))
        in_range("dropout", self.dropout, 0, 1)
        of_kind("use_norm", self.use_norm, bool, "True or False")
        if self.pool is not None:
            one_of("pool", self.pool, ("max", "average"))

    def size(self, size: int) -> int:
        """Height (or width) after the stage, `(W - F + 2P)/S + 1` twice; below 1: it does not fit."""
        size = out_size(size, self.kernel, self.strides, self.padding)
        return size if self.pool is None else out_size(size, self.window, self.window, "VALID")

    def pooled(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J C"]:
        """The images after the stage's pooling."""
        if self.pool is None:
            return x
        return (max_pool if self.pool == "max" else avg_pool)(x, self.window)


class CNN(nn.Module):
    """A convolutional network.

        h_0 = x,    h_i = dropout(pool(f(norm(h_{i-1} * K_i + b_i)))),    y = MLP(h_n)

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.

    Attributes:
      stages: from the image on.
      dense: widths of the head's hidden layers.
      outputs: how many numbers per image, one per class; None: no head, the last stage's maps are the outputs.
      activation: its name, see `jaxdl.nn.activation`.
      dropout: the share of each hidden layer of the head that training drops, in [0, 1).
      norm: None, or "batch" (collection `batch_stats`), in the stages that are `use_norm` and in the head.
      kernel_init: the initializer's name, see `jaxdl.nn.initializer`.
      bias_init: what every bias starts at.
      dtype: of the computation (`jnp.bfloat16`); None: that of the input. Parameters are float32.
      remat: rematerialisation: training keeps only what goes into each stage and computes the stage again for
        its gradient: more time, less memory. For accelerators: a CPU's compiler joins the two again.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> import jax
      >>> model, x = CNN((Stage(8), Stage(16)), dense=(32,)), jnp.zeros((2, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 10)
    """

    stages: Sequence[Stage]
    dense: Sequence[int] = ()
    outputs: int | None = 10
    activation: str = "relu"
    dropout: float = 0.0
    norm: Literal["batch"] | None = None
    kernel_init: str = "he_normal"
    bias_init: float = 0.0
    dtype: Any = None
    remat: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.stages, Sequence) or not all(
            isinstance(s, Stage) for s in self.stages
        ):
            raise InputError("stages", self.stages, "a sequence of Stage")
        if self.norm is not None:
            one_of("norm", self.norm, ("batch",))
        for width in self.dense:
            at_least("dense", width, 1)
        if self.outputs is None and (self.dense or self.dropout):
            raise InputError("outputs", None, "a number, with a head's dense layers or dropout")
        activation(self.activation)
        initializer(self.kernel_init)
        super().__post_init__()
        if self.outputs is not None:
            _head(self, parent=None)  # checks the head's fields

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B ..."]:
        """The outputs, for a classifier its logits.

        Args:
          x: `[B, H, W, C]` images, float.
          train: whether to drop (random stream "dropout") and to use the batch's own statistics.

        Returns:
          `[B, outputs]`, or the maps `[B, I, J, D]`; float32.

        Raises:
          InputError: wrong rank, not float, or an image that a stage shrinks to nothing.
        """
        self._check(x)
        run = nn.remat(CNN._stage, static_argnums=(1, 2, 4)) if self.remat else CNN._stage
        for i, stage in enumerate(self.stages):
            x = run(self, i, stage, x, train)
        return x.astype(jnp.float32) if self.outputs is None else _head(self, name="head")(x, train)

    def _stage(self, i: int, stage: Stage, x: Array, train: bool) -> Array:
        norm = self.norm if stage.use_norm else None
        x = Conv(
            stage.features,
            (stage.kernel, stage.kernel),
            (stage.strides, stage.strides),
            stage.padding,
            use_bias=norm is None,  # BatchNorm has one of its own
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            bias_init=nn.initializers.constant(self.bias_init),
            name=f"conv_{i}",
        )(x)
        x = normalized(x, norm, f"norm_{i}", train)
        # The largest first: the same numbers, and fewer of them to activate.
        early = stage.pool == "max" and self.activation in KEEPS_LARGEST
        x = stage.pooled(x) if early else x
        x = activation(self.activation)(x)
        x = x if early else stage.pooled(x)
        return Dropout(stage.dropout)(x, train)

    def _check(self, x: Array) -> None:
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "float images [B, H, W, C]")
        height, width = x.shape[1:3]
        for i, stage in enumerate(self.stages):
            height = stage.size(height)
            width = stage.size(width)
            if min(height, width) < 1:
                raise InputError(
                    "image",
                    x.shape[1:3],
                    f"larger, stage {i} leaves nothing: (W - F + 2P)/S + 1 < 1",
                )


def _head(cnn: CNN, **place: Any) -> MLP:
    same = {
        f: getattr(cnn, f)
        for f in ("outputs", "activation", "dropout", "norm", "kernel_init", "bias_init")
    }
    return MLP(cnn.dense, **same, dtype=cnn.dtype, **place)


def lecture_cnn_5x5() -> CNN:
    """The lecture's 5x5x32, pool, 5x5x64, pool, 1024, dropout, 10: 3,274,634 parameters on 28x28 images.

    Weights start truncated normal (0.1), biases at 0.1.

    Source: TensorFlow 2016, Deep MNIST for experts.

    Returns:
      A `CNN`; also fits 8x8 images.

    Example:
      >>> import jax
      >>> model, x = lecture_cnn_5x5(), jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      3274634
    """
    stages = (Stage(32, 5), Stage(64, 5))
    return CNN(stages, (1024,), dropout=0.5, kernel_init="truncated_normal", bias_init=0.1)


def lecture_cnn_3x3() -> CNN:
    """The lecture's 3x3x32, 3x3x64, pool, dropout, 128, dropout, 10: 1,199,882 parameters on 28x28 images.

    Source: Chollet 2015, Keras examples, mnist_cnn.

    Returns:
      A `CNN`; also fits 8x8 images.

    Example:
      >>> import jax
      >>> model, x = lecture_cnn_3x3(), jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      1199882
    """
    stages = (Stage(32, padding="VALID", pool=None), Stage(64, padding="VALID", dropout=0.25))
    return CNN(stages, (128,), dropout=0.5, kernel_init="glorot_uniform")
