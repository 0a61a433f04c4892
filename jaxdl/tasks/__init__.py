"""Tasks: `init`, losses and inference functions for a model, one task per training goal."""

from jaxdl.tasks.autoregressive import autoregressive
from jaxdl.tasks.binarization import binarize
from jaxdl.tasks.classify import classify
from jaxdl.tasks.embed import embed
from jaxdl.tasks.gan import gan
from jaxdl.tasks.generation import generator
from jaxdl.tasks.glove import glove
from jaxdl.tasks.language import language
from jaxdl.tasks.latent import interpolate, latent_grid
from jaxdl.tasks.likelihoods import likelihood
from jaxdl.tasks.q_network import q_network
from jaxdl.tasks.q_table import q_table
from jaxdl.tasks.reconstruct import reconstruct
from jaxdl.tasks.regress import regress
from jaxdl.tasks.reinforce import reinforce
from jaxdl.tasks.sampling import check_filters, sample_token
from jaxdl.tasks.task import Task
from jaxdl.tasks.translate import translate
from jaxdl.tasks.translate_unpaired import translate_unpaired
from jaxdl.tasks.vae import vae

__all__ = [
    "Task",
    "autoregressive",
    "binarize",
    "check_filters",
    "classify",
    "embed",
    "gan",
    "generator",
    "glove",
    "interpolate",
    "language",
    "latent_grid",
    "likelihood",
    "q_network",
    "q_table",
    "reconstruct",
    "regress",
    "reinforce",
    "sample_token",
    "translate",
    "translate_unpaired",
    "vae",
]
