"""A feature classifier of the digits for tests, trained for a few steps."""

import functools
import tempfile
from pathlib import Path

from jaxdl.recipes.feature_classifier import FeatureClassifierOptions, train_feature_classifier
from jaxdl.runs import with_options

_DIRECTORY = tempfile.TemporaryDirectory()


@functools.cache
def trained_classifier() -> Path:
    """Returns the directory of the classifier, which is trained once per process."""
    out = Path(_DIRECTORY.name) / "feature_classifier"
    options = with_options(
        FeatureClassifierOptions(), steps=60, batch_size=64, save_every=60, out=str(out)
    )
    train_feature_classifier(options.validate())
    return out
