"""Signals: what they do to a process, that a run ends saved, and that going on changes nothing."""

import signal
import threading

import pytest

from jaxdl.training import InMemory, Patience, loop, state_sha256, train
from jaxdl.training.shutdown import SIGNALS, GracefulShutdown, raise_for_signal
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, line, points
from tests.training.test_loop import SHARED

pytestmark = pytest.mark.usefixtures("signals")

ENDS = [
    (signal.SIGINT, KeyboardInterrupt, None),
    (signal.SIGTERM, SystemExit, 143),
    (signal.SIGHUP, SystemExit, 129),
]


@pytest.mark.parametrize(("number", "kind", "code"), ENDS)
def test_a_wish_comes_true_at_the_end(number, kind, code):
    before = signal.getsignal(number)
    with pytest.raises(kind) as caught, GracefulShutdown() as shutdown:
        assert not shutdown.requested()
        signal.raise_signal(number)
        assert shutdown.requested()
    assert signal.getsignal(number) == before
    assert code is None or caught.value.code == code


def test_told_twice_it_comes_true_at_once():
    with pytest.raises(KeyboardInterrupt), GracefulShutdown():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_another_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError), GracefulShutdown():
        signal.raise_signal(signal.SIGTERM)
        _ = 1 / 0


@pytest.mark.parametrize("theirs", [signal.SIG_IGN, lambda number, frame: None])
def test_signals_that_are_ignored_or_somebody_elses_stay(theirs):
    before = signal.signal(signal.SIGTERM, theirs)
    try:
        with GracefulShutdown() as shutdown:
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == theirs
            assert not shutdown.requested()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_those_of_a_script_are_taken_over_and_given_back():
    before = signal.signal(signal.SIGTERM, raise_for_signal)
    try:
        with pytest.raises(SystemExit), GracefulShutdown():
            assert signal.getsignal(signal.SIGTERM) != raise_for_signal
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == raise_for_signal
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_of_its_own_hears_none():
    found = []
    before = [signal.getsignal(number) for number in SIGNALS]

    def inside():
        with GracefulShutdown() as shutdown:
            found.append(([signal.getsignal(number) for number in SIGNALS], shutdown.requested()))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [(before, False)]


# In a run.


class Raises(Memory):
    """Raises a signal when it is told of a step."""

    def __init__(self, step, number=signal.SIGTERM):
        super().__init__()
        self.step = step
        self.number = number

    def write(self, step, metrics):
        super().write(step, metrics)
        if step == self.step and self.number:
            number = self.number
            self.number = 0
            signal.raise_signal(number)


def fit(store, writer, steps=10, save=4, **more):
    return train(
        line(),
        points(),
        key=KEY,
        steps=steps,
        batch_size=4,
        log_every=1,
        save_every=save,
        strategy=SHARED,
        store=store,
        writers=[writer],
        validation=points(7, seed=1),
        **more,
    )


@pytest.fixture(scope="module")
def whole():
    store = InMemory()
    state = fit(store, Memory())
    return state_sha256(state), store.states[10][1]


@pytest.mark.parametrize("step", range(1, 11))
def test_a_run_is_saved_at_the_step_where_it_was_told_to_end(whole, step):
    """Also at 4, 8 and 10, where the signal comes with the line before the set is judged."""
    store = InMemory()
    writer = Raises(step)
    with pytest.raises(SystemExit) as caught:
        fit(store, writer)
    assert caught.value.code == 143
    # The signal may come when the step's own turn is over; then the next one is the last.
    reached = max(store.states)
    assert reached in (step, step + 1)
    assert max(at for at, _ in writer.records) == reached
    state = fit(store, Memory())
    assert (state_sha256(state), store.states[10][1]) == whole


@pytest.mark.parametrize("step", [4, 10])
def test_a_run_that_was_told_while_it_was_judged_is_judged_later(monkeypatch, whole, step):
    store = InMemory()
    judged = loop.sweep
    shown = []

    def told(program, state, *rest):
        if state.steps_done == step:
            signal.raise_signal(signal.SIGINT)
        return judged(program, state, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "sweep", told)
        fit(store, Memory(), on_validation=lambda state: shown.append(state.steps_done))
    assert max(store.states) == step
    assert step not in dict(store.states[step][1]) and step not in shown
    memory = Memory()
    state = fit(store, memory, on_validation=lambda state: shown.append(state.steps_done))
    assert (state_sha256(state), store.states[10][1]) == whole
    assert shown == [4, 8, 10]
    assert [at for at, told in memory.records if "validation/loss" in told] == [
        s for s in (4, 8, 10) if s >= step
    ]


def test_patience_goes_on_after_a_signal_as_if_there_had_been_none():
    patience = {"patience": Patience(times=2), "steps": 40, "save": 2}
    state = fit(InMemory(), Memory(), **patience)
    ends = []
    for step in (3, 4, 11):
        store = InMemory()
        with pytest.raises(SystemExit):
            fit(store, Raises(step), **patience)
        ends.append(state_sha256(fit(store, Memory(), **patience)))
    assert ends == [state_sha256(state)] * 3
