"""Sets, orders, random numbers and tiny trainings against stored hashes and figures."""

import hashlib
import math

import pytest

import jaxdl
from tests.faults.twice import NAMES
from tests.golden import (
    COMPUTED,
    EVERYWHERE,
    FIGURES,
    PLAIN,
    TRAINED_ON,
    UNTRAINED,
    VERSION,
    differences,
    stored_hashes,
    stored_of,
    trained,
    untrained,
)

OPTIMIZED = [pytest.mark.slow, pytest.mark.optimized]


@pytest.fixture
def golden():
    """Hashes of this JAX version that need no training."""
    if VERSION not in stored_hashes():
        pytest.skip(f"no hashes for JAX {VERSION}; `python -m tests.golden --write` creates them")
    return stored_of(VERSION)


def compare(name: str, computed: str | None, expected: str | None) -> None:
    if computed == expected:
        return
    line = f"golden hash of {name} changed: <why>"
    pytest.fail(
        f'add "{line}" to CHANGELOG.md and run `python -m tests.golden --write`; '
        f"{expected} is now {computed}"
    )


def marks(name: str) -> list:
    if name in COMPUTED:
        return OPTIMIZED
    return []


def test_names_of_the_stored_hashes(golden):
    stored = stored_hashes()
    assert set(golden) == set(UNTRAINED)
    assert {name.split("/")[1] for name in stored[FIGURES]} == set(NAMES)
    trainings = [hashes for entry, hashes in stored.items() if " on " in entry]
    for hashes in trainings:
        # A change of an experiment removes its hashes on the processors that it was not run on.
        assert hashes.keys() <= stored[FIGURES].keys()
    everywhere = stored[EVERYWHERE]
    for hashes in (golden, everywhere, *trainings):
        assert all(len(each) == 64 for each in hashes.values())


@pytest.mark.parametrize("name", PLAIN)
def test_sets_and_orders_on_every_machine(name):
    compare(name, untrained(name), stored_of(EVERYWHERE).get(name))


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in UNTRAINED])
def test_random_numbers_orders_and_streams(name, golden):
    compare(name, untrained(name), golden.get(name))


#: Experiments of different kinds, whose trainings CI repeats. The others run before a release.
IN_CI = (
    *("mlp", "cnn", "row_by_row", "text_generation", "forecast", "autoencoder", "vae", "gan"),
    *("dqn", "flippers"),
)


def trainings() -> list:
    """Returns the names of all experiments with their marks."""
    assert set(IN_CI) <= set(NAMES)
    release = [*OPTIMIZED, pytest.mark.release]
    return [pytest.param(name, marks=OPTIMIZED if name in IN_CI else release) for name in NAMES]


#: Hash of the text `english` of Python 3.11.7, which the stored figures were trained on.
ENGLISH = "ac6036576ba3c1cb34e34b2c778e9ec98ebecea31419f9e8e60476f0b170c4fc"


@pytest.mark.parametrize("experiment", trainings())
def test_trainings(experiment, golden):
    """The figures are compared on every processor, the hashes on those that have an entry."""
    if experiment == "text_generation":
        text = jaxdl.data.read_text("english")
        if hashlib.sha256(text.encode()).hexdigest() != ENGLISH:
            pytest.skip("the language reference of this Python is another text")
    computed = trained(experiment)
    figures = stored_of(FIGURES, experiment)
    assert figures.keys() == computed.figures.keys()
    for name, values in computed.figures.items():
        assert not differences(figures[name], values), name
    expected = stored_of(TRAINED_ON, experiment)
    for name in sorted(expected):
        compare(name, computed.hashes.get(name), expected[name])


def test_figures_differ_by_more_than_rounding():
    stored = {"metrics/test/loss": 2.0, "norm/Dense_0": 10.0, "metrics/none": math.nan}
    rounded = {"metrics/test/loss": 2.1, "norm/Dense_0": 10.05, "metrics/none": math.nan}
    assert not differences(stored, rounded)
    assert differences(stored, rounded | {"norm/Dense_0": 10.5}) == [
        "norm/Dense_0: 10.0 is now 10.5"
    ]
    assert len(differences(stored, {"metrics/test/loss": 3.0})) == 3
    assert not differences(stored, rounded | {"metrics/temperature": 3.0, "metrics/samples/x": 1.0})


def test_a_changed_hash_is_reported_with_instructions():
    with pytest.raises(
        pytest.fail.Exception, match='"golden hash of random/normal changed: <why>"'
    ):
        compare("random/normal", "a", "b")
