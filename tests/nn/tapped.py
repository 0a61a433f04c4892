"""Every model with its input, and its named activations, for the tests of `tap`."""

from functools import cache

import jax
import numpy as np
import pytest

from jaxdl.models import (
    CNN,
    CNN1D,
    MLP,
    VAE,
    Autoencoder,
    Conditional,
    ConvDecoder,
    Dueling,
    EfficientNet,
    InvertedResidual,
    OneHot,
    PixelCNN,
    PixelRNN,
    Reshaped,
    SequenceNet,
    Stage,
    UNet,
    UpStage,
    WaveNet,
    dcgan,
    patch_discriminator,
    tcn,
    vgg,
)
from jaxdl.nn import RNN, Embedding, TimeDistributed, tap
from tests.models.random_variables import random_variables
from tests.nn import recurrences

B = 2


RNG = np.random.default_rng(0)


VECTORS = RNG.normal(size=(B, 6)).astype(np.float32)


IMAGES = RNG.normal(size=(B, 8, 8, 2)).astype(np.float32)


IDS = RNG.integers(0, 5, (B, 6)).astype(np.int32)


PIXELS = np.random.default_rng(1).uniform(size=(B, 4, 5, 1)).astype(np.float32)


CLIPS = RNG.normal(size=(B, 6, 4, 4, 1)).astype(np.float32)


STEPS = RNG.normal(size=(B, 6, 3)).astype(np.float32)


LABEL = {"label": np.array([2, 0], np.int32)}


LENGTHS = {"lengths": np.array([6, 3], np.int32)}


GENERATOR, DISCRIMINATOR = dcgan((8, 8, 2), 2, (5,), norm="batch")


HALVES = Conditional(MLP((5,), 4, "tanh"), 3, 2), Conditional(Reshaped(MLP((5,), 6), (3, 2)), 3, 2)


BLOCKS = (InvertedResidual(3, expansion=1), InvertedResidual(4, 2, 5, 2, 2))

#: A model, its input, and the further arguments of its call.
MODELS = {
    "mlp": (MLP((5, 4), 3, "tanh", norm="layer"), VECTORS, {}),
    "weight_norm": (MLP((5,), 3, norm="weight"), VECTORS, {}),
    "dueling": (Dueling(MLP((5,), 3)), VECTORS, {}),
    "cnn": (
        CNN(
            (Stage(8), Stage(8, pool="average"), Stage(8, pool=None, use_norm=False)), (9,), 3
        ).clone(activation="leaky_relu", norm="batch", remat=True),
        IMAGES,
        {},
    ),
    "smooth_cnn": (CNN((Stage(3, 2, 2), Stage(2)), (), 2, "tanh"), IMAGES, {}),
    "residual": (
        CNN(
            (
                Stage(3, pool=None),
                Stage(3, convs=2, residual=True),
                Stage(4, 3, 2, 1, pool=None, convs=2, residual=True),
            ),
            (),
            2,
            norm="batch",
            remat=True,
            head_size=1,
        ),
        IMAGES,
        {},
    ),
    "two_convolutions": (CNN((Stage(3, convs=2),), (), 2, "tanh"), IMAGES, {}),
    "unet": (UNet((3, 4, 5), 2, activation="tanh", norm="batch"), IMAGES, {}),
    "patches": (patch_discriminator((3, 4), "instance"), IMAGES, {}),
    "maps": (CNN((Stage(3),), outputs=None), IMAGES, {}),
    "vgg": (vgg(((3,), (4, 5)), (6,), 3, head_size=1), IMAGES, {}),
    "efficientnet": (EfficientNet(BLOCKS, stem=3, top=6, outputs=3), IMAGES, {}),
    "conv_decoder": (
        ConvDecoder((UpStage(3), UpStage(1)), (2, 2, 4), (5,), norm="batch"),
        VECTORS,
        {},
    ),
    "conditional": (Conditional(MLP((5,), 3), 3), VECTORS, LABEL),
    "conditional_images": (Conditional(CNN((Stage(3),), (), 2), 3), IMAGES, LABEL),
    "autoencoder": (
        Autoencoder(CNN((Stage(3),), outputs=None), ConvDecoder((UpStage(2),))),
        IMAGES,
        {},
    ),
    "vae": (VAE(*HALVES, latent=2), VECTORS, LABEL),
    "generator": (GENERATOR, VECTORS, {}),
    "discriminator": (DISCRIMINATOR, IMAGES, {}),
    "simple": (
        SequenceNet(OneHot(5), RNN("simple", 3, 2, bidirectional=True), 2, "mean"),
        IDS,
        LENGTHS,
    ),
    "lstm": (SequenceNet(Embedding(5, 4), RNN("lstm", 3, 2), 2), IDS, {}),
    "bidirectional_lstm": (
        SequenceNet(None, RNN("lstm", 3, 1, bidirectional=True), 2, "last"),
        STEPS,
        LENGTHS,
    ),
    "tied": (SequenceNet(Embedding(5, 3), RNN("gru", 3), 5, tied=True), IDS, {}),
    "gru": (SequenceNet(None, RNN("gru", 3, 2, return_sequences=False), 2), STEPS, LENGTHS),
    "tcn": (SequenceNet(Embedding(5, 3), tcn((3, 4), 2), 2, "last"), IDS, LENGTHS),
    "pixelcnn": (PixelCNN((4, 5), features=3, layers=1, classes=3), PIXELS, LABEL),
    "plain_pixelcnn": (PixelCNN((4, 5), features=3, layers=1, gated=False), PIXELS, {}),
    "row_pixelrnn": (PixelRNN((4, 5), features=3, layers=1), PIXELS, {}),
    "diagonal_pixelrnn": (PixelRNN((4, 5), features=3, layers=1, kind="diagonal"), PIXELS, {}),
    "wavenet": (SequenceNet(Embedding(5, 3), WaveNet(3, skip=4, layers=2), 2), IDS, LENGTHS),
    "conv1d": (
        SequenceNet(TimeDistributed(CNN((Stage(2),), (), 3)), CNN1D((3, 4), 3), 2, "max"),
        CLIPS,
        LENGTHS,
    ),
}


each_model = pytest.mark.parametrize("name", MODELS)


#: Models in which each activation alone determines the outputs.
CHAINS = [
    "mlp",
    "weight_norm",
    "cnn",
    "smooth_cnn",
    "two_convolutions",
    "maps",
    "vgg",
    "conv_decoder",
    "autoencoder",
    "generator",
    "discriminator",
]


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x, slope=0.01):
    return np.maximum(x, slope * x)


def relu6(x):
    return np.clip(x, 0, 6)


def pool(maps, reduce=np.max):
    """Pools `[B, H, W, C]` in windows of 2x2."""
    b, h, w, c = maps.shape
    return reduce(maps.reshape(b, h // 2, 2, w // 2, 2, c), axis=(2, 4))


def valid(x):
    """Returns `[B, T, ...]` with zeros at invalid steps."""
    mask = np.arange(x.shape[1])[None] < LENGTHS["lengths"][:, None]
    return x * mask[..., None]


def steps_to(x, count):
    """Returns the maximum of every two steps of `[B, 2 count, D]`."""
    return x.reshape(B, count, 2, -1).max(2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


#: The activations that are no output of a layer, from those of the layers before them.
POINTS = {
    "mlp": {f"activation_{i}": lambda a, i=i: np.tanh(a[f"norm_{i}"]) for i in range(2)},
    "weight_norm": {"activation_0": lambda a: relu(a["dense_0"])},
    "cnn": {
        "activation_0": lambda a: leaky_relu(a["norm_0"]),
        "pool_0": lambda a: pool(leaky_relu(a["norm_0"])),
        "activation_1": lambda a: leaky_relu(a["norm_1"]),
        "pool_1": lambda a: pool(leaky_relu(a["norm_1"]), np.mean),
        "activation_2": lambda a: leaky_relu(a["conv_2"]),
        "head/activation_0": lambda a: leaky_relu(a["head/norm_0"]),
    },
    "smooth_cnn": {
        "activation_0": lambda a: np.tanh(a["conv_0"]),
        "pool_0": lambda a: pool(np.tanh(a["conv_0"])),
        "activation_1": lambda a: np.tanh(a["conv_1"]),
        "pool_1": lambda a: pool(np.tanh(a["conv_1"])),
    },
    "residual": {
        "activation_0": lambda a: relu(a["norm_0"]),
        "activation_1a": lambda a: relu(a["norm_1a"]),
        "activation_1": lambda a: relu(a["norm_1b"] + a["activation_0"]),
        "pool_1": lambda a: pool(a["activation_1"]),
        "activation_2a": lambda a: relu(a["norm_2a"]),
        "activation_2": lambda a: relu(a["norm_2b"] + a["norm_skip_2"]),
        "pool_head": lambda a: a["activation_2"].mean((1, 2), keepdims=True),
    },
    "two_convolutions": {
        "activation_0a": lambda a: np.tanh(a["conv_0a"]),
        "activation_0": lambda a: np.tanh(a["conv_0b"]),
        "pool_0": lambda a: pool(np.tanh(a["conv_0b"])),
    },
    "maps": {
        "activation_0": lambda a: relu(a["conv_0"]),
        "pool_0": lambda a: pool(relu(a["conv_0"])),
    },
    "vgg": {
        **{f"activation_{i}": lambda a, i=i: relu(a[f"conv_{i}"]) for i in range(3)},
        "pool_0": lambda a: pool(relu(a["conv_0"])),
        "pool_2": lambda a: pool(relu(a["conv_2"])),
        "pool_head": lambda a: a["pool_2"].mean((1, 2), keepdims=True),
        "head/activation_0": lambda a: relu(a["head/dense_0"]),
    },
    "efficientnet": {
        "activation_stem": lambda a: relu6(a["norm_stem"]),
        "block_0/activation_depthwise": lambda a: relu6(a["block_0/norm_depthwise"]),
        **{
            f"block_{i}/activation_{part}": lambda a, name=f"block_{i}/norm_{part}": relu6(a[name])
            for i in (1, 2)
            for part in ("expand", "depthwise")
        },
        "activation_top": lambda a: relu6(a["norm_top"]),
        "pool_head": lambda a: a["activation_top"].mean((1, 2)),
    },
    "conv_decoder": {
        "activation_dense_0": lambda a: relu(a["norm_dense_0"]),
        "activation_start": lambda a: relu(a["norm_start"]),
        "activation_0": lambda a: relu(a["norm_0"]),
    },
    "conditional": {"body/activation_0": lambda a: relu(a["body/dense_0"])},
    "conditional_images": {
        "body/activation_0": lambda a: relu(a["body/conv_0"]),
        "body/pool_0": lambda a: pool(relu(a["body/conv_0"])),
    },
    "autoencoder": {
        "encoder/activation_0": lambda a: relu(a["encoder/conv_0"]),
        "encoder/pool_0": lambda a: pool(relu(a["encoder/conv_0"])),
    },
    "vae": {
        "encoder/body/activation_0": lambda a: np.tanh(a["encoder/body/dense_0"]),
        "decoder/body/body/activation_0": lambda a: relu(a["decoder/body/body/dense_0"]),
    },
    "generator": {
        "body/activation_dense_0": lambda a: relu(a["body/norm_dense_0"]),
        "body/activation_start": lambda a: relu(a["body/norm_start"]),
        "body/activation_0": lambda a: relu(a["body/norm_0"]),
        "activation": lambda a: sigmoid(a["body"]),
    },
    "discriminator": {
        "activation_0": lambda a: leaky_relu(a["conv_0"], 0.2),
        "activation_1": lambda a: leaky_relu(a["norm_1"], 0.2),
        "head/activation_0": lambda a: leaky_relu(a["head/norm_0"], 0.2),
    },
    "tcn": {
        **{
            f"body/activation_{part}": lambda a, part=part: relu(valid(a[f"body/conv_{part}"]))
            for part in ("0a", "0b", "1a", "1b")
        },
        "body/activation_0": lambda a: valid(relu(relu(a["body/conv_0b"]) + a["embed"])),
        "body/activation_1": lambda a: valid(relu(relu(a["body/conv_1b"]) + a["body/skip_1"])),
        "pool": lambda a: a["body"][np.arange(B), LENGTHS["lengths"] - 1],
    },
    "conv1d": {
        "embed/model/activation_0": lambda a: relu(a["embed/model/conv_0"]),
        "embed/model/pool_0": lambda a: pool(relu(a["embed/model/conv_0"])),
        "body/activation_0": lambda a: relu(valid(a["body/conv_0"])),
        "body/pool_0": lambda a: steps_to(relu(valid(a["body/conv_0"])), 3),
        "body/activation_1": lambda a: relu(
            np.stack([a["body/conv_1"][0], a["body/conv_1"][1] * [[1], [1], [0]]])
        ),
        "body/pool_1": lambda a: steps_to(
            np.pad(a["body/activation_1"], ((0, 0), (0, 1), (0, 0))), 2
        ),
        "pool": lambda a: a["body"].max(1),
    },
}


def close(actual, expected, tolerance=1e-6):
    recurrences.close(actual, expected, tolerance)


@cache
def variables_of(name):
    model, x, more = MODELS[name]
    return random_variables(model, x, **more)


def tapped_model(name, *names):
    model, _, more = MODELS[name]
    return jax.jit(tap(model, variables_of(name), *names, train=False, **more))


@cache
def seen(name):
    """Returns the outputs and all activations of a model, as NumPy arrays."""
    return jax.tree.map(np.asarray, tapped_model(name)(MODELS[name][1]))
