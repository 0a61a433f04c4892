"""Tasks: what a network is trained to do; each gives `init`, the loss and the inference functions."""

from jaxdl.tasks.classify import Classifier, classify, random_shift
from jaxdl.tasks.gan import Adversarial, gan
from jaxdl.tasks.language import Language, language
from jaxdl.tasks.latent import interpolate, latent_grid
from jaxdl.tasks.likelihoods import likelihood
from jaxdl.tasks.linen import predict_batched
from jaxdl.tasks.reconstruct import (
    Corruption,
    Reconstructor,
    gaussian_noise,
    reconstruct,
    salt_and_pepper,
)
from jaxdl.tasks.regress import Regressor, regress
from jaxdl.tasks.sampling import check_filters, draw
from jaxdl.tasks.vae import Variational, binarized, vae

__all__ = [
    "Adversarial",
    "Classifier",
    "Corruption",
    "Language",
    "Reconstructor",
    "Regressor",
    "Variational",
    "binarized",
    "check_filters",
    "classify",
    "draw",
    "gan",
    "gaussian_noise",
    "predict_batched",
    "interpolate",
    "language",
    "latent_grid",
    "likelihood",
    "random_shift",
    "reconstruct",
    "regress",
    "salt_and_pepper",
    "vae",
]
