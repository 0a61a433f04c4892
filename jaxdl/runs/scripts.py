"""The scripts of the experiments by name, in a clone and in an installed package.

They are files in the top-level folder `experiments`. A wheel has them in `jaxdl/experiments`.
"""

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxdl.errors import InputError, one_of
from jaxdl.output import command

_PACKAGE = Path(__file__).parents[1]


def experiments_folder() -> Path:
    """Returns the folder of the scripts that belong to this copy of the package."""
    installed = _PACKAGE / "experiments"
    if installed.is_dir():
        return installed
    # Beside an installed package there may be a package `experiments` of others.
    clone = _PACKAGE.parent
    if (clone / "pyproject.toml").exists() and (clone / "experiments").is_dir():
        return clone / "experiments"
    raise InputError("experiments", str(_PACKAGE), "a package that was installed with its scripts")


def script_of(name: str, folder: Path) -> Path:
    """Returns the script of an experiment, which must be a file directly in the folder.

    Raises:
      InputError: the folder has no such script, or none at all.

    Example:
      >>> script_of("cnn", experiments_folder()).name
      'cnn.py'
    """
    known = _scripts(folder)
    if not known:
        raise InputError("experiments", str(folder), "the directory of the experiments' scripts")
    return known[one_of("experiment", name, known)]


def listing() -> str:
    """Returns one line for each experiment: its name, and the first line of its docstring."""
    scripts = _scripts(experiments_folder())
    width = max(map(len, scripts), default=0)
    return "\n".join(f"  {name:{width}}  {_title(path)}" for name, path in scripts.items())


def main(arguments: Sequence[str]) -> int:
    """Runs `jaxdl run NAME OPTIONS`; returns its exit code.

    The script runs in this process as `python NAME.py OPTIONS` would.
    """
    words = list(arguments)
    if words[:1] in (["-h"], ["--help"]):
        return command(_print_help)
    found: list[Path] = []
    code = command(lambda: found.append(_requested(words)))
    if code:
        return code
    sys.argv = [str(found[0]), *words[1:]]
    runpy.run_path(str(found[0]), run_name="__main__")
    return 0


def _requested(words: list[str]) -> Path:
    """Returns the script that the first word names."""
    if not words or words[0].startswith("-"):
        given = next(iter(words), None)
        raise InputError("experiment", given, "a name that jaxdl run --help lists, then options")
    return script_of(words[0], experiments_folder())


def _print_help() -> None:
    print("usage: jaxdl run NAME [OPTIONS]\n")
    print("Run an experiment. jaxdl run NAME --help lists its options.\n")
    print(listing())


def _scripts(folder: Path) -> dict[str, Path]:
    """Returns the scripts of a folder by name, in the order of their names."""
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem.isidentifier()}


def _title(path: Path) -> str:
    """Returns the first line of a script's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return next(iter(text.splitlines()), "")
