"""Notebooks: each one is well-formed text, and runs as a script whose assertions hold."""

import ast
import runpy
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_text_in_the_percent_format(path):
    text = path.read_text()
    assert text.startswith("# ---\n# jupyter:\n")
    # The text of a cell is a comment, so the whole file is Python.
    ast.parse(text)
    kinds = [line for line in text.splitlines() if line.startswith("# %%")]
    assert set(kinds) == {"# %%", "# %% [markdown]"}
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    plt.switch_backend("Agg")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        runpy.run_path(str(path))
    # A notebook leaves its figures open, and pyplot warns about too many of them.
    plt.close("all")
