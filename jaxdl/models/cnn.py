"""Convolutional networks: stages of convolution and pooling, followed by a dense head."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, integers, of_kind, one_of
from jaxdl.metrics import wide
from jaxdl.models.mlp import MLP, normalize
from jaxdl.nn.conv import Conv, Padding, out_size
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import MONOTONIC, Dropout, activation
from jaxdl.nn.pool import avg_pool, max_pool
from jaxdl.nn.tap import named, tapped


@dataclasses.dataclass(frozen=True)
class Stage:
    """A convolution with its norm, activation, pooling and dropout.

    Attributes:
      features: number of kernels, at least 1.
      kernel: height and width of the kernels.
      strides: stride of the convolution in both directions.
      padding: "SAME" or "VALID".
      pool: "max", "average" or None.
      window: height, width and stride of the pooling.
      dropout: dropout rate of the result, in [0, 1).
      use_norm: if False, this stage has a bias instead of the network's `norm`.

    Raises:
      InputError: an invalid field.

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
        """Returns the height or width after the stage, below 1 if the input is too small.

        The formula `(W - F + 2P)/S + 1` applies twice: to the convolution and to the pooling.
        """
        size = out_size(size, self.kernel, self.strides, self.padding)
        if self.pool is None:
            return size
        return out_size(size, self.window, self.window, "VALID")

    def pooled(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J C"]:
        """Applies the stage's pooling."""
        if self.pool is None:
            return x
        if self.pool == "max":
            return max_pool(x, self.window)
        return avg_pool(x, self.window)


class CNN(nn.Module):
    """A convolutional network.

        h_0 = x,    h_i = dropout(pool(f(norm(h_{i-1} * K_i + b_i)))),    y = MLP(h_n)

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.

    Attributes:
      stages: the stages in order, beginning at the image.
      dense: widths of the head's hidden layers.
      outputs: number of outputs per image, one per class. None means no head: the outputs are the
        feature maps of the last stage.
      activation: name of the activation, see `jaxdl.nn.activation`.
      dropout: dropout rate of the head's hidden layers, in [0, 1).
      norm: None, or "batch" (collection `batch_stats`). It applies to the head and to stages with
        `use_norm`.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      bias_init: initial value of every bias.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.
      head_size: height and width of the maps that the head reads. Adaptive average pooling computes
        them from those of the last stage, so one head fits images of any size. None means no such
        pooling.
      remat: if True, training stores only the input of each stage and recomputes the stage for its
        gradient. This takes more time and less memory. It has no effect on a CPU, whose compiler
        merges both computations.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> model = CNN((Stage(8), Stage(16)), dense=(32,))
      >>> x = jnp.zeros((2, 8, 8, 1))
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
    head_size: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.stages, Sequence) or not all(
            isinstance(s, Stage) for s in self.stages
        ):
            raise InputError("stages", self.stages, "a sequence of Stage")
        if self.norm is not None:
            one_of("norm", self.norm, ("batch",))
        self.dense = integers("dense", self.dense, None, "a sequence of widths, () for none")
        if self.outputs is None and (self.dense or self.dropout):
            raise InputError("outputs", None, "a number, with a head's dense layers or dropout")
        if self.head_size is not None:
            at_least("head_size", self.head_size, 1)
        activation(self.activation)
        initializer(self.kernel_init)
        super().__post_init__()
        if self.outputs is not None:
            _head(self, parent=None)  # Raises if a field of the head is invalid.

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B ..."]:
        """Computes the outputs, which are the logits of a classifier.

        Args:
          x: images `[B, H, W, C]`, float.
          train: if True, applies dropout (random stream "dropout") and uses the statistics of the
            batch.

        Returns:
          `[B, outputs]`, or feature maps `[B, I, J, D]`; float32.

        Raises:
          InputError: a wrong rank, not float, or an image that is too small for a stage.
        """
        self._check(x)
        apply_stage = CNN._stage
        if self.remat and not tapped(self):
            apply_stage = nn.remat(CNN._stage, static_argnums=(1, 2, 4))
        for i, stage in enumerate(self.stages):
            x = apply_stage(self, i, stage, x, train)
        if self.outputs is None:
            return wide(x)
        if self.head_size is not None:
            x = named(self, "pool_head", _adaptive_pool(x, self.head_size))
        return _head(self, name="head")(x, train)

    def _stage(self, i: int, stage: Stage, x: Array, train: bool) -> Array:
        norm = self.norm if stage.use_norm else None
        x = Conv(
            stage.features,
            (stage.kernel, stage.kernel),
            (stage.strides, stage.strides),
            stage.padding,
            use_bias=norm is None,  # BatchNorm has a bias.
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            bias_init=nn.initializers.constant(self.bias_init),
            name=f"conv_{i}",
        )(x)
        x = normalize(x, norm, f"norm_{i}", train)
        if stage.pool == "max" and self.activation in MONOTONIC and not tapped(self):
            # Pooling first gives the same numbers with fewer evaluations of the activation.
            x = activation(self.activation)(stage.pooled(x))
        else:
            x = named(self, f"activation_{i}", activation(self.activation)(x))
            if stage.pool is not None:
                x = named(self, f"pool_{i}", stage.pooled(x))
        return Dropout(stage.dropout)(x, train)

    def _check(self, x: Array) -> None:
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
            allowed = "float images [B, H, W, C]; an MLP reads points and tables"
            raise InputError("x", f"{x.dtype}{list(x.shape)}", allowed)
        height, width = x.shape[1:3]
        for i, stage in enumerate(self.stages):
            height = stage.size(height)
            width = stage.size(width)
            if min(height, width) < 1:
                raise InputError(
                    "image",
                    x.shape[1:3],
                    f"larger; the output of stage {i} would be empty: (W - F + 2P)/S + 1 < 1",
                )


def _head(cnn: CNN, **module_arguments: Any) -> MLP:
    shared = {
        field: getattr(cnn, field)
        for field in ("outputs", "activation", "dropout", "norm", "kernel_init", "bias_init")
    }
    return MLP(cnn.dense, **shared, dtype=cnn.dtype, **module_arguments)


def _adaptive_pool(x: Float[Array, "B H W C"], size: int) -> Float[Array, "B S S C"]:
    """Returns means over windows from floor(i H / S) to ceil((i + 1) H / S), for i below S."""
    for axis in (1, 2):
        length = x.shape[axis]
        windows = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        parts = [jax.lax.slice_in_dim(x, *window, axis=axis) for window in windows]
        x = jnp.concatenate([part.mean(axis, keepdims=True) for part in parts], axis)
    return x


def lecture_cnn_5x5() -> CNN:
    """Returns the lectures' network of two 5x5 convolutions.

    Its layers are 5x5x32, pool, 5x5x64, pool, 1024, dropout and 10: 3,274,634 parameters for 28x28
    images. Weights are initialized by a truncated normal of deviation 0.1, biases by 0.1.

    Source: TensorFlow 2016, Deep MNIST for experts.

    Returns:
      A `CNN`, which also accepts 8x8 images.

    Example:
      >>> import jax
      >>> model = lecture_cnn_5x5()
      >>> x = jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      3274634
    """
    stages = (Stage(32, 5), Stage(64, 5))
    return CNN(stages, (1024,), dropout=0.5, kernel_init="truncated_normal", bias_init=0.1)


def lecture_cnn_3x3() -> CNN:
    """Returns the lectures' network of two 3x3 convolutions.

    Its layers are 3x3x32, 3x3x64, pool, dropout, 128, dropout and 10: 1,199,882 parameters for
    28x28 images.

    Source: Chollet 2015, Keras examples, mnist_cnn.

    Returns:
      A `CNN`, which also accepts 8x8 images.

    Example:
      >>> import jax
      >>> model = lecture_cnn_3x3()
      >>> x = jnp.zeros((1, 28, 28, 1))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      1199882
    """
    stages = (Stage(32, padding="VALID", pool=None), Stage(64, padding="VALID", dropout=0.25))
    return CNN(stages, (128,), dropout=0.5, kernel_init="glorot_uniform")
