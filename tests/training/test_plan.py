"""The plan of a run against a direct enumeration of its steps."""

import itertools

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.training.plan import Schedule, plan


def expected_stops(start, end, schedule, longest):
    """Returns the stops of a run, found by walking over single steps."""
    stops = []
    first = start
    for step in range(start + 1, end + 1):
        log = step % schedule.log_every == 0
        saves = schedule.save_every and step % schedule.save_every == 0
        validate = bool(saves) or step == schedule.steps
        full = step - first == longest(first)
        if log or validate or full or step in (start + 1, end):
            wait = validate or step in (start + 1, end)
            stops.append((first, step, log, validate, wait, step == end))
            first = step
    return stops


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_stops_are_those_of_a_walk_over_all_steps(steps):
    rng = np.random.default_rng(steps)
    lengths = rng.integers(1, 6, steps + 1)
    for log_every, save_every in itertools.product((1, 3, 50), (0, 1, 4)):
        schedule = Schedule(steps, log_every, save_every)
        for start in range(steps + 1):
            for end in {start, min(start + 2, steps), steps}:
                stops = plan(start, end, schedule, lambda step: int(lengths[step]))
                expected = expected_stops(start, end, schedule, lambda step: lengths[step])
                assert [tuple(stop) for stop in stops] == expected


def test_dispatches_adapt_to_the_measured_size():
    """The largest length is asked for at each stop, after the stop before it is done."""
    asked = []

    def longest(step):
        asked.append(step)
        return 2 ** len(asked)

    stops = plan(0, 100, Schedule(100, 1000, 0), longest)
    assert [stop.steps for stop in itertools.islice(stops, 4)] == [1, 4, 8, 16]
    assert asked == [0, 1, 5, 13]


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ((0, 1, 0), "steps: got 0, allowed: at least 1"),
        ((5, 0, 0), "log_every: got 0, allowed: at least 1"),
        ((5, 1, -1), "save_every: got -1, allowed: at least 0"),
    ],
)
def test_bad_numbers_are_refused(numbers, line):
    with pytest.raises(InputError) as caught:
        Schedule(*numbers).validate()
    assert str(caught.value) == line
