"""Importing jaxdl beside a clone of it: the clone's folder is called `jaxdl` too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATEMENT = "import jaxdl; jaxdl.data, jaxdl.plots; print(jaxdl.__file__)"


@pytest.fixture
def beside(tmp_path):
    """A folder that holds a clone called `jaxdl`."""
    (tmp_path / "jaxdl").symlink_to(ROOT, target_is_directory=True)
    return tmp_path


def imported(folder, **environment):
    """Returns the path of the package that a Python process started in `folder` imports."""
    plain = {name: x for name, x in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", STATEMENT],
        cwd=folder,
        env={**plain, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_the_installed_package_wins_over_the_clone_beside_it(beside):
    """The test environment has an editable installation."""
    assert imported(beside).parts[-2:] == ("jaxdl", "__init__.py")


@pytest.mark.slow
def test_a_built_wheel_wins_over_the_clone_beside_it(beside):
    target = beside / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target)]
    subprocess.run([*install, str(ROOT)], check=True)
    path = imported(beside, PYTHONPATH=str(target))
    assert path == target / "jaxdl" / "__init__.py"
    assert not (target / "tests").exists()


def test_the_editable_installation_is_a_plain_path():
    """A finder of setuptools comes after the path, where the clone's folder is found first."""
    text = (ROOT / "pyproject.toml").read_text()
    assert 'build-backend = "hatchling.build"' in text
