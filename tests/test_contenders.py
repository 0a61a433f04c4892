"""Tests of the contenders of the speed benchmark: their processes, and that they learn alike."""

import importlib.util
import math
import statistics
import sys
import textwrap

import pytest

from jaxdl.errors import DataUnavailable
from tests.runs.scripts import EXPERIMENTS, script

sys.path.insert(0, str(EXPERIMENTS / "benchmarks"))
from contenders import workloads
from contenders.child import MODULES, Child, Failed
from contenders.mnist import EPOCHS
from contenders.workloads import WORKLOADS

PEERS = ("raw", "linen", "keras", "torch")


#: Two batches of 32, which a network memorizes.
FEW = 64


@pytest.fixture
def start():
    """A function that starts a child; all of them are ended after the test."""
    children = []

    def start_child(*args, **kwargs):
        children.append(Child(*args, **kwargs))
        return children[-1]

    yield start_child
    for child in children:
        child.close()


FAKE = """
from contenders.serving import Contender, Turn, serve

def build(workload, examples):
    print("a library greets")
    return Contender(lambda steps: Turn(steps * workload.batch_size, steps / 10, {loss}), {params})

serve({{"fake": build}})
"""


def fake(tmp_path, loss="0.5", params="7", text=FAKE):
    (tmp_path / "fake.py").write_text(textwrap.dedent(text).format(loss=loss, params=params))
    return [sys.executable, str(tmp_path / "fake.py"), "fake", "mlp-32"]


def test_a_contender_answers_line_by_line_and_other_output_is_ignored(tmp_path, start):
    child = start("raw", "mlp-32", fake(tmp_path))
    assert child.ready() == {"params": 7, "device": "cpu"}
    assert child.run(5) == {"examples": 160, "seconds": 0.5, "loss": 0.5}
    assert child.run(10)["examples"] == 320


def test_a_contender_that_cannot_start_reports_the_reason(tmp_path, start):
    child = start("raw", "mlp-32", fake(tmp_path, params="len(missing)"))
    with pytest.raises(Failed, match="^NameError: name 'missing' is not defined$"):
        child.ready()


def test_a_contender_that_dies_is_reported(tmp_path, start):
    child = start(
        "raw", "mlp-32", fake(tmp_path, loss="0.5 if steps < 9 else __import__('os')._exit(3)")
    )
    child.ready()
    with pytest.raises(Failed, match="^ended with code 3: a library greets$"):
        child.run(9)
    with pytest.raises(Failed, match="^ended with code 3"):
        child.run(1)


def test_a_contender_that_hangs_is_killed(tmp_path, start, monkeypatch):
    child = start("raw", "mlp-32", fake(tmp_path, loss="__import__('time').sleep(steps)"))
    child.ready()
    monkeypatch.setattr("contenders.child.TIMEOUT", 0.1)
    with pytest.raises(Failed, match="^ended with code -9"):
        child.run(60)


def test_a_child_imports_the_package_of_another_checkout(start, tmp_path):
    for name in ("jaxdl", "experiments/benchmarks/contenders"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    source = """
        import json, jaxdl, contenders
        print(json.dumps({"package": jaxdl.__file__, "contenders": contenders.__file__}))
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    found = start("jaxdl", "mlp-32", command, checkout=tmp_path).ready()
    assert all(path.startswith(str(tmp_path)) for path in found.values())


def is_installed(contender):
    if contender not in ("keras", "torch"):
        return True
    return importlib.util.find_spec(contender) is not None


def skip_unless_installed(contender):
    if not is_installed(contender):
        pytest.skip(f"{contender} is not installed: pip install 'jaxdl[bench]'")


def command(contender, workload):
    """Returns the command of a contender with so few examples that it can memorize them."""
    return [
        sys.executable,
        "-m",
        f"contenders.{MODULES[contender]}",
        contender,
        workload,
        "--examples",
        str(FEW),
    ]


@pytest.mark.parametrize(
    "contender", ["jaxdl", *(pytest.param(peer, marks=pytest.mark.slow) for peer in PEERS)]
)
def test_a_contender_learns(contender, start):
    skip_unless_installed(contender)
    child = start(contender, "mlp-32", command(contender, "mlp-32"))
    assert child.ready()["params"] == WORKLOADS["mlp-32"].params
    turn = child.run(40)
    assert 32 * 38 <= turn["examples"] <= 32 * 42
    assert turn["seconds"] > 0
    assert turn["loss"] < 0.8 * math.log(10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        pytest.param(each, marks=[] if each == "mlp" else pytest.mark.release)
        for each in workloads.NETWORKS
    ],
)
def test_all_contenders_train_the_same_network(network, start):
    name = f"{network}-32"
    installed = [peer for peer in PEERS if is_installed(peer)]
    contenders = ["jaxdl", *installed]
    children = {peer: start(peer, name, command(peer, name)) for peer in contenders}
    params = {peer: child.ready()["params"] for peer, child in children.items()}
    assert params == dict.fromkeys(contenders, WORKLOADS[name].params)
    # The differences between the initializers vanish early. Later the networks memorize the
    # examples at different speeds. The losses are comparable in between.
    steps = {"dcgan": 10}.get(network, 25)
    losses = {peer: child.run(steps)["loss"] for peer, child in children.items()}
    middle = statistics.median(losses.values())
    assert all(middle / 2.5 < loss < 2.5 * middle for loss in losses.values()), losses


@pytest.mark.slow
@pytest.mark.release
@pytest.mark.parametrize("name", ["jaxdl-warm", "torch-small"])
def test_the_small_recipe_gets_near_99_percent(name, tmp_path):
    skip_unless_installed(name.split("-")[0])
    to_99 = script("benchmarks/to_99")
    try:
        to_99.write_data(tmp_path)
    except DataUnavailable as reason:
        pytest.skip(str(reason))
    result = to_99.run_contender(name, 0, tmp_path)
    assert 0.985 < result.accuracy < 1
    assert result.epochs == EPOCHS
    assert result.seconds > 1


def test_the_thresholds_of_to_99_belong_to_its_contenders():
    to_99 = script("benchmarks/to_99")
    assert {*to_99.THRESHOLDS, *to_99.RATIOS} <= set(to_99.NAMES)
