"""The project's metadata, the contents of its distributions, and the commands of a release."""

import re
import subprocess
import sys
import tomllib

import pytest

from jaxdl.version import __version__
from tests.release import (
    ROOT,
    check,
    expected_in_wheel,
    main,
    relative_links,
    sdist_faults,
    tag_fault,
    tracked,
    wheel_faults,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_metadata_is_complete():
    project = PROJECT["project"]
    assert set(project["urls"]) == {"Source", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith("https://") for url in project["urls"].values())
    assert project["authors"] and project["keywords"]
    assert project["scripts"] == {"jaxdl": "jaxdl.__main__:main"}
    lowest = project["requires-python"].removeprefix(">=")
    pythons = [
        name.rpartition(" ")[2]
        for name in project["classifiers"]
        if re.search(r"Python :: 3\.\d+$", name)
    ]
    assert pythons[0] == lowest and len(pythons) >= 3
    assert "Typing :: Typed" in project["classifiers"]
    assert (ROOT / "jaxdl" / "py.typed").exists()


def test_links_of_the_readme_become_absolute_in_the_index():
    page = (ROOT / "README.md").read_text()
    assert relative_links(page)
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for each in hook["substitutions"]:
        page = re.sub(each["pattern"], each["replacement"], page)
    assert not relative_links(page)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert pictures and all("raw.githubusercontent.com" in each for each in pictures)


def test_the_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"version: {__version__}\n" in text
    assert text.startswith("cff-version: 1.2.0\n")


def test_a_wheel_with_a_test_and_without_a_script_is_refused():
    files = tracked()
    names = {*expected_in_wheel(files), "jaxdl-1.dist-info/METADATA"}
    assert not wheel_faults(names, files)
    names |= {"tests/conftest.py", "jaxdl/experiments/benchmarks/speed.py"}
    names -= {"jaxdl/experiments/cnn.py", "jaxdl/py.typed"}
    assert wheel_faults(names, files) == [
        "the wheel has jaxdl/experiments/benchmarks/speed.py",
        "the wheel has tests/conftest.py",
        "the wheel lacks jaxdl/experiments/cnn.py",
        "the wheel lacks jaxdl/py.typed",
    ]


def test_a_source_distribution_without_the_tests_data_is_refused():
    names = [f"jaxdl-1/{name}" for name in tracked() if name != "tests/golden.json"]
    assert sdist_faults(names, tracked()) == ["the sdist lacks tests/golden.json"]


def test_the_tag_is_that_of_the_version():
    assert not tag_fault(f"v{__version__}")
    assert tag_fault(__version__) == [
        f"the tag {__version__} is not v{__version__}, which jaxdl/version.py has"
    ]


def test_the_workflow_publishes_without_a_token_and_with_fixed_actions():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "id-token: write" in text and "secrets" not in text and "password" not in text
    uses = re.findall(r"uses: (\S+)", text)
    assert uses and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in uses)
    assert 'python -m tests.release --tag "$GITHUB_REF_NAME"' in text


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "usage: .ci/versions PYTHON constraints|newest|lowest"),
        (["3.11", "newer"], 2, "usage: "),
        (["2.9", "newest"], 77, "no Python 2.9 with venv here"),
    ],
)
def test_the_command_for_versions_reports_wrong_arguments(words, code, line):
    done = subprocess.run([ROOT / ".ci" / "versions", *words], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.release
def test_two_builds_are_equal_and_the_wheel_runs_elsewhere(tmp_path, capfd):
    assert main(["--out", str(tmp_path), "--python", sys.executable]) == 0
    wheel = next(tmp_path.glob("*.whl"))
    assert not check(wheel, next(tmp_path.glob("*.tar.gz")))
    assert "reproduced: " in capfd.readouterr().out
