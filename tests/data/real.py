"""Paths of real data for the tests that need it."""

import os
from pathlib import Path

import pytest

DIRECTORY = Path(os.environ.get("JAXDL_DATA") or Path(__file__).parents[3] / "shared" / "data")
SHERLOCK = DIRECTORY / "sherlock" / "1661-0.txt"
SHAKESPEARE = DIRECTORY / "tinyshakespeare" / "input.txt.gz"
IMDB = DIRECTORY / "imdb" / "aclImdb_labelled.tar.gz"


def needs(path: Path) -> pytest.MarkDecorator:
    """Returns a marker that skips a test if the file does not exist."""
    return pytest.mark.skipif(
        not path.is_file(), reason=f"no {path}; set JAXDL_DATA to its directory"
    )
