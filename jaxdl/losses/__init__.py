"""Losses of one example, and the losses and penalties of adversarial training."""

from jaxdl.losses.adversarial import (
    AdversarialLosses,
    adversarial_losses,
    gradient_penalty,
    squared_gradient_norm,
)
from jaxdl.losses.supervised import (
    binary_cross_entropy,
    categorical_kl,
    check_sigma,
    continuous_bernoulli,
    cross_entropy,
    gaussian_kl,
    gaussian_nll,
    huber,
    mae,
    mse,
)

__all__ = [
    "AdversarialLosses",
    "adversarial_losses",
    "binary_cross_entropy",
    "categorical_kl",
    "check_sigma",
    "continuous_bernoulli",
    "cross_entropy",
    "gaussian_kl",
    "gaussian_nll",
    "gradient_penalty",
    "huber",
    "mae",
    "mse",
    "squared_gradient_norm",
]
