"""Counts the places where the text of the repository breaks the rules of CONTRIBUTING.md.

    python -m tests.prose                      # all Python files and Markdown pages
    python -m tests.prose jaxdl/core.py docs   # these files and folders

Prints one line per problem. The exit code is 1 if there is one. `tests/test_prose.py` requires
none.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

#: Words that open a relative clause where a verb or a noun phrase belongs.
OPENINGS = (
    *("What", "Whether", "Where", "How", "Who", "Which", "When", "Since", "Of", "Among"),
    *("Those", "Whose", "That"),
)

#: Words of the code's private language, with the word to write instead.
BANNED = {
    "told": "passed, given, requested",
    "tells": "reports, shows",
    "hears?": "receives",
    "heard": "received",
    "judge[sd]?": "classifier, evaluate",
    "judging": "evaluating",
    "drawn": "generated, sampled, plotted",
    "said": "message, printed",
    "says": "returns, states, prints",
    "things?": "the noun that is meant",
    "come true": "take effect",
    "comes true": "takes effect",
    "whoever": "the reader, the caller",
    "by itself": "alone, separately",
    "by themselves": "alone, separately",
    "of (?:one's|your|its|their) own": "your, custom, separate",
    "anew": "again",
    "such as it is": "-",
    "is at hand": "is available",
    "looked at": "checked, inspected",
    "goes on": "resumes, continues",
    "go on": "resume, continue",
    "made of": "computed from, consists of",
    "nobody": "no caller, nothing",
    "somebody": "the user, another process",
    "as now": "persistence",
    "last bits": "rounding",
    "TODO": "the text itself",
    "learned by heart": "memorized",
    "learn(?:s|ed)? (?:them |it )?by heart": "memorize",
}
_BANNED = re.compile(rf"\b(?:{'|'.join(BANNED)})\b".replace(" ", r"\s+"), re.IGNORECASE)

#: The most words of a sentence.
MOST_WORDS = 25

#: Nouns and adjectives in -s that could be taken for a verb in the third person.
NOT_VERBS = {
    "This",
    "Its",
    "Is",
    "Has",
    "Does",
    "Was",
    "As",
    "Us",
    "Plus",
    "Always",
    "Class",
    "Loss",
}

#: Word lists and grammars, whose strings are data.
DATA = {"jaxdl/data/review_grammar.py", "tests/prose.py", "tests/test_prose.py"}

_SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Attributes|Example|Examples|Source|Note):")


class Problem(NamedTuple):
    """One place that does not follow the rule.

    Attributes:
      path: the file, relative to the repository.
      line: its line.
      kind: `opening`, `verb`, `word` or `long`.
      text: the words in question.
    """

    path: str
    line: int
    kind: str
    text: str


class Prose(NamedTuple):
    """A piece of text.

    Attributes:
      line: its first line in the file.
      kind: `function`, `name` (of a class, property, module or field), `test`, `string` or `page`.
      text: the text.
    """

    line: int
    kind: str
    text: str


def problems(path: Path) -> Iterator[Problem]:
    """Yields the problems of one file."""
    name = str(path.relative_to(ROOT))
    if name in DATA:
        return
    text = path.read_text()
    pieces = python(text) if path.suffix == ".py" else [Prose(1, "page", text)]
    for piece in pieces:
        for kind, words in faults(piece):
            yield Problem(name, piece.line + lines_before(words, piece.text), kind, words)


def lines_before(words: str, text: str) -> int:
    """Returns the number of lines before some words of a text, 0 if they are not found.

    Example:
      >>> lines_before("two words", "one\\nand two\\nwords")
      1
    """
    spaced = r"\s+".join(map(re.escape, words.split()[:6]))
    found = re.search(spaced, text)
    if found is None:
        return 0
    return text[: found.start()].count("\n")


def python(source: str) -> Iterator[Prose]:
    """Yields the docstrings, comments and sentences in strings of a Python file."""
    tree = ast.parse(source)
    docs = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc:
                docs.add(id(node.body[0].value))
                yield Prose(node.body[0].lineno, kind_of(node), doc)
        if isinstance(node, ast.Module | ast.ClassDef):
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.AnnAssign | ast.Assign) and is_string(after):
                    docs.add(id(after.value))
                    yield Prose(after.lineno, "name", after.value.value)
    for node in ast.walk(tree):
        if is_text(node) and id(node) not in docs:
            yield Prose(node.lineno, "string", node.value)
    yield from comments(source)


def kind_of(node: ast.AST) -> str:
    """Returns the kind of a docstring from the node that has it."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return "name"
    if any("property" in ast.unparse(each) for each in node.decorator_list):
        return "name"
    if any("fixture" in ast.unparse(each) for each in node.decorator_list):
        return "name"
    return "test" if node.name.startswith("test_") else "function"


def is_string(node: ast.AST) -> bool:
    """Returns True for a statement that is a string: the help of the field above it."""
    return isinstance(node, ast.Expr) and is_text(node.value)


def is_text(node: ast.AST) -> bool:
    """Returns True for a string constant of several words."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


def comments(source: str) -> Iterator[Prose]:
    """Yields the comments of a Python file, those in adjacent lines as one piece."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or token.string.startswith("#!"):
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield Prose(first, "string", "\n".join(block))
            block = []
        if not block:
            first = line
        block.append(token.string.lstrip("#: "))
        last = line
    if block:
        yield Prose(first, "string", "\n".join(block))


def faults(piece: Prose) -> Iterator[tuple[str, str]]:
    """Yields kind and words of each problem in a piece of text."""
    text = without_code(piece.text)
    if piece.kind in ("function", "test", "name"):
        summary = piece.text.strip().splitlines()[0]
        first = summary.split()[0]
        if first.strip(",.:;") in OPENINGS:
            yield "opening", summary
        elif piece.kind == "function" and not is_verb(first):
            yield "verb", summary
    for match in _BANNED.finditer(text):
        yield "word", text[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ")
    if piece.kind != "string":
        for sentence in sentences(text):
            if len(sentence.split()) > MOST_WORDS:
                yield "long", " ".join(sentence.split())


def is_verb(word: str) -> bool:
    """Returns True for a capitalized word that can be a verb in the third person."""
    return bool(re.fullmatch(r"[A-Z][a-z-]*s", word.strip(",.:;"))) and word not in NOT_VERBS


def without_code(text: str) -> str:
    """Returns the text with code, doctests, equations, tables and addresses left out."""
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"https?://\S+", "code", text)
    lines = [
        line for line in text.splitlines() if not line.lstrip().startswith((">>>", "...", "|"))
    ]
    return "\n".join(lines)


def sentences(text: str) -> Iterator[str]:
    """Yields the sentences of free paragraphs, without argument sections and indented lines."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-*] |\s*\d+\. |#)", text):
        lines = paragraph.strip("\n").splitlines()
        if not lines or _SECTION.match(lines[0].strip()) or lines[0].startswith("    "):
            continue
        yield from re.split(r"(?<=[.!?:;])\s+", " ".join(line.strip() for line in lines))


def files(names: list[str]) -> list[Path]:
    """Returns the Python files and Markdown pages under git, below these paths if there are any."""
    command = ["git", "ls-files", "-c", "-o", "--exclude-standard", "--", *(names or ["."])]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        raise RuntimeError(f"the rules of text need a checkout with git: {listed.stderr.strip()}")
    paths = sorted({ROOT / name for name in listed.stdout.splitlines()})
    return [path for path in paths if path.suffix in (".py", ".md") and path.exists()]


def main(names: list[str]) -> int:
    """Prints the problems and their number; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.prose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders; default: all")
    chosen = files(parser.parse_args(names).paths)
    if not chosen:
        parser.error(f"no Python file or Markdown page is tracked below {' '.join(names)}")
    found = [problem for path in chosen for problem in problems(path)]
    for problem in found:
        kind = problem.kind
        if kind == "long":
            kind = f"{len(problem.text.split())} words, at most {MOST_WORDS}"
        print(f"{problem.path}:{problem.line}: {kind}: {problem.text[:150]}")
    print(f"prose: {len(found)} problems")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
