"""What is trained: sizes, data, parameters and FLOPs, the same for every contender.

A layer is told by its weights and by how often one example uses each of them, which gives the FLOPs of
its matrix products, and with the biases its parameters. The parameters that every contender really has
are held against these, so that the FLOPs are those of the networks that run.

    forward = 2 weights uses        training = 3 forward  (the gradients of weights and of inputs cost as much)

The input of a network needs no gradient. Convolutions are counted as if the padding were image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Examples in a set.
EXAMPLES = 6400

#: Steps and symbols of the text; the two layers of the recurrent networks have `HIDDEN` units each.
LENGTH = 40
ALPHABET = 89
HIDDEN = 128

#: Sizes of the VAE's and the GAN's latent codes.
LATENT = 20
NOISE = 100

#: Width of the VAE's first and second hidden layer.
WIDE = 512
NARROW = 256

#: How much of the negative side the discriminator lets through.
LEAK = 0.2

LEARNING_RATE = 1e-3


class Layer(NamedTuple):
    """One product of an input with weights.

    Attributes:
      weights: numbers that are multiplied.
      biases: numbers that are added, or scale (BatchNorm).
      uses: how often one example uses each weight.
    """

    weights: int
    biases: int
    uses: int = 1

    @property
    def flops(self) -> int:
        """Forward, per example."""
        return 2 * self.weights * self.uses


def dense(inputs: int, outputs: int) -> Layer:
    """With a bias."""
    return Layer(inputs * outputs, outputs)


def conv(size: int, kernel: int, inputs: int, outputs: int) -> Layer:
    """`size` is that of the result; of the input if the convolution is transposed."""
    return Layer(kernel**2 * inputs * outputs, outputs, size**2)


def recurrent(inputs: int, gates: int, biases: int) -> list[Layer]:
    """The products with the input and with the state before it, for all steps."""
    return [
        Layer(inputs * gates * HIDDEN, biases * HIDDEN, LENGTH),
        Layer(HIDDEN * gates * HIDDEN, 0, LENGTH),
    ]


def text(gates: int, biases: int) -> list[Layer]:
    """Two recurrent layers, and the symbols from the last step."""
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
        *(dense(784, WIDE), dense(WIDE, NARROW), dense(NARROW, 2 * LATENT)),
        *(dense(LATENT, NARROW), dense(NARROW, WIDE), dense(WIDE, 784)),
    ],
}

#: Below a BatchNorm there is no bias; it has a scale and a bias of its own.
GENERATOR = [
    Layer(NOISE * 7 * 7 * 128, 2 * 128),
    Layer(5 * 5 * 128 * 64, 2 * 64, 7 * 7),
    conv(14, 5, 64, 1),
]
DISCRIMINATOR = [conv(14, 5, 1, 64), conv(7, 5, 64, 128), dense(7 * 7 * 128, 1)]


class Workload(NamedTuple):
    """A network and how many examples a step sees.

    Attributes:
      name: in the table.
      network: a key of `LAYERS`, or "dcgan".
      batch_size: examples per step and seed.
      seeds: how many are trained at once, where a framework can.
    """

    name: str
    network: str
    batch_size: int
    seeds: int = 1

    @property
    def params(self) -> int:
        """Numbers that the optimizer moves."""
        layers = GENERATOR + DISCRIMINATOR if self.network == "dcgan" else LAYERS[self.network]
        return sum(layer.weights + layer.biases for layer in layers)

    @property
    def flops(self) -> int:
        """Of one training step, per example."""
        return adversarial() if self.network == "dcgan" else training(LAYERS[self.network])

    def batches(self, examples: int = EXAMPLES) -> list[dict[str, np.ndarray]]:
        """Shuffled batches, ready before any clock starts."""
        arrays = self.arrays(examples)
        rows = np.random.default_rng(1).permutation(examples)
        cuts = range(0, examples - self.batch_size + 1, self.batch_size)
        return [
            {k: np.ascontiguousarray(x[rows[i : i + self.batch_size]]) for k, x in arrays.items()}
            for i in cuts
        ]

    def arrays(self, examples: int = EXAMPLES) -> dict[str, np.ndarray]:
        """Random examples of the right shape: `input`, and where there are classes `label`."""
        draw = np.random.default_rng(0)
        if self.network in ("lstm", "gru"):
            inputs = draw.integers(0, ALPHABET, (examples, LENGTH)).astype(np.int32)
            classes = ALPHABET
        elif self.network == "vae":
            return {"input": draw.integers(0, 2, (examples, 784)).astype(np.float32)}
        elif self.network == "dcgan":
            return {"input": draw.uniform(-1, 1, (examples, 28, 28, 1)).astype(np.float32)}
        else:
            inputs = draw.random((examples, 28, 28, 1), np.float32)
            classes = 10
        return {"input": inputs, "label": draw.integers(0, classes, examples).astype(np.int32)}


def training(layers: Sequence[Layer]) -> int:
    """FLOPs of a forward pass and its gradients; the first layer's input needs none."""
    return 3 * forward(layers) - layers[0].flops


def adversarial() -> int:
    """FLOPs of a discriminator update and a generator update, each with noise of its own.

    The generator's gradient passes through the discriminator, whose weights need none then.
    """
    fakes = forward(GENERATOR)
    judged = forward(DISCRIMINATOR)
    return fakes + 2 * training(DISCRIMINATOR) + training(GENERATOR) + 2 * judged


def forward(layers: Sequence[Layer]) -> int:
    """FLOPs of a forward pass."""
    return sum(layer.flops for layer in layers)


NETWORKS = (*LAYERS, "dcgan")

WORKLOADS = {
    workload.name: workload
    for workload in (
        *(
            Workload(f"{network}-{size}", network, size)
            for network in NETWORKS
            for size in (32, 128)
        ),
        Workload("mlp-8seeds-128", "mlp", 128, 8),
        Workload("cnn-8seeds-128", "cnn3", 128, 8),
    )
}
