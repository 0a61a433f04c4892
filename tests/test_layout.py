"""Structure of the repository: imports, side effects of imports, top-level files, docstrings."""

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
import jaxdl.recipes
import jaxdl.runs
from tests.arrows import ARROWS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxdl"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SCRIPTS = sorted((ROOT / "experiments").rglob("*.py"))

TOP = {
    *("pyproject.toml", "constraints.txt", "LICENSE"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff"),
    *("jaxdl", "tests", "experiments", "notebooks", "docs"),
}

#: Functions that run code or commands from a file or a string.
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "numpy.fromregex"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "shutil.unpack_archive"),
}
FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"),
}
#: Functions that take a command, which must be a list of words and not a line for a shell.
COMMANDS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}


def imported(path: Path) -> set[str]:
    """Returns the modules that a file imports anywhere, except for type checking."""
    modules = set()
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name not in MODULES:
                    name = str(node.module)
                modules.add(name)
    return modules


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yields all nodes except those under `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from walk(child)


def test_parts_import_earlier_parts_only():
    assert set(ARROWS) == {name.split(".")[1] for name in MODULES if "." in name}
    below: set[str] = set()
    for part, allowed in ARROWS.items():
        assert allowed <= below, f"{part} comes before a part that it imports"
        below.add(part)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "jaxdl"])
def test_a_module_imports_allowed_parts_only(name):
    part = name.split(".")[1]
    for target in imported(MODULES[name]):
        assert target.split(".")[0] not in ("tests", "experiments"), f"{name} imports {target}"
        if target.split(".")[0] == "jaxdl":
            assert target in MODULES, f"{name} imports {target}, which does not exist"
            assert target != "jaxdl", f"{name} imports the whole package"
            other = target.split(".")[1]
            assert other == part or other in ARROWS[part], f"{name} imports {target}"


def test_the_package_imports_no_experiment():
    parts = {name.split(".")[1] for name in imported(MODULES["jaxdl"]) if "." in name}
    assert not parts & {"runs", "recipes", "reproduce", "export"}


@pytest.mark.parametrize("path", SCRIPTS, ids=[str(path.relative_to(ROOT)) for path in SCRIPTS])
def test_a_script_imports_no_script_and_no_test(path):
    refused = {script.stem for script in SCRIPTS} | {"experiments", "tests"}
    assert not {name for name in imported(path) if name.split(".")[0] in refused}


#: Modules of distributions that the tests are installed with. Others are imported in a test, after
#: `pytest.importorskip`.
INSTALLED = {
    *("jax", "jaxlib", "flax", "optax", "orbax", "numpy", "scipy", "sklearn", "matplotlib", "PIL"),
    *("pytest", "hypothesis", "rich", "tyro", "safetensors", "grain", "jaxtyping"),
    *("onnx", "onnxruntime", "h5py", "skimage", "tensorboard", "tensorboardX", "gymnasium"),
}


def test_modules_of_tests_import_what_is_installed_with_them():
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 100
    allowed = INSTALLED | {"jaxdl", "tests", "experiments", "contenders"} | sys.stdlib_module_names
    for path in files:
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            refused = {name.split(".")[0] for name in names} - allowed
            assert not refused, (path, node.lineno, refused)


@pytest.mark.parametrize(
    "name", ["jaxdl.core", "jaxdl.wrappers", "jaxdl.training.loop", "jaxdl.training.strategies"]
)
def test_the_contract_and_its_loops_do_not_import_flax(name):
    visited = set()
    queue = [name]
    while queue:
        module = queue.pop()
        visited.add(module)
        for target in imported(MODULES[module]):
            assert target.split(".")[0] != "flax", f"{module} imports {target}"
            if target in MODULES and target not in visited:
                queue.append(target)


PROBE = """
import json, os, sys, threading
started = []
def listen(event, args):
    if event == "open" and args[0] is not None and isinstance(args[1], str):
        if set(args[1]) & set("wax+"):
            started.append(f"open {args[0]} {args[1]}")
    if event in {"subprocess.Popen", "socket.connect", "os.mkdir", "os.system",
                 "_thread.start_new_thread"}:
        started.append(event)
import jax, flax.linen, optax  # side effects of these libraries are ignored
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
        "tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "orbax", "grain", "tyro",
        "pandas", "onnx", "onnxruntime", "skimage"}),
}))
"""


def test_imports_have_no_side_effects(tmp_path):
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
    effects = json.loads(done.stdout)
    assert effects == {
        "started": [],
        "threads": 1,
        "backend": False,
        "environment": False,
        "heavy": [],
    }
    assert not list(tmp_path.iterdir())


def test_top_level_files_are_listed():
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
    """Returns each function and class in an `__all__` of the package once, with its name."""
    names = [module.name for module in pkgutil.iter_modules(jaxdl.__path__)]
    values: dict[int, tuple[str, object]] = {}
    for module in [jaxdl, *(importlib.import_module(f"jaxdl.{name}") for name in names)]:
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                values.setdefault(id(value), (f"{module.__name__}.{name}", value))
    return list(values.values())


@pytest.mark.parametrize(("name", "value"), public(), ids=[name for name, _ in public()])
def test_public_functions_and_classes_have_usage_in_their_docstring(name, value):
    text = inspect.getdoc(value) or ""
    assert text.splitlines()[0].endswith((".", ":")), f"{name} has no summary sentence"
    # A docstring may refer to another function with the same arguments. The options of an
    # experiment have a docstring per field, which the tests of options check.
    others = {other.split(".")[-1] for other, _ in public()} - {name.split(".")[-1]}
    parts = [">>> ", "Args:", "Attributes:", *(f"`{other}`" for other in others)]
    explained = any(part in text for part in parts)
    options = inspect.isclass(value) and value.__name__.endswith("Options")
    assert explained or options or not inspect.signature(value).parameters, (
        f"{name} has no example and no list of arguments"
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_docstrings_and_at_most_400_lines(name):
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"


def forbidden(text: str) -> list[str]:
    """Returns the forbidden imports and calls of a program.

    They run code or commands from files or strings, or extract archives to any path.
    """
    uses = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call):
            uses += forbidden_call(node)
        for name in names:
            if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN_MODULES:
                uses.append(name)
    return uses


def forbidden_call(call: ast.Call) -> list[str]:
    """Returns the forbidden uses of one call."""
    name = ast.unparse(call.func).removeprefix("builtins.")
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    uses = []
    if name in FORBIDDEN:
        uses.append(name)
    for keyword in ("allow_pickle", "shell"):
        if keyword in keywords and not is_constant(keywords[keyword], False):
            uses.append(f"{keyword}=...")
    extracts = name.split(".")[-1] in ("extract", "extractall")
    if extracts and not is_constant(keywords.get("filter"), "data"):
        uses.append(f"{name} without filter='data'")
    if name in COMMANDS:
        command = next(iter(call.args), keywords.get("args"))
        if isinstance(command, ast.JoinedStr) or isinstance(getattr(command, "value", None), str):
            uses.append(f"{name} of a string")
    return uses


def is_constant(node: ast.AST | None, value: object) -> bool:
    """Returns True if a node is this constant."""
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
        "import pickle",
        "from pickle import loads",
        "import numpy, dill",
        "eval('1')",
        "exec(text)",
        "os.system('ls')",
        "yaml.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=yes)",
        "subprocess.run('ls', shell=True)",
        "subprocess.run(x, shell=yes)",
        "subprocess.run('ls')",
        "subprocess.Popen(f'ls {x}')",
        "subprocess.check_output(args='ls')",
        "subprocess.getoutput('ls')",
        "import cloudpickle",
        "import marshal",
        "from dill import load",
        "import shelve",
        "import _pickle",
        "from os import system",
        "from yaml import load",
        "builtins.exec(x)",
        "__import__('os')",
        "compile(x, '', 'exec')",
        "archive.extractall(x)",
        "archive.extract(x)",
        "archive.extractall(x, filter='fully_trusted')",
        "yaml.unsafe_load(f)",
        "np.load(f, allow_pickle=1)",
        "shutil.unpack_archive(x)",
    ],
)
def test_forbidden_code_is_found(line):
    assert forbidden(f"def f():\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "import json",
        "np.load(f)",
        "np.load(f, allow_pickle=False)",
        "re.compile(x)",
        "subprocess.run(['ls', x])",
        "subprocess.run(command, shell=False)",
        "archive.extractall(x, filter='data')",
        "from os import path",
    ],
)
def test_allowed_code_is_not_reported(line):
    assert not forbidden(f"def f():\n    {line}\n")
