"""Shared parts of experiments of one kind: options, training, scores and figures."""

from jaxdl.recipes.augmentations import AugmentOptions, PixelAugmentOptions
from jaxdl.recipes.classification import (
    ClassificationOptions,
    classify_sets,
    run_classification,
)
from jaxdl.recipes.feature_classifier import classifier_of_classes, load_classifier
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test, split_sets
from jaxdl.recipes.gan import GANOptions, GANTrainingOptions, run_gan
from jaxdl.recipes.images import image_sets, repeat_first
from jaxdl.recipes.regression import regress_sets
from jaxdl.recipes.sample_quality import (
    class_rows,
    collapse_warnings,
    evaluate_samples,
    grid_inputs,
    latent_noise,
    sample_metrics,
)

__all__ = [
    "AugmentOptions",
    "ClassificationOptions",
    "GANOptions",
    "GANTrainingOptions",
    "PixelAugmentOptions",
    "TrainingOptions",
    "class_rows",
    "classifier_of_classes",
    "classify_sets",
    "collapse_warnings",
    "evaluate_samples",
    "fit_and_test",
    "grid_inputs",
    "image_sets",
    "latent_noise",
    "load_classifier",
    "regress_sets",
    "repeat_first",
    "run_classification",
    "run_gan",
    "sample_metrics",
    "split_sets",
]
