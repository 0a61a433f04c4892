"""Plain English and one statement per line, counted: the rules of CONTRIBUTING.md."""

import ast
import doctest
import re
from pathlib import Path

import pytest

from tests.prose import ROOT, Prose, faults, files, problems, python

FILES = files([])
SOURCES = [path for path in FILES if path.suffix == ".py"]
CODE = [
    path
    for path in SOURCES
    if path.relative_to(ROOT).parts[0] in ("jaxdl", "experiments", "notebooks")
]


def name(path: Path) -> str:
    """Returns a file's path below the repository."""
    return str(path.relative_to(ROOT))


def test_the_text_is_plain_english():
    assert not [problem for path in FILES for problem in problems(path)]


def test_a_page_has_one_title_and_no_marks_of_a_merge():
    for path in FILES:
        if path.suffix != ".md":
            continue
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, name(path)
        assert not re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE), name(path)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("function", "Returns the loss.", []),
        ("function", "What the loss is.", ["opening"]),
        ("function", "Whether it holds.", ["opening"]),
        ("function", "The loss.", ["verb"]),
        ("function", "This is the loss.", ["verb"]),
        ("function", "Re-raises the error.", []),
        ("test", "The loss falls.", []),
        ("name", "Peak learning rate.", []),
        ("name", "How often it is saved.", ["opening"]),
        ("name", "The loss that a writer is told.", ["word"]),
        ("string", "The run goes on from there.", ["word"]),
        ("string", "How it starts is free, `judge` is code.", []),
        ("page", "Who said so?", ["word"]),
        ("page", "```text\ntold\n```", []),
        ("page", "a " * 25 + "end. Next.", ["long"]),
        ("page", "a " * 24 + "end. Next.", []),
        ("page", "| " + "a " * 40 + "|", []),
        ("function", "Returns it.\n\nArgs:\n  x: " + "a " * 40, []),
        ("function", "Returns it.\n\n" + "a " * 40, ["long"]),
    ],
)
def test_problems_are_found_and_nothing_else(kind, text, expected):
    assert [fault for fault, _ in faults(Prose(1, kind, text))] == expected


def test_docstrings_help_comments_and_strings_are_read():
    source = '''"""A page."""
class Options:
    """Options of a run."""

    rate: float = 1.0
    """Peak rate."""

    @property
    def half(self):
        """Half of the rate."""
        # One comment
        # of two lines
        return self.rate / 2

def double(x):
    """Returns twice x."""
    raise ValueError("x is wrong")
'''
    assert [(piece.kind, piece.text) for piece in python(source)] == [
        ("name", "A page."),
        ("name", "Options of a run."),
        ("name", "Peak rate."),
        ("function", "Returns twice x."),
        ("name", "Half of the rate."),
        ("string", "x is wrong"),
        ("string", "One comment\nof two lines"),
    ]


def code_lines(text: str, first: int, last: int, docstrings: set[int]) -> int:
    """Counts lines of code, without docstrings, comments and blank lines."""
    lines = enumerate(text.splitlines()[first - 1 : last], first)
    return sum(
        1
        for number, line in lines
        if line.strip() and not line.strip().startswith("#") and number not in docstrings
    )


def docstring_lines(tree: ast.AST) -> set[int]:
    """Returns the lines that docstrings and the help of fields take."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def is_packed(node: ast.AST) -> bool:
    """Returns True for an assignment of several values to several names, `a, b = x, y`."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
    )


def test_assignments_are_not_packed():
    assignments = [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign)
    ]
    packed = [f"{name(path)}:{node.lineno}" for path, node in assignments if is_packed(node)]
    assert len(packed) <= 0.005 * len(assignments), packed


def test_conditional_expressions_are_rare():
    count = 0
    lines = 0
    for path in CODE:
        text = path.read_text()
        tree = ast.parse(text)
        count += sum(isinstance(node, ast.IfExp) for node in ast.walk(tree))
        lines += code_lines(text, 1, len(text.splitlines()), docstring_lines(tree))
    assert 1000 * count / lines <= 8


#: Nodes with a docstring.
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_lines_functions_and_files_are_short():
    assert not [problem for path in SOURCES for problem in too_long(path)]


def too_long(path: Path) -> list[str]:
    """Returns the lines, functions and files of a Python file that are too long."""
    text = path.read_text()
    lines = text.splitlines()
    found = [f"{name(path)}:{i}" for i, line in enumerate(lines, 1) if len(line) > 100]
    if path in CODE and len(lines) > 400:
        found.append(f"{name(path)} has {len(lines)} lines")
    tree = ast.parse(text)
    docstrings = docstring_lines(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            size = code_lines(text, node.body[0].lineno, last, docstrings)
            if size > 60:
                found.append(f"{name(path)}: {node.name} has {size} lines of code")
    return found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_statement_assigns_one_value(path):
    text = path.read_text()
    pages = [text]
    if path.suffix == ".py":
        assert not packed_assignments(text, path)
        nodes = ast.walk(ast.parse(text))
        pages = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, DOCUMENTED)]
    for page in pages:
        for example in doctest.DocTestParser().get_examples(page):
            assert not packed_assignments(example.source), example.source


def packed_assignments(text: str, path: Path = ROOT) -> list[str]:
    """Returns the statements that assign several values; a swap of names is none of them."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        target = node.targets[0]
        if not isinstance(target, ast.Tuple) or len(target.elts) != len(node.value.elts):
            continue
        names, values = (sorted(map(ast.unparse, each.elts)) for each in (target, node.value))
        if names != values:
            found.append(f"{name(path)}:{node.lineno}")
    return found


def test_packed_assignments_are_found():
    assert packed_assignments("a, b = 1, 2\nif a:\n    x.y, z[0] = f(a), g(b)\n") == [".:1", ".:3"]
    assert not packed_assignments("a, b = b, a\na, b = pair\na, *b = 1, 2, 3\nx = 1, 2\n")


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("docs/architecture.md", 90)])
def test_pages_are_short(page, most):
    assert len((ROOT / page).read_text().splitlines()) <= most


@pytest.mark.parametrize("path", sorted((ROOT / "docs/decisions").glob("[0-9]*.md")), ids=name)
def test_a_decision_has_ten_lines_and_its_place_in_the_list(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 10
    assert lines[0].startswith(f"# {int(path.name[:2])}. ")
    listed = (ROOT / "docs/decisions/README.md").read_text()
    assert f"[{lines[0].partition('. ')[2]}]({path.name})" in listed


def test_links_between_pages_exist():
    for path in FILES:
        if path.suffix == ".md":
            for target in links(path.read_text()):
                assert (path.parent / target).exists(), f"{name(path)} links to {target}"


def links(text: str) -> list[str]:
    """Returns the files that a page of Markdown links to."""
    parts = text.split("](")[1:]
    targets = [part.partition(")")[0].partition("#")[0] for part in parts]
    return [target for target in targets if target and not target.startswith("http")]
