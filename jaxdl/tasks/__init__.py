"""Tasks: `init`, loss and inference functions for a model, one task per training goal."""

from jaxdl.tasks.binarization import binarize
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
from jaxdl.tasks.sampling import check_filters, sample_token
from jaxdl.tasks.vae import Variational, vae

__all__ = [
    "Adversarial",
    "Classifier",
    "Corruption",
    "Language",
    "Reconstructor",
    "Regressor",
    "Variational",
    "binarize",
    "check_filters",
    "classify",
    "gan",
    "gaussian_noise",
    "interpolate",
    "language",
    "latent_grid",
    "likelihood",
    "predict_batched",
    "random_shift",
    "reconstruct",
    "regress",
    "salt_and_pepper",
    "sample_token",
    "vae",
]
