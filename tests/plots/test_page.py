"""Tests of pages: whole files or none, deterministic bytes, and no global state."""

import subprocess
import sys

import pytest
from matplotlib.image import imread

from jaxdl import plots
from tests.plots.pictures import RECORDS


def test_page_writes_whole_files_or_none(tmp_path):
    path = tmp_path / "new" / "page.png"
    with plots.page(path, 2.0, 1.0) as figure:
        figure.subplots().plot([1, 2])
    assert imread(path).shape[:2] == (150, 300)
    before = path.read_bytes()
    with pytest.raises(KeyError), plots.page(path, 2.0, 1.0) as figure:
        raise KeyError
    with (
        pytest.raises(ValueError, match="expected|parse|Parse"),
        plots.page(path, 2.0, 1.0) as figure,
    ):
        figure.text(0, 0, r"$\frac{$")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_same_data_same_bytes(tmp_path):
    first, second = (plots.learning_curves(RECORDS, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_import_does_not_import_matplotlib_and_drawing_does_not_import_pyplot(tmp_path):
    code = (
        "import sys; from jaxdl import plots; assert 'matplotlib' not in sys.modules;"
        "import numpy as np;"
        f"plots.image_grid(np.eye(4).reshape(1, 4, 4, 1), {str(tmp_path / 'x.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
