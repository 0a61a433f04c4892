"""Table of all kinds of learners, with tiny networks and data.

Each law in `test_contract.py` is checked on every row.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import numpy as np
import optax

import jaxdl
from jaxdl import models, nn, rl
from jaxdl.core import Learner
from jaxdl.data import Dataset, Simulated
from jaxdl.data.source import Paired
from jaxdl.updates import Rule, Update

SIZE = 22
BATCH = 8  # two steps per epoch; the last evaluation batch has 6 examples


class Row(NamedTuple):
    """One kind of learner.

    Attributes:
      updates: `updates(optimizer) -> tuple of Update`.
      init: the task's init.
      data: a few random examples.
      pmap: False if the `pmap` strategy is refused.
      exact_pmap: True if the `pmap` strategy computes the same step as one device, because no
        layer or noise depends on the whole batch.
      wrap: changes the learner.
    """

    updates: Callable[[optax.GradientTransformation], tuple[Update | Rule, ...]]
    init: Callable
    data: Dataset | Simulated | Paired
    exact_pmap: bool = False
    pmap: bool = True
    wrap: Callable[[Learner], Learner] = lambda net: net

    def learner(self, optimizer: optax.GradientTransformation) -> Learner:
        return self.learner_of(*self.updates(optimizer))

    def learner_of(self, *updates: Update | Rule) -> Learner:
        return self.wrap(jaxdl.learner(self.init, *updates))


def random_set(seed: int, **fields: np.ndarray) -> Dataset:
    return Dataset(fields, f"random {seed}")


def attacked_classifier(norm: str | None = None, **options: Any) -> Row:
    """Returns adversarial training with random starts, whose inputs lie in the range of pixels."""
    rng = np.random.default_rng(5)
    data = random_set(
        5,
        input=rng.uniform(size=(SIZE, 6, 6, 1)).astype(np.float32),
        label=rng.integers(0, 3, SIZE).astype(np.int32),
    )
    model = models.CNN((models.Stage(4),), (), 3, norm=norm)
    attack = jaxdl.explain.pgd(0.1, 2)
    task = jaxdl.tasks.classify(model, attack=attack, **options)
    return Row(task.updates, task.init, data)


def classifier(
    model: linen.Module, shape: tuple[int, ...], exact_pmap: bool = False, **options: Any
) -> Row:
    rng = np.random.default_rng(1)
    data = random_set(
        1,
        input=rng.normal(size=(SIZE, *shape)).astype(np.float32),
        label=rng.integers(0, 3, SIZE).astype(np.int32),
    )
    task = jaxdl.tasks.classify(model, **options)
    return Row(task.updates, task.init, data, exact_pmap=exact_pmap)


def residual(norm: nn.Norm | str | None) -> Row:
    """Returns a classifier with a projected skip connection and global average pooling."""
    stage = models.Stage(4, 3, 2, 1, pool=None, convs=2, residual=True)
    model = models.CNN((stage,), (), 3, norm=norm, head_size=1)
    return classifier(model, (6, 6, 1), exact_pmap=norm != "batch")


def frozen() -> Row:
    """Returns a classifier of images with a frozen stage, and BatchNorm in all layers."""
    stages = (jaxdl.models.Stage(4, 3, pool="max"),)
    made = classifier(jaxdl.models.CNN(stages, (5,), 3, norm="batch"), (6, 6, 1))

    def updates(optimizer: optax.GradientTransformation) -> tuple[Update, ...]:
        return (jaxdl.freeze(*made.updates(optimizer), ["conv_0", "norm_0"]),)

    return made._replace(updates=updates)


def pretrained() -> Row:
    """Returns a classifier whose hidden layer starts from given weights."""
    made = classifier(jaxdl.models.MLP((6,), 3), (5,), exact_pmap=True)
    kernel = np.random.default_rng(12).normal(0, 0.5, (5, 6)).astype(np.float32)
    variables = {"params": {"dense_0": {"kernel": kernel, "bias": np.ones(6, np.float32)}}}
    return made._replace(wrap=lambda net: jaxdl.with_initial(net, variables, ["dense_0"]))


class Sowing(linen.Module):
    """A module without a flag for training, with an auxiliary loss of each example."""

    @linen.compact
    def __call__(self, x):
        hidden = linen.tanh(linen.Dense(6)(x))
        self.sow("losses", "size", 0.1 * (hidden**2).mean(-1))
        return linen.Dense(3)(hidden)


def language(carried: bool) -> Row:
    """Returns a language model of random tokens in contiguous windows.

    If the carry is passed on, the cell is a GRU. Otherwise it is an LSTM and some windows are
    shorter.
    """
    rng = np.random.default_rng(2)
    rnn = nn.RNN("lstm", 8, 1)
    if carried:
        rnn = nn.RNN("gru", 8, 2)
    net = models.SequenceNet(models.OneHot(5), rnn, 5)
    tokens = rng.integers(0, 5, SIZE * 7 + 1).astype(np.int32)
    fields = {"input": tokens[:-1].reshape(SIZE, 7), "label": tokens[1:].reshape(SIZE, 7)}
    if not carried:
        fields["length"] = rng.integers(1, 8, SIZE).astype(np.int32)
    task = jaxdl.tasks.language(net, carried=carried)
    data = Dataset(fields, "random 2", contiguous=carried)
    return Row(task.updates, task.init, data, exact_pmap=True)


def tied_language() -> Row:
    """Returns a language model whose outputs share the weights of the embedding."""
    rng = np.random.default_rng(13)
    tokens = rng.integers(0, 5, (SIZE, 8)).astype(np.int32)
    data = random_set(13, input=tokens[:, :-1], label=tokens[:, 1:])
    net = models.SequenceNet(nn.Embedding(5, 4), nn.RNN("gru", 4), 5, tied=True)
    task = jaxdl.tasks.language(net)
    return Row(task.updates, task.init, data, exact_pmap=True)


def sequence_classifier(body: linen.Module, pool: str | None) -> Row:
    """Returns a classifier of sequences of different lengths, with two classes and a sigmoid."""
    rng = np.random.default_rng(5)
    data = random_set(
        5,
        input=rng.integers(1, 6, (SIZE, 7)).astype(np.int32),
        length=rng.integers(1, 8, SIZE).astype(np.int32),
        label=rng.integers(0, 2, SIZE).astype(np.int32),
    )
    task = jaxdl.tasks.classify(models.SequenceNet(nn.Embedding(6, 4), body, 1, pool))
    return Row(task.updates, task.init, data, exact_pmap=True)


def sequence_regression() -> Row:
    rng = np.random.default_rng(6)
    data = random_set(
        6,
        input=rng.normal(size=(SIZE, 7, 2)).astype(np.float32),
        target=rng.normal(size=(SIZE, 1)).astype(np.float32),
    )
    task = jaxdl.tasks.regress(models.SequenceNet(None, models.tcn((4,), 2), 1, "last"))
    return Row(task.updates, task.init, data, exact_pmap=True)


def pictures(seed: int, *shape: int) -> Dataset:
    """Returns random images, each nearly uniform in brightness, with random classes."""
    rng = np.random.default_rng(seed)
    grey = rng.uniform(size=(SIZE, 1, 1, 1)) + rng.uniform(-0.2, 0.2, size=(SIZE, *shape))
    grey = grey.clip(0, 1).astype(np.float32)
    return random_set(seed, input=grey, label=rng.integers(0, 3, SIZE).astype(np.int32))


def reconstruction() -> Row:
    """Returns a denoising convolutional autoencoder."""
    encoder = models.CNN((models.Stage(3, pool=None, strides=2),), outputs=None, norm="batch")
    net = models.Autoencoder(encoder, models.ConvDecoder((models.UpStage(1),)))
    task = jaxdl.tasks.reconstruct(
        net, likelihood="gaussian", corrupt=jaxdl.augment.gaussian_noise(0.1)
    )
    return Row(task.updates, task.init, pictures(7, 6, 6, 1))


def vae(conditional: bool) -> Row:
    """Returns a dense VAE for binarized images, or a conditional one with a KL warm-up."""
    parts = models.MLP((8,), 4, "tanh"), models.Reshaped(models.MLP((8,), 4, "tanh"), (2, 2, 1))
    options = {"binarize": 0.5}
    if conditional:
        parts = tuple(models.Conditional(part, 3, 4) for part in parts)
        options = {"warmup": 3}
    task = jaxdl.tasks.vae(models.VAE(*parts, latent=2), **options)
    return Row(task.updates, task.init, pictures(3, 2, 2, 1))


def gan() -> Row:
    """Returns a dense GAN with BatchNorm in the generator and a spectral norm discriminator."""
    generator = models.Reshaped(models.MLP((8,), 4, norm="batch"), (2, 2, 1))
    task = jaxdl.tasks.gan(
        generator, models.MLP((8,), 1, "leaky_relu"), latent=3, spectral_norm=True, critic_steps=2
    )
    return Row(
        lambda optimizer: task.updates(optimizer, optimizer), task.init, pictures(4, 2, 2, 1)
    )


def conditional_dcgan() -> Row:
    """Returns a class-conditional convolutional GAN with a gradient penalty.

    The penalty is computed between real and generated examples.
    """
    generator = models.Conditional(
        models.ConvDecoder((models.UpStage(1),), (3, 3, 4), norm="batch"), 3, 2
    )
    discriminator = models.CNN((models.Stage(4, 4, 2, pool=None),), (), 1, "leaky_relu")
    both = generator, models.Conditional(discriminator, 3)
    task = jaxdl.tasks.gan(*both, latent=3, loss="hinge", penalty=1.0)
    return Row(
        lambda optimizer: task.updates(optimizer, optimizer), task.init, pictures(8, 6, 6, 1)
    )


def translation() -> Row:
    """Returns pix2pix with dropout and BatchNorm in the generator."""
    generator = models.UNet((3, 4), 1, norm="batch", dropout=0.3)
    discriminator = models.patch_discriminator((6,))
    task = jaxdl.tasks.translate(generator, discriminator, loss="least_squares", l1=2.0)
    images = pictures(4, 4, 4, 1)
    arrays = {**images.arrays, "target": 1 - np.asarray(images["input"])}
    return Row(
        lambda optimizer: task.updates(optimizer, optimizer),
        task.init,
        dataclasses.replace(images, arrays=arrays),
    )


def unpaired_translation() -> Row:
    """Returns a CycleGAN with a pool that is filled within three steps."""
    task = jaxdl.tasks.translate_unpaired(
        models.UNet((3, 4), 1, activation="tanh"), models.patch_discriminator((3,)), pool=10
    )
    images = pictures(6, 4, 4, 1)
    negatives = {**images.arrays, "input": 1 - np.asarray(images["input"])}
    return Row(
        lambda optimizer: task.updates(optimizer, optimizer),
        task.init,
        jaxdl.data.paired(images, dataclasses.replace(images, arrays=negatives)),
    )


def q_table() -> Row:
    """Returns SARSA in a game with chance, from four-tile boards."""
    game = rl.environment("flippers", game="box", size=2, flips=0.1, limit=8)
    task = jaxdl.tasks.q_table(game, rule="sarsa", rate_decay=0.5, exploration=(1.0, 0.1, 20))
    return Row(lambda optimizer: task.updates(), task.init, Simulated(2), pmap=False)


def q_network() -> Row:
    """Returns a double duelling network with targets of two steps and BatchNorm."""
    pole = rl.environment("cart_pole", limit=30)
    model = models.Dueling(models.MLP((8,), 3, norm="batch"))
    task = jaxdl.tasks.q_network(
        model, pole, n_steps=2, moves=2, updates=2, replay=48, replay_batch=8, first_moves=32
    )
    return Row(task.updates, task.init, Simulated(2))


def reinforce() -> Row:
    catch = rl.environment("catch", rows=4, columns=3)
    task = jaxdl.tasks.reinforce(models.MLP((8,), 4), catch, length=4)
    return Row(task.updates, task.init, Simulated(2))


def pixel_net(model: linen.Module, **options: Any) -> Row:
    """Returns an autoregressive model of images of random brightness."""
    task = jaxdl.tasks.autoregressive(model, **options)
    exact = options.get("binarize") != "dynamic"
    return Row(task.updates, task.init, pictures(14, 4, 4, 1), exact_pmap=exact)


def wavenet() -> Row:
    """Returns a WaveNet of random levels, whose queues go from window to window."""
    rng = np.random.default_rng(15)
    levels = rng.integers(0, 5, SIZE * 7 + 1).astype(np.int32)
    fields = {"input": levels[:-1].reshape(SIZE, 7), "label": levels[1:].reshape(SIZE, 7)}
    net = models.SequenceNet(nn.Embedding(5, 4), models.WaveNet(4, skip=6, layers=2), 5)
    task = jaxdl.tasks.language(net, carried=True)
    return Row(task.updates, task.init, Dataset(fields, "random 15", contiguous=True), True)


def skip_gram(method: str) -> Row:
    """Returns word vectors of short random texts of seven words, with padding in the last one."""
    rng = np.random.default_rng(14)
    ids = rng.integers(2, 9, (SIZE, 12)).astype(np.int32)
    ids[-1, 7:] = 0
    counts = np.bincount(ids.reshape(-1), minlength=9) * (np.arange(9) > 1)
    options = {"window": 2, "negatives": 2, "shared": 16, "subsample": 0.2, "steps": 100}
    task = jaxdl.tasks.embed(models.SkipGram(9, 4), counts, method=method, **options)
    return Row(lambda optimizer: task.updates(), task.init, random_set(14, input=ids), pmap=False)


def glove() -> Row:
    ids = np.random.default_rng(15).integers(2, 9, 60)
    pairs = jaxdl.data.cooccurrences(ids, 2)
    task = jaxdl.tasks.glove(models.SkipGram(9, 4, biases=True))
    data = Dataset({name: x[:SIZE] for name, x in pairs.arrays.items()}, "random 15")
    return Row(lambda optimizer: task.updates(), task.init, data, pmap=False)


ROWS: dict[str, Callable[[], Row]] = {
    "mlp": lambda: classifier(jaxdl.models.MLP((6,), 3), (5,), exact_pmap=True),
    "auxiliary_loss": lambda: classifier(Sowing(), (5,), exact_pmap=True),
    "mlp_dropout": lambda: classifier(jaxdl.models.MLP((6,), 3, dropout=0.3), (5,)),
    "cnn_batchnorm": lambda: classifier(
        jaxdl.models.CNN((jaxdl.models.Stage(4, 3, pool="max"),), (), 3, norm="batch"), (6, 6, 1)
    ),
    "augmented": lambda: classifier(
        # Outside of a moved image all pixels are 0. The largest one of a window is a matter of
        # rounding there, and their mean is not.
        jaxdl.models.CNN((jaxdl.models.Stage(4, 3, pool="average"),), (), 3),
        (6, 6, 1),
        augment=jaxdl.augment.affine(10.0, 1.0, 1.1, 5.0),
        mix=jaxdl.augment.mixup(1.0),
    ),
    "residual": lambda: residual(None),
    "residual_batchnorm": lambda: residual("batch"),
    "residual_groupnorm": lambda: residual(nn.Norm("group", groups=2)),
    "residual_instancenorm": lambda: residual("instance"),
    "efficientnet": lambda: classifier(
        jaxdl.models.EfficientNet((jaxdl.models.InvertedResidual(3, 2),), 3, 4, 3), (6, 6, 1)
    ),
    "adversarial": attacked_classifier,
    "trades": lambda: attacked_classifier("batch", trades=2.0, attack_warmup=3),
    "lstm_language": lambda: language(carried=False),
    "gru_language_carried": lambda: language(carried=True),
    "tied_language": tied_language,
    "birnn_classifier": lambda: sequence_classifier(
        nn.RNN("simple", 4, bidirectional=True), "mean"
    ),
    "cnn1d_classifier": lambda: sequence_classifier(models.CNN1D((4,), 3), "max"),
    "tcn_regression": sequence_regression,
    "denoising_autoencoder": reconstruction,
    "vae": lambda: vae(conditional=False),
    "conditional_vae": lambda: vae(conditional=True),
    "gan": gan,
    "conditional_dcgan": conditional_dcgan,
    "translation": translation,
    "unpaired_translation": unpaired_translation,
    "pixelcnn": lambda: pixel_net(
        models.PixelCNN((4, 4), features=4, layers=1, first_size=3, gated=False),
        binarize="dynamic",
    ),
    "gated_pixelcnn": lambda: pixel_net(
        models.PixelCNN((4, 4), levels=3, features=4, layers=1, first_size=3, classes=3)
    ),
    "row_pixelrnn": lambda: pixel_net(
        models.PixelRNN((4, 4), levels=3, features=4, layers=1, first_size=3)
    ),
    "diagonal_pixelrnn": lambda: pixel_net(
        models.PixelRNN((4, 4), features=4, layers=1, first_size=3, kind="diagonal"), binarize=0.5
    ),
    "wavenet_language_carried": wavenet,
    "frozen": frozen,
    "pretrained": pretrained,
    "q_table": q_table,
    "q_network": q_network,
    "reinforce": reinforce,
    "skip_gram": lambda: skip_gram("skip_gram"),
    "cbow": lambda: skip_gram("cbow"),
    "glove": glove,
}
