"""A classifier of the digits for tests: trained for a moment, once in a process."""

import functools
import tempfile
from pathlib import Path

from jaxdl.experiment.feature_classifier import FeatureClassifierOptions, train_feature_classifier

_PLACE = tempfile.TemporaryDirectory()


@functools.cache
def trained_classifier() -> Path:
    """Its directory."""
    out = Path(_PLACE.name) / "feature_classifier"
    train_feature_classifier(
        FeatureClassifierOptions(steps=60, batch_size=64, save_every=60, out=str(out)).validate()
    )
    return out
