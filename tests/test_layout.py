"""The shape of the repository: who imports whom, what importing does, what stands where."""

import ast
import fnmatch
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxdl
import jaxdl.experiment

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxdl"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SCRIPTS = sorted((ROOT / "experiments").rglob("*.py"))

#: What each part may import; every part stands below those that may import it.
ARROWS = {
    "errors": set(),
    "version": set(),
    "metrics": {"errors"},
    "rng": {"errors"},
    "losses": {"errors"},
    "scores": {"errors"},
    "optimizers": {"errors"},
    "plots": {"errors"},
    "xla": set(),
    "core": {"errors", "metrics", "xla"},
    "finite": {"core"},
    "wrappers": {"core", "errors", "finite", "metrics"},
    "data": {"core", "errors", "rng"},
    "nn": {"errors", "xla"},
    "models": {"errors", "nn"},
    "tasks": {"core", "errors", "losses", "metrics", "models", "nn"},
    "training": {"core", "data", "errors", "finite", "metrics", "rng"},
    "experiment": {
        *(
            "core",
            "data",
            "errors",
            "models",
            "nn",
            "optimizers",
            "plots",
            "rng",
            "scores",
            "tasks",
            "training",
        ),
        "wrappers",
    },
    "reproduce": {"experiment"},
}

TOP = {
    *(
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "constraints.txt",
    ),
    *("jaxdl", "tests", "experiments", "notebooks", "docs"),
}

#: Calls that run what a file or a string says.
FORBIDDEN = {
    *(
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "yaml.load",
        "yaml.unsafe_load",
    ),
    *(
        "yaml.full_load",
        "numpy.fromregex",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "shutil.unpack_archive",
    ),
}
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "marshal",
    "shelve",
    "joblib",
}
#: Of those calls that take a command: a list of words and never a line for a shell.
COMMANDS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it, but for the type checker."""
    found = set()
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes, those under `if TYPE_CHECKING` left out."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from walk(child)


def test_arrows_go_down():
    assert set(ARROWS) == {name.split(".")[1] for name in MODULES if "." in name}
    below: set[str] = set()
    for part, allowed in ARROWS.items():
        assert allowed <= below, f"{part} stands above what it imports"
        below.add(part)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "jaxdl"])
def test_a_module_imports_only_what_is_below(name):
    part = name.split(".")[1]
    for target in imported(MODULES[name]):
        assert target.split(".")[0] not in ("tests", "experiments"), f"{name} imports {target}"
        if target.split(".")[0] == "jaxdl":
            assert target in MODULES, f"{name} imports {target}, which is not there"
            assert target != "jaxdl", f"{name} imports the whole package"
            there = target.split(".")[1]
            assert there == part or there in ARROWS[part], f"{name} imports {target}"


def test_the_package_imports_no_experiment():
    assert not {name for name in imported(MODULES["jaxdl"]) if name.startswith("jaxdl.experiment")}


@pytest.mark.parametrize("path", SCRIPTS, ids=[str(path.relative_to(ROOT)) for path in SCRIPTS])
def test_a_script_imports_no_script_and_no_test(path):
    own = {script.stem for script in SCRIPTS} | {"experiments", "tests"}
    assert not {name for name in imported(path) if name.split(".")[0] in own}


@pytest.mark.parametrize(
    "name", ["jaxdl.core", "jaxdl.wrappers", "jaxdl.training.loop", "jaxdl.training.strategies"]
)
def test_the_contract_and_its_loops_know_no_flax(name):
    seen = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for target in imported(MODULES[module]):
            assert target.split(".")[0] != "flax", f"{module} imports {target}"
            if target in MODULES and target not in seen:
                waiting.append(target)


PROBE = """
import json, os, sys, threading
started = []
def listen(event, args):
    if event == "open" and args[0] is not None and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        started.append(f"open {args[0]} {args[1]}")
    if event in ("subprocess.Popen", "socket.connect", "os.mkdir", "os.system", "_thread.start_new_thread"):
        started.append(event)
import jax, flax.linen, optax  # what these do by themselves is not jaxdl's doing
before = dict(os.environ)
sys.addaudithook(listen)
import importlib
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
from jax._src import xla_bridge
print(json.dumps({
    "started": started,
    "threads": threading.active_count(),
    "backend": xla_bridge.backends_are_initialized(),
    "environment": before != dict(os.environ),
    "heavy": sorted({name.split(".")[0] for name in sys.modules} & {
        "tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "orbax", "grain", "tyro", "pandas"}),
}))
"""


def test_nothing_happens_at_import(tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", PROBE, json.dumps(list(MODULES))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found == {
        "started": [],
        "threads": 1,
        "backend": False,
        "environment": False,
        "heavy": [],
    }
    assert not list(tmp_path.iterdir())


def test_the_top_level_holds_only_what_belongs_there():
    ignored = [
        line.strip().strip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
        if line.strip()
    ]
    names = [path.name for path in ROOT.iterdir() if not path.name.startswith(".")]
    others = [
        name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)
    ]
    assert set(others) <= TOP


def public() -> list[tuple[str, object]]:
    """Everything that an `__all__` of the package names, once."""
    found: dict[int, tuple[str, object]] = {}
    for module in [
        jaxdl,
        *(importlib.import_module(f"jaxdl.{m.name}") for m in pkgutil.iter_modules(jaxdl.__path__)),
    ]:
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found.setdefault(id(thing), (f"{module.__name__}.{name}", thing))
    return list(found.values())


@pytest.mark.parametrize(("name", "thing"), public(), ids=[name for name, _ in public()])
def test_everything_public_says_how_it_is_used(name, thing):
    text = inspect.getdoc(thing) or ""
    assert text.splitlines()[0].endswith((".", ":")), f"{name} begins with no sentence"
    # A function may point to another one with the same arguments; the options of an experiment are
    # explained field by field, which the tests of options hold.
    others = {other.split(".")[-1] for other, _ in public()} - {name.split(".")[-1]}
    told = any(
        part in text
        for part in (">>> ", "Args:", "Attributes:", *(f"`{other}`" for other in others))
    )
    options = inspect.isclass(thing) and issubclass(thing, jaxdl.experiment.Options)
    assert told or options or not inspect.signature(thing).parameters, (
        f"{name} shows no use and no arguments"
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_and_stays_short(name):
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"


def forbidden(text: str) -> list[str]:
    """What a program must not do: run code or commands that come from files or strings, unpack what leads out."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [inside + alias.name for alias in node.names]
            found += [
                name
                for name in names
                if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN_MODULES
            ]
        if isinstance(node, ast.Call):
            found += forbidden_call(node)
    return found


def forbidden_call(call: ast.Call) -> list[str]:
    """What is forbidden of one call."""
    name = ast.unparse(call.func).removeprefix("builtins.")
    words = {word.arg: word.value for word in call.keywords}
    found = [name] if name in FORBIDDEN else []
    for word in ("allow_pickle", "shell"):
        value = words.get(word)
        found += [f"{word}=..."] if value is not None and not is_constant(value, False) else []
    if name.split(".")[-1] in ("extract", "extractall") and not is_constant(
        words.get("filter"), "data"
    ):
        found.append(f"{name} without filter='data'")
    command = call.args[0] if call.args else words.get("args")
    if name in COMMANDS and (
        isinstance(command, ast.JoinedStr) or isinstance(getattr(command, "value", None), str)
    ):
        found.append(f"{name} of a string")
    return found


def is_constant(node: ast.AST | None, value: object) -> bool:
    """Whether a program says just this."""
    return (
        isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value
    )


@pytest.mark.parametrize(
    "path", [*MODULES.values(), *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_code_comes_from_files_or_strings(path):
    assert not forbidden(path.read_text())


@pytest.mark.parametrize(
    "line",
    [
        *(
            "import pickle",
            "from pickle import loads",
            "import numpy, dill",
            "eval('1')",
            "exec(text)",
        ),
        *(
            "os.system('ls')",
            "yaml.load(f)",
            "np.load(f, allow_pickle=True)",
            "np.load(f, allow_pickle=yes)",
        ),
        *(
            "subprocess.run('ls', shell=True)",
            "subprocess.run(x, shell=yes)",
            "subprocess.run('ls')",
        ),
        *(
            "subprocess.Popen(f'ls {x}')",
            "subprocess.check_output(args='ls')",
            "subprocess.getoutput('ls')",
        ),
        *(
            "import cloudpickle",
            "import marshal",
            "from dill import load",
            "import shelve",
            "import _pickle",
        ),
        *(
            "from os import system",
            "from yaml import load",
            "builtins.exec(x)",
            "__import__('os')",
            "compile(x, '', 'exec')",
        ),
        *(
            "archive.extractall(x)",
            "archive.extract(x)",
            "archive.extractall(x, filter='fully_trusted')",
        ),
        *("yaml.unsafe_load(f)", "np.load(f, allow_pickle=1)", "shutil.unpack_archive(x)"),
    ],
)
def test_the_look_for_forbidden_calls_sees_them(line):
    assert forbidden(f"def f():\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        *(
            "import json",
            "np.load(f)",
            "np.load(f, allow_pickle=False)",
            "re.compile(x)",
            "subprocess.run(['ls', x])",
        ),
        *(
            "subprocess.run(command, shell=False)",
            "archive.extractall(x, filter='data')",
            "from os import path",
        ),
    ],
)
def test_the_look_for_forbidden_calls_sees_nothing_else(line):
    assert not forbidden(f"def f():\n    {line}\n")
