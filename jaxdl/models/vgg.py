"""VGG networks: blocks of 3x3 convolutions, each block followed by max pooling."""

from collections.abc import Sequence

from jaxdl.errors import InputError, integers, of_kind
from jaxdl.models.cnn import CNN
from jaxdl.models.stage import Stage

#: Height and width of the maps that the head reads, those of an image of 224 x 224.
HEAD_SIZE = 7

#: Widths of the five blocks.
WIDTHS = (64, 128, 256, 512, 512)


def vgg(
    blocks: Sequence[Sequence[int]],
    dense: Sequence[int] = (4096, 4096),
    outputs: int | None = 1000,
    dropout: float = 0.5,
    head_size: int = HEAD_SIZE,
) -> CNN:
    """Returns a VGG network of any depth and width.

        block:    h_i = relu(h_{i-1} * K_i + b_i) for each width, then max pooling by 2
        head:     adaptive average pooling to 7x7, dense layers with ReLU and dropout, logits

    Convolution i has the name `conv_i`, counted from 0 over all blocks. Its activation has
    `activation_i`, and the pooling after it `pool_i`.

    Source: Simonyan, Zisserman 2015, Very deep convolutional networks for large-scale image
    recognition. The adaptive pooling is that of torchvision. For images of 224 x 224 it is the
    identity.

    Args:
      blocks: for each block the numbers of kernels of its convolutions.
      dense: widths of the head's hidden layers.
      outputs: number of classes. None means no head: the outputs are the maps of the last block.
      dropout: dropout rate of the head's hidden layers, in [0, 1).
      head_size: height and width of the maps that the head reads.

    Returns:
      A `CNN`, which accepts images of any size that the poolings leave at least one pixel of.

    Raises:
      InputError: a block without convolutions, or an argument that `CNN` refuses.

    Example:
      >>> model = vgg(((4,), (8, 8)), dense=(16,), outputs=3, head_size=2)
      >>> [stage.features for stage in model.stages]
      [4, 8, 8]
    """
    allowed = "a sequence of blocks, each a sequence of widths"
    of_kind("blocks", blocks, Sequence, allowed)
    stages = []
    for block in blocks:
        widths = integers("blocks", block, None, allowed)
        if not widths:
            raise InputError("blocks", blocks, "at least one width for each block")
        stages += [Stage(width, pool=None) for width in widths[:-1]]
        stages.append(Stage(widths[-1]))
    if outputs is None:
        return CNN(tuple(stages), outputs=None)
    return CNN(tuple(stages), dense, outputs, dropout=dropout, head_size=head_size)


def vgg16(outputs: int | None = 1000, dropout: float = 0.5) -> CNN:
    """Returns VGG16: 13 convolutions and 3 dense layers, 138,357,544 parameters for 1000 classes.

    Source: Simonyan, Zisserman 2015, configuration D.

    Args:
      outputs: number of classes; None means no head.
      dropout: dropout rate of the head, in [0, 1).

    Returns:
      A `CNN`; see `vgg` for the names of its layers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model = vgg16()
      >>> x = jnp.zeros((1, 224, 224, 3))
      >>> shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.key(0))
      >>> sum(leaf.size for leaf in jax.tree.leaves(shapes))
      138357544
    """
    return _standard((2, 2, 3, 3, 3), outputs, dropout)


def vgg19(outputs: int | None = 1000, dropout: float = 0.5) -> CNN:
    """Returns VGG19: 16 convolutions and 3 dense layers, 143,667,240 parameters for 1000 classes.

    Source: Simonyan, Zisserman 2015, configuration E.

    Args:
      outputs: number of classes; None means no head.
      dropout: dropout rate of the head, in [0, 1).

    Returns:
      A `CNN`; see `vgg` for the names of its layers.

    Example:
      >>> len(vgg19().stages)
      16
    """
    return _standard((2, 2, 4, 4, 4), outputs, dropout)


def _standard(depths: Sequence[int], outputs: int | None, dropout: float) -> CNN:
    blocks = [(width,) * depth for width, depth in zip(WIDTHS, depths, strict=True)]
    return vgg(blocks, outputs=outputs, dropout=dropout)
