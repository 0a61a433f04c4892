"""Convolutional networks: stages of convolutions and pooling, followed by a dense head."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, integers, of_kind
from jaxdl.metrics import wide
from jaxdl.models.mlp import MLP, normalize
from jaxdl.models.stage import Stage
from jaxdl.nn.conv import Conv
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import Dropout, activation, is_monotonic
from jaxdl.nn.norm import Norm, check_norm, replaces_bias
from jaxdl.nn.pool import adaptive_avg_pool
from jaxdl.nn.tap import named, tapped


class CNN(nn.Module):
    """A convolutional network.

        h_0 = x,    h_i = stage_i(h_{i-1}),    y = MLP(h_n)

    A stage with one convolution computes `dropout(pool(f(norm(h_{i-1} * K_i + b_i))))`. `Stage` has
    the equations of several convolutions and of skip connections.

    Layers are `conv_i` and `norm_i` for one convolution in stage i, else `conv_ia`, `norm_ia`,
    `conv_ib` and so on. A projection is `skip_i` with `norm_skip_i`.

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.

    Attributes:
      stages: the stages in order, beginning at the image.
      dense: widths of the head's hidden layers.
      outputs: number of outputs per image, one per class. None means no head: the outputs are the
        feature maps of the last stage.
      activation: name of the activation, see `jaxdl.nn.activation`.
      dropout: dropout rate of the head's hidden layers, in [0, 1).
      norm: None, a `jaxdl.nn.Norm`, or its kind, such as "batch" (collection `batch_stats`). It
        applies to the head's hidden layers and to stages with `use_norm`.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      bias_init: initial value of every bias.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.
      head_size: height and width of the maps that the head reads. Adaptive average pooling computes
        them from those of the last stage, so one head fits images of any size. 1 is global average
        pooling. None means no such pooling.
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
    norm: Norm | str | None = None
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
        check_norm(self.norm)
        self.dense = integers("dense", self.dense, None, "a sequence of widths, () for none")
        if self.outputs is None and (self.dense or self.dropout):
            raise InputError("outputs", None, "a number, with a head's dense layers or dropout")
        if self.head_size is not None:
            at_least("head_size", self.head_size, 1)
        of_kind("remat", self.remat, bool, "True or False")
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
            x = named(self, "pool_head", adaptive_avg_pool(x, self.head_size))
        return _head(self, name="head")(x, train)

    def _stage(self, i: int, stage: Stage, x: Array, train: bool) -> Array:
        names = stage.names(i)
        f = activation(self.activation)
        h = x
        for name in names:
            strides = stage.strides if name == names[0] else 1
            options = {"dilation": stage.dilation, "groups": stage.groups}
            h = self._conv(f"conv_{name}", stage, stage.kernel, strides, stage.padding, **options)(
                h
            )
            h = self._normalized(h, stage, f"norm_{name}", train)
            if name != names[-1]:
                h = named(self, f"activation_{name}", f(h))
        if stage.residual:
            h = h + self._skip(i, stage, x, train).astype(h.dtype)
        if stage.pool == "max" and is_monotonic(self.activation) and not tapped(self):
            # Pooling first gives the same numbers with fewer evaluations of the activation.
            h = f(stage.pooled(h))
        else:
            h = named(self, f"activation_{i}", f(h))
            if stage.pool is not None:
                h = named(self, f"pool_{i}", stage.pooled(h))
        return Dropout(stage.dropout)(h, train)

    def _conv(
        self, name: str, stage: Stage, kernel: int, strides: int, padding: Any, **options: Any
    ) -> Conv:
        """Returns a convolution of a stage, with a bias unless the norm has one."""
        norm = self.norm if stage.use_norm else None
        return Conv(
            stage.features,
            (kernel, kernel),
            (strides, strides),
            padding,
            **options,
            use_bias=not replaces_bias(norm),
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            bias_init=nn.initializers.constant(self.bias_init),
            name=name,
        )

    def _normalized(self, h: Array, stage: Stage, name: str, train: bool) -> Array:
        return normalize(h, self.norm if stage.use_norm else None, name, train)

    def _skip(self, i: int, stage: Stage, x: Array, train: bool) -> Array:
        """Returns what a skip connection adds: the input, or its projection to another shape."""
        if stage.strides == 1 and x.shape[-1] == stage.features:
            return x
        x = self._conv(f"skip_{i}", stage, 1, stage.strides, "VALID")(x)
        return self._normalized(x, stage, f"norm_skip_{i}", train)

    def _check(self, x: Array) -> None:
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
            allowed = "float images [B, H, W, C]; an MLP reads points and tables"
            raise InputError("x", f"{x.dtype}{list(x.shape)}", allowed)
        height, width = x.shape[1:3]
        for i, stage in enumerate(self.stages):
            height = stage.size(height, 0)
            width = stage.size(width, 1)
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


def resnet20(outputs: int = 10, features: int = 16, residual: bool = True) -> CNN:
    """Returns the residual network of 20 layers for small images, or its plain twin.

    A 3x3 convolution is followed by nine blocks of two 3x3 convolutions: three blocks of each width
    F, 2F and 4F. The first block of 2F and of 4F has stride 2. BatchNorm follows every convolution,
    and global average pooling precedes the only dense layer. So images of any size have the
    same parameters: 272,474 for RGB images, and 269,722 without skip connections.

    The paper's networks for small images have no projections: where the shape changes, they add
    every second pixel with zeros as new features (option A). The two projections here
    (option B, with BatchNorm) have 2,752 parameters.

    Source: He et al. 2016, Deep residual learning for image recognition, section 4.2.

    Args:
      outputs: number of outputs per image, one per class.
      features: F, the number of kernels of the first blocks.
      residual: if False, the same convolutions without skip connections.

    Returns:
      A `CNN`. Its fields change by `clone`, as in `resnet20().clone(norm="instance")`.

    Raises:
      InputError: outputs or features below 1.

    Example:
      >>> import jax
      >>> x = jnp.zeros((1, 32, 32, 3))
      >>> def count(model):
      ...     variables = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
      ...     return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
      >>> count(resnet20()), count(resnet20(residual=False))
      (272474, 269722)
    """
    at_least("features", features, 1)
    stages = [Stage(features, padding=1, pool=None)]
    for width in (features, 2 * features, 4 * features):
        strides = 1 if width == features else 2
        block = Stage(width, 3, strides, 1, pool=None, convs=2, residual=residual)
        stages += [block] + 2 * [dataclasses.replace(block, strides=1)]
    return CNN(tuple(stages), outputs=outputs, norm="batch", head_size=1)
