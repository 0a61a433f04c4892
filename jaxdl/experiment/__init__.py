"""Experiments: options, run directories and results."""

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
    "collapse_warnings",
    "evaluate_samples",
    "fit_and_test",
    "image_sets",
    "latent_noise",
    "launch",
    "load_classifier",
    "read_array",
    "run_classification",
    "run_experiment",
    "run_gan",
    "run_variants",
    "sample_metrics",
]
