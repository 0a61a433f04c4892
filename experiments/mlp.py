"""A multi-layer perceptron names images.

python experiments/mlp.py
python experiments/mlp.py --data mnist --seeds 5 --epochs 20
"""

import dataclasses
from typing import Any

import numpy as np

from jaxdl.experiment import Classification, Run, classification, launch, repeat
from jaxdl.models import MLP


@dataclasses.dataclass(frozen=True)
class Config(Classification):
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
            )

        return classification(run, model, first_layer)

    return repeat(config, one)


if __name__ == "__main__":
    launch(main, Config)
