"""Small networks with random weights, as bound functions with inputs, for the tests of exports."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial

import jaxdl
from jaxdl import models, nn, tasks

ROWS = 100
STEPS = 9
IMAGES = (8, 8, 1)


class Case(NamedTuple):
    """A function of arrays and its inputs, `[ROWS, ...]` each."""

    f: Callable
    inputs: tuple[np.ndarray, ...]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(ROWS, *shape)).astype(np.float32)


def integers(low: int, high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(4).integers(low, high, (ROWS, *shape)).astype(np.int32)


def case(task: tasks.Task, name: str, batch: dict, *inputs: np.ndarray) -> Case:
    """Returns a function of a task with its initial weights, all of which are perturbed."""
    params, extra = task.init(jaxdl.root(0), batch)
    rng = np.random.default_rng(5)

    def perturbed(x):
        # Biases are no zeros then, and variances stay positive.
        factor = rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
        shift = rng.uniform(0, 0.2, x.shape).astype(x.dtype) * (x.ndim == 1)
        return np.asarray(x) * factor + shift

    params, extra = jax.tree.map(perturbed, (params, extra))
    return Case(Partial(task.functions[name], params, extra), inputs)


def classifier(model, *inputs: np.ndarray) -> Case:
    batch = dict(zip(("input", "length"), (x[:2] for x in inputs), strict=False))
    return case(tasks.classify(model), "predict", batch, *inputs)


def mlp(activation: str = "relu", norm: str | None = None) -> Case:
    return classifier(models.MLP((6, 5), 3, activation, norm=norm), normal(4))


def cnn(norm: nn.Norm | str | None = None, **stage) -> Case:
    stages = (models.Stage(4, 3, **stage), models.Stage(6, 3, pool=None, strides=2))
    # The statistics of "instance" need positions, which the hidden layers of a head lack.
    dense = () if norm == "instance" else (8,)
    return classifier(models.CNN(stages, dense, 3, norm=norm), normal(*IMAGES))


def rnn(cell: str, pool: str | None = "mean", **fields) -> Case:
    model = models.SequenceNet(None, nn.RNN(cell, 5, **fields), 3, pool)
    return classifier(model, normal(STEPS, 4), integers(1, STEPS + 1))


def cnn1d(body, pool: str) -> Case:
    model = models.SequenceNet(None, body, 3, pool)
    return classifier(model, normal(STEPS, 4), integers(1, STEPS + 1))


def words() -> Case:
    model = models.SequenceNet(nn.Embedding(7, 4, padding=0), nn.RNN("gru", 5), 1, "max")
    return classifier(model, integers(0, 7, STEPS), integers(1, STEPS + 1))


def language(embed, body, tied: bool = False) -> Case:
    ids = integers(0, 6, STEPS)
    task = tasks.language(models.SequenceNet(embed, body, 6, tied=tied))
    return case(task, "predict", {"input": ids[:2], "label": ids[:2]}, ids)


def pixels(model) -> Case:
    x = integers(0, 2, 4, 5, 1).astype(np.float32)
    return case(tasks.autoregressive(model), "predict", {"input": x[:2]}, x)


def vae(name: str, kind: str, conditional: bool = False, likelihood: str = "bernoulli") -> Case:
    parts = models.encoder_decoder(IMAGES, 4, kind, (8,))
    label = integers(0, 3)
    if conditional:
        parts = tuple(models.Conditional(part, 3, 4) for part in parts)
    task = tasks.vae(models.VAE(*parts, latent=2), likelihood=likelihood)
    x = normal(2) if name == "decode" else normal(*IMAGES)
    more = (label,) if conditional else ()
    return case(task, name, {"input": normal(*IMAGES)[:2], "label": label[:2]}, x, *more)


def autoencoder(name: str) -> Case:
    task = tasks.reconstruct(models.conv_autoencoder(1, 4, 1), likelihood="gaussian")
    x = normal(2, 2, 4) if name == "decode" else normal(*IMAGES)
    return case(task, name, {"input": normal(*IMAGES)[:2]}, x)


def dense_generator() -> Case:
    generator = models.Reshaped(models.MLP((8,), 64, norm="batch"), IMAGES, "sigmoid")
    task = tasks.gan(generator, models.MLP((8,), 1), latent=3)
    return case(task, "generate", {"input": normal(*IMAGES)[:2]}, normal(3))


def dcgan(name: str = "generate", conditional: bool = False, spectral: bool = False) -> Case:
    parts = models.dcgan(IMAGES, 4, dense=(8,))
    label = integers(0, 3)
    if conditional:
        parts = tuple(models.Conditional(part, 3, 4) for part in parts)
    task = tasks.gan(*parts, latent=3, spectral_norm=spectral)
    more = (label,) if conditional else ()
    x = normal(3) if name == "generate" else normal(*IMAGES)
    return case(task, name, {"input": normal(*IMAGES)[:2], "label": label[:2]}, x, *more)


def regression() -> Case:
    task = tasks.regress(models.MLP((6,), 2, "tanh"))
    return case(task, "predict", {"input": normal(4)[:2], "target": normal(2)[:2]}, normal(4))


ACTIVATIONS = ("step", "sign", "linear", "piecewise_linear", "sigmoid", "tanh", "relu")
ACTIVATIONS += ("leaky_relu", "elu", "gelu", "silu", "softplus", "relu6", "celu", "selu")
ACTIVATIONS += ("gelu_tanh", "mish", "hard_sigmoid", "hard_swish", "softsign", "thresholded_relu")
ACTIVATIONS += ("leaky_relu(0.2)", "elu(0.5)", "celu(2)", "silu(1.5)")

ALL: dict[str, Callable[[], Case]] = {
    "mlp": lambda: mlp("elu", "batch"),
    "cnn": lambda: cnn("batch", padding="VALID"),
    "bidirectional_lstm": lambda: rnn("lstm", bidirectional=True),
    "tcn": lambda: cnn1d(models.tcn((4, 4), 3), "last"),
    "conv_vae": lambda: vae("reconstruct", "conv"),
    "dcgan": lambda: dcgan(conditional=True),
    "language": lambda: language(nn.Embedding(6, 4), nn.RNN("gru", 5)),
    **{f"mlp_{name}": lambda name=name: mlp(name) for name in ACTIVATIONS},
    "mlp_layer_norm": lambda: mlp(norm="layer"),
    "mlp_weight_norm": lambda: mlp(norm="weight"),
    "mlp_rms_norm": lambda: mlp(norm="rms"),
    "cnn_group_norm": lambda: cnn(nn.Norm("group", groups=2)),
    "tied_language": lambda: language(nn.Embedding(6, 5), nn.RNN("gru", 5), tied=True),
    "regression": regression,
    "softmax_regression": lambda: classifier(models.MLP((), 3), normal(4)),
    "lecture_cnn_5x5": lambda: classifier(models.lecture_cnn_5x5(), normal(*IMAGES)),
    "lecture_cnn_3x3": lambda: classifier(models.lecture_cnn_3x3(), normal(*IMAGES)),
    "resnet20": lambda: classifier(models.resnet20(3, 2), normal(*IMAGES)),
    "residual": lambda: cnn(padding=1, convs=2, residual=True),
    "cnn_padding": lambda: cnn(padding=((0, 2), (1, 0)), convs=2),
    "cnn_instance_norm": lambda: cnn("instance", convs=2, residual=True),
    "cnn_pool_padding": lambda: cnn(window=3, pool_strides=2, pool_padding=1),
    "cnn_strides": lambda: cnn(pool=None, strides=2),
    "cnn_average": lambda: cnn(pool="average"),
    "simple_rnn": lambda: rnn("simple", None, return_sequences=False),
    "lstm": lambda: rnn("lstm", "last", layers=2),
    "gru": lambda: rnn("gru", "max"),
    "bidirectional_gru": lambda: rnn("gru", None, bidirectional=True, return_sequences=False),
    "words": words,
    "cnn1d": lambda: cnn1d(models.CNN1D((4, 6), 3), "max"),
    "one_hot_language": lambda: language(models.OneHot(6), nn.RNN("lstm", 5, 2)),
    "tcn_language": lambda: language(models.OneHot(6), models.tcn((4,), 3)),
    "wavenet": lambda: language(nn.Embedding(6, 4), models.WaveNet(4, skip=5, layers=2)),
    "pixelcnn": lambda: pixels(models.PixelCNN((4, 5), features=3, layers=1)),
    "row_pixelrnn": lambda: pixels(models.PixelRNN((4, 5), features=3, layers=1)),
    "diagonal_pixelrnn": lambda: pixels(
        models.PixelRNN((4, 5), features=3, layers=1, kind="diagonal")
    ),
    "dense_vae_encode": lambda: vae("encode", "dense"),
    "dense_vae_decode": lambda: vae("decode", "dense", likelihood="continuous_bernoulli"),
    "conv_vae_encode": lambda: vae("encode", "conv"),
    "conv_vae_decode": lambda: vae("decode", "conv"),
    "conditional_vae": lambda: vae("reconstruct", "conv", conditional=True),
    "autoencoder_encode": lambda: autoencoder("encode"),
    "autoencoder_decode": lambda: autoencoder("decode"),
    "autoencoder": lambda: autoencoder("reconstruct"),
    "dense_generator": dense_generator,
    "dcgan_score": lambda: dcgan("score"),
    "spectral_score": lambda: dcgan("score", spectral=True),
}
