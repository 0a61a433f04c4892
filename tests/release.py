"""Builds the distributions twice and checks them, then tests the wheel away from the source.

    python -m tests.release                       # in a few minutes, with a network
    python -m tests.release --out dist            # keeps the distributions
    python -m tests.release --tag v0.1.0          # the tag must be that of the version
    python -m tests.release --python python3.13   # interpreter that the wheel is installed on

Both builds must have the same SHA-256. The wheel has the package and the scripts, and no tests. The
source distribution has all that the tests read. The wheel is installed in a fresh environment. In a
folder outside of the source it runs the main experiment, exports the network and repeats the run.
The examples of the README run there, too.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from jaxdl.version import __version__

ROOT = Path(__file__).parents[1]

#: The time of all files in the distributions, in seconds since 1970: 1 January 2026.
TIME = "1767225600"

#: The largest wheel, in bytes. It had 1.2 MB when this was written.
MOST_BYTES = 2_000_000


def tracked() -> list[str]:
    """Returns the paths of the files under git, and of new ones that git does not ignore."""
    command = ["git", "ls-files", "-c", "-o", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in set(listed.stdout.splitlines()) if (ROOT / name).exists())


def expected_in_wheel(files: Iterable[str]) -> set[str]:
    """Returns the files that the wheel must have, besides its metadata.

    Example:
      >>> sorted(expected_in_wheel(["jaxdl/core.py", "experiments/cnn.py", "tests/x.py"]))
      ['jaxdl/core.py', 'jaxdl/experiments/cnn.py']
    """
    scripts = {f"jaxdl/{name}" for name in files if re.fullmatch(r"experiments/\w+\.py", name)}
    return scripts | {name for name in files if name.startswith("jaxdl/")}


def wheel_faults(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Returns a line for each file that a wheel lacks or should not have.

    Args:
      names: the files in the wheel.
      files: the files of the source.

    Example:
      >>> wheel_faults(["jaxdl/core.py", "tests/x.py"], ["jaxdl/core.py", "jaxdl/py.typed"])
      ['the wheel has tests/x.py', 'the wheel lacks jaxdl/py.typed']
    """
    found = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    expected = expected_in_wheel(files)
    return [f"the wheel has {name}" for name in sorted(found - expected)] + [
        f"the wheel lacks {name}" for name in sorted(expected - found)
    ]


def sdist_faults(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Returns a line for each file that a source distribution lacks.

    Example:
      >>> sdist_faults(["jaxdl-1/README.md"], ["README.md", "tests/conftest.py"])
      ['the sdist lacks tests/conftest.py']
    """
    found = {name.partition("/")[2] for name in names}
    return [f"the sdist lacks {name}" for name in sorted(set(files) - found)]


def relative_links(page: str) -> list[str]:
    """Returns the links and pictures of a page that an index cannot show.

    Example:
      >>> relative_links("![a](docs/a.png), [b](https://b), [c](#c)")
      ['docs/a.png']
    """
    targets = re.findall(r"\]\(([^)]+)\)", page)
    return [target for target in targets if not target.startswith(("https://", "http://", "#"))]


def check(wheel: Path, sdist: Path) -> list[str]:
    """Returns a line for each fault of the two distributions."""
    files = tracked()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        page = archive.read(metadata).decode()
    faults = wheel_faults(names, files)
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        faults.append("the wheel lacks LICENSE")
    if wheel.stat().st_size > MOST_BYTES:
        faults.append(f"the wheel has {wheel.stat().st_size:,} bytes, at most {MOST_BYTES:,}")
    faults += [f"the page of the index links to {target}" for target in relative_links(page)]
    with tarfile.open(sdist) as archive:
        faults += sdist_faults(archive.getnames(), files)
    return faults


def tag_fault(tag: str | None) -> list[str]:
    """Returns a line if a tag is not that of the version.

    Example:
      >>> tag_fault("v0.0.1")
      ['the tag v0.0.1 is not v...']
    """
    if tag in (None, f"v{__version__}"):
        return []
    return [f"the tag {tag} is not v{__version__}, which jaxdl/version.py has"]


def built(python: Path, out: Path) -> dict[str, str]:
    """Builds the distributions into a folder and returns the SHA-256 of each by name."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": TIME}
    command = [str(python), "-m", "build", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in out.iterdir()}


def new_environment(place: Path, python: str, *packages: str) -> Path:
    """Makes a virtual environment with some packages; returns its folder of programs."""
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    programs = place / "bin"
    subprocess.run([str(programs / "pip"), "install", "-q", *packages], check=True)
    return programs


def try_wheel(wheel: Path, place: Path, python: str) -> None:
    """Installs a wheel in a fresh environment and uses it from a folder outside of the source."""
    programs = new_environment(place / "installed", python, str(wheel), "pytest")
    folder = place / "elsewhere"
    folder.mkdir()
    shutil.copy(ROOT / "README.md", folder)
    environment = {name: each for name, each in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"JAXDL_CACHE": str(place / "cache"), "MPLBACKEND": "Agg"}
    for words in (
        "jaxdl --version",
        "jaxdl run --help",
        "jaxdl run cnn --smoke --out run",
        "jaxdl export run --to safetensors",
        "jaxdl reproduce run/result.json",
        "python -m pytest -q -p no:cacheprovider --doctest-glob=README.md README.md",
    ):
        name, *rest = words.split()
        print(f"$ {words}", flush=True)
        subprocess.run([str(programs / name), *rest], cwd=folder, env=environment, check=True)


def main(arguments: list[str] | None = None) -> int:
    """Builds, checks and tries the distributions; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m tests.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, help="folder for the distributions")
    parser.add_argument("--tag", help="tag of the release")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the wheel")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        tools = new_environment(place / "tools", sys.executable, "build", "twine")
        first, second = (built(tools / "python", place / name) for name in ("first", "second"))
        files = sorted((place / "first").iterdir())
        wheel = next(each for each in files if each.suffix == ".whl")
        sdist = next(each for each in files if each.suffix == ".gz")
        faults = tag_fault(options.tag) + check(wheel, sdist)
        if first != second:
            faults.append(f"two builds differ: {first} and {second}")
        print("\n".join(f"{digest}  {name}" for name, digest in first.items()))
        print("\n".join([*faults, f"{len(faults)} faults"]), flush=True)
        if faults:
            return 1
        subprocess.run([str(tools / "twine"), "check", "--strict", *map(str, files)], check=True)
        try_wheel(wheel, place, options.python)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            for each in files:
                shutil.copy(each, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
