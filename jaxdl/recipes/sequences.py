"""Bodies of sequence networks by name, and classifiers of sequences."""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.augment import Augmentation
from jaxdl.data import image_sequences
from jaxdl.data.dataset import Dataset
from jaxdl.errors import at_least, one_of
from jaxdl.models import CNN1D, SequenceNet, tcn
from jaxdl.nn import RNN
from jaxdl.nn.sequences import Pool
from jaxdl.updates import Batch

BODIES = ("simple", "lstm", "gru", "tcn", "conv")

#: Pooling for one output per sequence, of bodies that return all steps.
POOLS: dict[str, Pool] = {"tcn": "last", "conv": "max"}


def sequence_body(
    name: Literal["simple", "lstm", "gru", "tcn", "conv"],
    features: int,
    layers: int = 1,
    *,
    kernel_size: int = 7,
    dropout: float = 0.0,
    dtype: Any = None,
    **recurrent: Any,
) -> nn.Module:
    """Returns the body of a `SequenceNet` by its name.

    Args:
      name: simple, lstm, gru: a recurrent network; tcn: `jaxdl.models.tcn`; conv: a `CNN1D`.
      features: units of each layer.
      layers: number of layers, or of blocks or stages of a convolutional network.
      kernel_size: kernel size of a TCN, in steps.
      dropout: dropout rate, in [0, 1). See the network for its place.
      dtype: dtype of the computation; None means that of the input.
      **recurrent: further attributes of `jaxdl.nn.RNN`, such as `return_sequences`. Convolutional
        networks ignore them. For one output per sequence use `return_sequences=False`, and
        `POOLS.get(name)` as the pooling of the `SequenceNet`.

    Returns:
      The module.

    Raises:
      InputError: an unknown name, or a number out of range.

    Example:
      >>> from jaxdl.models import SequenceNet
      >>> body = sequence_body("tcn", 16, 3, return_sequences=False)
      >>> model = SequenceNet(None, body, 10, pool=POOLS.get("tcn"))
      >>> body.receptive_field
      85
    """
    one_of("body", name, BODIES)
    at_least("layers", layers, 1)
    if name == "tcn":
        return tcn((features,) * layers, kernel_size, dropout=dropout, dtype=dtype)
    if name == "conv":
        return CNN1D((features,) * layers, dropout=dropout, dtype=dtype)
    return RNN(name, features, layers, dropout=dropout, dtype=dtype, **recurrent)


def sequence_classifier(
    name: Literal["simple", "lstm", "gru", "tcn", "conv"],
    features: int,
    layers: int,
    outputs: int,
    *,
    embed: nn.Module | None = None,
    pool: Pool | None = None,
    dropout: float = 0.0,
    **body: Any,
) -> SequenceNet:
    """Returns a network with one vector of outputs per sequence.

    Args:
      name: body of the network (`sequence_body`).
      features: units of each layer.
      layers: number of layers, or of blocks or stages of a convolutional network.
      outputs: number of outputs.
      embed: module for the inputs (`SequenceNet`); None if they are vectors.
      pool: pooling over the steps. None means the last output of a recurrent network, else `POOLS`.
      dropout: dropout rate of the body, in [0, 1), and of its pooled output. A TCN has dropout
        after its last convolution already, so its output has none.
      **body: further arguments of `sequence_body`.

    Returns:
      The module.

    Raises:
      InputError: an unknown name, or a number out of range.

    Example:
      >>> sequence_classifier("conv", 16, 3, 10).pool
      'max'
    """
    made = sequence_body(
        name, features, layers, dropout=dropout, return_sequences=pool is not None, **body
    )
    if name == "tcn":
        dropout = 0.0
    return SequenceNet(embed, made, outputs, pool=pool or POOLS.get(name), dropout=dropout)


def blocks_to_cover(steps: int, kernel_size: int) -> int:
    """Returns the fewest blocks of a TCN whose receptive field has this many steps.

        n = max(1, ceil(log2((T - 1) / (2 (K - 1)) + 1)))

    Args:
      steps: T, at least 1.
      kernel_size: K, at least 2.

    Returns:
      n, the number of blocks.

    Raises:
      InputError: a number out of range.

    Example:
      >>> blocks_to_cover(85, 7), blocks_to_cover(86, 7)
      (3, 4)
    """
    at_least("steps", steps, 1)
    at_least("kernel_size", kernel_size, 2)
    return max(1, math.ceil(math.log2((steps - 1) / (2 * (kernel_size - 1)) + 1)))


def of_images(
    changes: Augmentation,
    shape: tuple[int, ...],
    by: Literal["row", "pixel"] = "row",
    permuted: bool = False,
) -> Augmentation:
    """Returns changes of images as changes of the sequences that `image_sequences` makes of them.

    Args:
      changes: changes of images `[H, W, C]`.
      shape: shape of an image.
      by: see `jaxdl.data.image_sequences`.
      permuted: see `jaxdl.data.image_sequences`.

    Returns:
      Changes of sequences `[T, D]`, each a change of the image.

    Example:
      >>> from jaxdl.augment import parse
      >>> flip, _ = of_images(parse("flip=0.99"), (1, 3, 1))
      >>> flip(jax.random.key(0), np.arange(3.0)[None]).tolist()
      [[2.0, 1.0, 0.0]]
    """
    numbers = np.arange(math.prod(shape)).reshape(1, *shape)
    order = image_sequences(Dataset({"input": numbers}, "positions"), by, permuted)["input"][0]
    place = np.argsort(order.reshape(-1))

    def image(sequence: Float[Array, "T D"]) -> Float[Array, "H W C"]:
        return sequence.reshape(-1)[place].reshape(shape)

    def sequence(image: Float[Array, "H W C"]) -> Float[Array, "T D"]:
        return image.reshape(-1)[order]

    def augment(key: Key[Array, ""], x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        assert changes.augment is not None
        return sequence(changes.augment(key, image(x)))

    def mix(key: Key[Array, ""], batch: Batch) -> Any:
        assert changes.mix is not None
        images = jax.vmap(image)(batch["input"])
        mixed, *partners = changes.mix(key, {**batch, "input": images})
        return (jax.vmap(sequence)(mixed), *partners)

    return Augmentation(changes.augment and augment, changes.mix and mix)
