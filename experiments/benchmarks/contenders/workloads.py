"""Networks, sizes, data, parameters and FLOPs of the workloads, the same for every contender.

A layer is described by its number of weights, the number of times that one example uses each
weight, and its number of biases. The weights and their uses give the FLOPs of its matrix products.
The weights and biases give its parameters. Each contender's number of parameters is compared with
this sum, so the FLOPs are those of the networks that run.

    forward = 2 weights uses
    training = 3 forward

The gradients of the weights and of the inputs each cost as much as the forward pass. The input of
the network needs no gradient. Convolutions are counted as if the padding were part of the image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Number of examples in a set.
EXAMPLES = 6400

#: Steps and symbols of the text; the two layers of the recurrent networks have `HIDDEN` units each.
LENGTH = 40
ALPHABET = 89
HIDDEN = 128

#: Latent dimensions of the VAE and of the GAN.
LATENT = 20
NOISE = 100

#: Width of the VAE's first and second hidden layer.
WIDE = 512
NARROW = 256

#: Negative slope of the discriminator's leaky ReLU.
LEAK = 0.2

LEARNING_RATE = 1e-3


class Layer(NamedTuple):
    """One product of an input with weights.

    Attributes:
      weights: number of weights, which are multiplied.
      biases: number of biases, which are added, and of BatchNorm's scales.
      uses: number of times that one example uses each weight.
    """

    weights: int
    biases: int
    uses: int = 1

    @property
    def flops(self) -> int:
        """FLOPs of the forward pass, per example."""
        return 2 * self.weights * self.uses


def dense(inputs: int, outputs: int) -> Layer:
    """Returns a dense layer with a bias."""
    return Layer(inputs * outputs, outputs)


def conv(size: int, kernel: int, inputs: int, outputs: int) -> Layer:
    """Returns a convolution; `size` is that of its output, or of its input if it is transposed."""
    return Layer(kernel**2 * inputs * outputs, outputs, size**2)


def recurrent(inputs: int, gates: int, biases: int) -> list[Layer]:
    """Returns the products with the input and with the previous state, for all steps."""
    return [
        Layer(inputs * gates * HIDDEN, biases * HIDDEN, LENGTH),
        Layer(HIDDEN * gates * HIDDEN, 0, LENGTH),
    ]


def text(gates: int, biases: int) -> list[Layer]:
    """Returns two recurrent layers and the output layer, which reads the last step."""
    return [
        *recurrent(ALPHABET, gates, biases),
        *recurrent(HIDDEN, gates, biases),
        dense(HIDDEN, ALPHABET),
    ]


LAYERS: dict[str, Sequence[Layer]] = {
    "mlp": [dense(784, 512), dense(512, 10)],
    "cnn5": [conv(28, 5, 1, 32), conv(14, 5, 32, 64), dense(7 * 7 * 64, 1024), dense(1024, 10)],
    "cnn3": [conv(26, 3, 1, 32), conv(24, 3, 32, 64), dense(12 * 12 * 64, 128), dense(128, 10)],
    "lstm": text(4, 4),
    "gru": text(3, 4),
    "vae": [
        dense(784, WIDE),
        dense(WIDE, NARROW),
        dense(NARROW, 2 * LATENT),
        dense(LATENT, NARROW),
        dense(NARROW, WIDE),
        dense(WIDE, 784),
    ],
}

#: Layers before a BatchNorm have no bias; the BatchNorm adds a scale and a bias.
GENERATOR = [
    Layer(NOISE * 7 * 7 * 128, 2 * 128),
    Layer(5 * 5 * 128 * 64, 2 * 64, 7 * 7),
    conv(14, 5, 64, 1),
]
DISCRIMINATOR = [conv(14, 5, 1, 64), conv(7, 5, 64, 128), dense(7 * 7 * 128, 1)]


class Workload(NamedTuple):
    """A network and its batch size.

    Attributes:
      name: its name in the table.
      network: a key of `LAYERS`, or "dcgan".
      batch_size: examples per step and seed.
      seeds: number of seeds trained in one program, if the framework supports it.
    """

    name: str
    network: str
    batch_size: int
    seeds: int = 1

    @property
    def params(self) -> int:
        """Number of trainable parameters."""
        layers = {**LAYERS, "dcgan": GENERATOR + DISCRIMINATOR}[self.network]
        return sum(layer.weights + layer.biases for layer in layers)

    @property
    def flops(self) -> int:
        """FLOPs of one training step, per example."""
        if self.network == "dcgan":
            return adversarial()
        return training(LAYERS[self.network])

    def batches(self, examples: int = EXAMPLES) -> list[dict[str, np.ndarray]]:
        """Returns shuffled batches, which contenders cut before their clock starts."""
        arrays = self.arrays(examples)
        rows = np.random.default_rng(1).permutation(examples)
        cuts = range(0, examples - self.batch_size + 1, self.batch_size)
        return [
            {k: np.ascontiguousarray(x[rows[i : i + self.batch_size]]) for k, x in arrays.items()}
            for i in cuts
        ]

    def arrays(self, examples: int = EXAMPLES) -> dict[str, np.ndarray]:
        """Returns random examples of the network's shape: `input`, and `label` for classifiers."""
        rng = np.random.default_rng(0)
        if self.network in ("lstm", "gru"):
            inputs = rng.integers(0, ALPHABET, (examples, LENGTH)).astype(np.int32)
            classes = ALPHABET
        elif self.network == "vae":
            return {"input": rng.integers(0, 2, (examples, 784)).astype(np.float32)}
        elif self.network == "dcgan":
            return {"input": rng.uniform(-1, 1, (examples, 28, 28, 1)).astype(np.float32)}
        else:
            inputs = rng.random((examples, 28, 28, 1), np.float32)
            classes = 10
        return {"input": inputs, "label": rng.integers(0, classes, examples).astype(np.int32)}


def training(layers: Sequence[Layer]) -> int:
    """Returns the FLOPs of a forward pass and its gradients; the network's input needs none."""
    return 3 * forward(layers) - layers[0].flops


def adversarial() -> int:
    """Returns the FLOPs of a discriminator update and a generator update, each with new noise.

    The generator's gradient passes through the discriminator, whose weights need no gradient then.
    """
    generator = forward(GENERATOR)
    discriminator = forward(DISCRIMINATOR)
    discriminator_update = generator + 2 * training(DISCRIMINATOR)
    generator_update = training(GENERATOR) + 2 * discriminator
    return discriminator_update + generator_update


def forward(layers: Sequence[Layer]) -> int:
    """Returns the FLOPs of a forward pass."""
    return sum(layer.flops for layer in layers)


NETWORKS = (*LAYERS, "dcgan")

_ALL = (
    *(Workload(f"{network}-{size}", network, size) for network in NETWORKS for size in (32, 128)),
    Workload("mlp-8seeds-128", "mlp", 128, 8),
    Workload("cnn-8seeds-128", "cnn3", 128, 8),
)

WORKLOADS = {workload.name: workload for workload in _ALL}
