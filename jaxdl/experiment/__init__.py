"""Experiments: options, run directories, results."""

from jaxdl.experiment.classification import ClassificationOptions, run_classification
from jaxdl.experiment.directory import read_array
from jaxdl.experiment.feature_classifier import load_classifier
from jaxdl.experiment.fitting import TrainingOptions, fit_and_test, run_variants
from jaxdl.experiment.gan import GANOptions, run_gan
from jaxdl.experiment.images import image_sets
from jaxdl.experiment.options import Options, launch
from jaxdl.experiment.run import Run, run_experiment
from jaxdl.experiment.sample_quality import (
    collapse_warnings,
    evaluate_samples,
    latent_noise,
    sample_metrics,
)

__all__ = [
    "ClassificationOptions",
    "GANOptions",
    "Options",
    "Run",
    "TrainingOptions",
    "run_classification",
    "collapse_warnings",
    "run_variants",
    "fit_and_test",
    "run_gan",
    "image_sets",
    "evaluate_samples",
    "load_classifier",
    "sample_metrics",
    "launch",
    "latent_noise",
    "read_array",
    "run_experiment",
]
