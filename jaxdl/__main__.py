"""The command `jaxdl`, which is `python -m jaxdl` too: experiments, and tools for their runs.

    jaxdl run cnn --smoke
    jaxdl predict runs/mine digit.png

Each tool is also a module: `jaxdl predict` is `python -m jaxdl.predict`.
"""

import importlib
import sys
from collections.abc import Sequence

from jaxdl.errors import one_of
from jaxdl.output import command
from jaxdl.version import __version__

#: The module of each command, whose `main` takes the other words, and a line for the help.
COMMANDS = {
    "run": ("jaxdl.runs.scripts", "run an experiment; jaxdl run --help lists them"),
    "predict": ("jaxdl.predict", "apply a trained network to files"),
    "export": ("jaxdl.export.__main__", "write a trained network for other programs"),
    "reproduce": ("jaxdl.reproduce", "repeat a run and compare the results"),
    "compare": ("jaxdl.compare", "print and draw what differs between runs"),
    "report": ("jaxdl.report", "write runs as one page"),
    "prepare": ("jaxdl.data.prepare", "prepare a set of TensorFlow Datasets"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, 2 for an error in one line.

    Args:
      arguments: the words after `jaxdl`. None means those of the process.

    Example:
      >>> main(["--version"]) == 0
      jaxdl ...
      True
    """
    words = list(arguments if arguments is not None else sys.argv[1:])
    if not words or words[0] in ("-h", "--help", "--version"):
        return command(lambda: _print_about(words))
    code = command(lambda: _check(words[0]))
    if code:
        return code
    return importlib.import_module(COMMANDS[words[0]][0]).main(words[1:])


def _check(name: str) -> None:
    """Raises InputError for a command that does not exist."""
    one_of("command", name, COMMANDS)


def _print_about(words: Sequence[str]) -> None:
    """Prints the version, or the commands."""
    if words[:1] == ["--version"]:
        print(f"jaxdl {__version__}")
        return
    print("usage: jaxdl COMMAND ...\n")
    for name, (_, line) in COMMANDS.items():
        print(f"  {name:10} {line}")
    print("\njaxdl COMMAND --help lists the options of a command.")


if __name__ == "__main__":
    sys.exit(main())
