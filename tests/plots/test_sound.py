"""Pictures of sound: waves and spectra."""

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.plots import spectra, waves

TIMES = np.arange(80) / 8000


def test_waves_are_a_picture(tmp_path):
    sounds = {"one": np.sin(TIMES), "silence": np.zeros(40)}
    assert waves(sounds, 8000, tmp_path / "waves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="sounds: got"):
        waves({}, 8000, tmp_path / "none.png")


def test_spectra_are_a_picture(tmp_path):
    found = {"one": (np.arange(9.0), -np.arange(9.0)), "two": (np.arange(9.0), -np.ones(9))}
    for marked in ((), (3.0, 5.0)):
        path = spectra(found, tmp_path / "spectra.png", marked)
        assert path.read_bytes().startswith(b"\x89PNG")
