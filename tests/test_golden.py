"""Random numbers, orders of data and tiny trainings against hashes stored for this JAX version."""

import pytest

from tests.faults.twice import NAMES
from tests.golden import (
    COMPUTED,
    FILE,
    TRAINED_ON,
    UNTRAINED,
    VERSION,
    stored_hashes,
    trained,
    untrained,
)

OPTIMIZED = [pytest.mark.slow, pytest.mark.exact]


def entry(name: str) -> dict[str, str]:
    """Returns the hashes that are stored in an entry."""
    if name not in stored_hashes():
        pytest.skip(
            f"{FILE.name} has no entry {name!r}; `python -m tests.golden --write` creates it"
        )
    return stored_hashes()[name]


@pytest.fixture
def golden():
    """Hashes of this JAX version that need no training."""
    return entry(VERSION)


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
    assert set(golden) == set(UNTRAINED)
    assert {name.split("/")[1] for name in entry(TRAINED_ON)} == set(NAMES)
    assert all(len(each) == 64 for hashes in stored_hashes().values() for each in hashes.values())


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in UNTRAINED])
def test_random_numbers_orders_and_streams(name, golden):
    compare(name, untrained(name), golden.get(name))


@pytest.mark.slow
@pytest.mark.exact
@pytest.mark.parametrize("experiment", NAMES)
def test_trainings(experiment):
    expected = {
        name: each for name, each in entry(TRAINED_ON).items() if name.split("/")[1] == experiment
    }
    computed = trained(experiment)
    for name in sorted(computed.keys() | expected.keys()):
        compare(name, computed.get(name), expected.get(name))


def test_a_changed_hash_is_reported_with_instructions():
    with pytest.raises(
        pytest.fail.Exception, match='"golden hash of random/normal changed: <why>"'
    ):
        compare("random/normal", "a", "b")
