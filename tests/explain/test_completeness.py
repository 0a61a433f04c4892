"""Completeness on real images: 99 % of MNIST test images below 2e-3 at 256 steps."""

import os
from pathlib import Path

import pytest

from tests.explain.completeness import main

#: Directory of prepared sets of TFDS.
TFDS = Path(os.environ.get("TFDS_DATA_DIR") or Path(__file__).parents[3] / "shared" / "tfds")


@pytest.mark.slow
@pytest.mark.release
@pytest.mark.skipif(
    not (TFDS / "mnist").is_dir(), reason=f"no prepared MNIST in {TFDS}; set TFDS_DATA_DIR"
)
def test_the_errors_of_mnist_are_small():
    assert main(["--steps", "256", "--data-dir", str(TFDS)]) == 0
