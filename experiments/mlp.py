"""A multi-layer perceptron names images.

    python experiments/mlp.py
    python experiments/mlp.py --hidden --data spirals
    python experiments/mlp.py --data mnist --seeds 5 --schedule cosine
    python experiments/mlp.py --data mnist --seeds 5 --schedule one_cycle --learning-rate 3e-3 \\
        --shift 1 --dropout 0.1 --ema 0.999 --validation 0

Test accuracy after 20 epochs, on two cores of an Intel Xeon at 2.6 GHz: the digits 97.8 % in 6 s;
MNIST, the lecture's 784-512-10, 98.28 ± 0.09 % (mean and deviation of 5 seeds, 130 s together);
with shifted images, dropout and averaged weights 98.97 % ± 0.04 % (the five together).
"""

import dataclasses
from typing import Any

import numpy as np

from jaxdl.experiment import ClassificationOptions, Run, launch, run_classification, run_experiment
from jaxdl.models import MLP


@dataclasses.dataclass(frozen=True)
class Config(ClassificationOptions):
    """Options of the perceptron."""

    hidden: tuple[int, ...] = (512,)
    """Widths of the hidden layers; none: softmax regression, the single-layer perceptron."""
    activation: str = "relu"
    """step, sign, linear, piecewise_linear, sigmoid, tanh, relu, leaky_relu, elu, gelu, silu, softplus."""
    dropout: float = 0.0
    """Share of each hidden layer that training drops, in [0, 1)."""
    norm: str | None = None
    """batch, layer or weight normalization."""
    kernel_init: str = "he_normal"
    """How weights start."""
    epochs: float = 20.0
    """Passes over the training set."""


def first_layer(params: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Each unit's weights as an image, `[h, w, c, units]`."""
    name = "dense_0" if "dense_0" in params else "out"
    return np.asarray(params[name]["kernel"]).reshape(*shape, -1)


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""

    def one(run: Run[Config]) -> dict[str, Any]:
        def model(classes: int) -> MLP:
            return MLP(
                config.hidden,
                classes,
                activation=config.activation,
                dropout=config.dropout,
                norm=config.norm,
                kernel_init=config.kernel_init,
                dtype=config.dtype,
            )

        return run_classification(run, model, first_layer)

    return run_experiment(config, one)


if __name__ == "__main__":
    launch(main, Config)
