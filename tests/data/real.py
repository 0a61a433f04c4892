"""Where real data is, for the tests that look at it."""

import os
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("JAXDL_DATA") or Path(__file__).parents[3] / "shared" / "data")
SHERLOCK = PLACE / "sherlock" / "1661-0.txt"
SHAKESPEARE = PLACE / "tinyshakespeare" / "input.txt.gz"
IMDB = PLACE / "imdb" / "aclImdb_labelled.tar.gz"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skips a test where a file is not there."""
    return pytest.mark.skipif(
        not path.is_file(), reason=f"no {path}; set JAXDL_DATA to where it is"
    )
