"""Random numbers, orders of data and tiny trainings are those that were kept for this version of JAX."""

import pytest

from tests.faults.twice import NAMES
from tests.golden import COMPUTED, FILE, TRAINED_ON, UNTRAINED, VERSION, kept, trained, untrained

OPTIMIZED = [pytest.mark.slow, pytest.mark.exact]


def entry(name: str) -> dict[str, str]:
    """The hashes that are kept under this name."""
    if name not in kept():
        pytest.skip(
            f"{FILE.name} has no entry {name!r}; `python -m tests.golden --write` makes one"
        )
    return kept()[name]


@pytest.fixture
def golden():
    """Those of this version of JAX that take no training."""
    return entry(VERSION)


def compare(name: str, found: str | None, expected: str | None) -> None:
    if found != expected:
        line = f"golden hash of {name} changed: <why>"
        pytest.fail(
            f'add to CHANGELOG.md "{line}" and run `python -m tests.golden --write`; {expected} is now {found}'
        )


def test_the_names_that_are_kept(golden):
    assert set(golden) == set(UNTRAINED)
    assert {name.split("/")[1] for name in entry(TRAINED_ON)} == set(NAMES)
    assert all(len(found) == 64 for hashes in kept().values() for found in hashes.values())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=OPTIMIZED if name in COMPUTED else []) for name in UNTRAINED]
)
def test_random_numbers_orders_and_streams(name, golden):
    compare(name, untrained(name), golden.get(name))


@pytest.mark.slow
@pytest.mark.exact
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("experiment", NAMES)
def test_trainings(experiment):
    expected = {
        name: each for name, each in entry(TRAINED_ON).items() if name.split("/")[1] == experiment
    }
    found = trained(experiment)
    for name in sorted(found.keys() | expected.keys()):
        compare(name, found.get(name), expected.get(name))


def test_a_changed_hash_says_what_to_do():
    with pytest.raises(
        pytest.fail.Exception, match='"golden hash of random/normal changed: <why>"'
    ):
        compare("random/normal", "a", "b")
