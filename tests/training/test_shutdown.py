"""Graceful shutdown: after a signal a run is saved, and it resumes with the same result."""

import signal
import threading

import pytest

from jaxdl.training import InMemory, Patience, loop, state_sha256, train
from jaxdl.training.shutdown import SIGNALS, GracefulShutdown, raise_for_signal
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, line, points
from tests.training.runs import SHARED

pytestmark = pytest.mark.usefixtures("signals")

#: Signals with the exception that they raise, and its exit code.
ENDS = [
    (signal.SIGINT, KeyboardInterrupt, None),
    (signal.SIGTERM, SystemExit, 143),
    (signal.SIGHUP, SystemExit, 129),
]


@pytest.mark.parametrize(("number", "kind", "code"), ENDS)
def test_a_signal_takes_effect_at_the_end(number, kind, code):
    before = signal.getsignal(number)
    with pytest.raises(kind) as caught, GracefulShutdown() as shutdown:
        assert not shutdown.requested()
        signal.raise_signal(number)
        assert shutdown.requested()
    assert signal.getsignal(number) == before
    assert code is None or caught.value.code == code


def test_a_second_signal_takes_effect_at_once():
    with pytest.raises(KeyboardInterrupt), GracefulShutdown():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second signal had no effect")
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_another_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError), GracefulShutdown():
        signal.raise_signal(signal.SIGTERM)
        _ = 1 / 0


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_signals_that_are_ignored_or_have_another_handler_keep_it(handler):
    before = signal.signal(signal.SIGTERM, handler)
    try:
        with GracefulShutdown() as shutdown:
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == handler
            assert not shutdown.requested()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_handlers_of_a_script_are_replaced_and_restored():
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


def test_no_signal_is_caught_in_another_thread():
    results = []
    before = [signal.getsignal(number) for number in SIGNALS]

    def inside():
        with GracefulShutdown() as shutdown:
            handlers = [signal.getsignal(number) for number in SIGNALS]
            results.append((handlers, shutdown.requested()))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert results == [(before, False)]


# Signals during a run.


class SignalWriter(Memory):
    """A writer that raises a signal when it gets the metrics of a step."""

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
def test_a_run_is_saved_at_the_step_of_the_signal(whole, step):
    """At steps 4, 8 and 10 the signal arrives just before the validation."""
    store = InMemory()
    writer = SignalWriter(step)
    with pytest.raises(SystemExit) as caught:
        fit(store, writer)
    assert caught.value.code == 143
    # If the signal arrives after the check for signals, the next step is the last one.
    reached = max(store.states)
    assert reached in (step, step + 1)
    assert max(at for at, _ in writer.records) == reached
    state = fit(store, Memory())
    assert (state_sha256(state), store.states[10][1]) == whole


@pytest.mark.parametrize("step", [4, 10])
def test_an_interrupted_validation_is_repeated_on_resume(monkeypatch, whole, step):
    store = InMemory()
    evaluate_windows = loop.evaluate_windows
    shown = []

    def interrupted(program, state, *rest):
        if state.steps_done == step:
            signal.raise_signal(signal.SIGINT)
        return evaluate_windows(program, state, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "evaluate_windows", interrupted)
        fit(store, Memory(), on_validation=lambda state: shown.append(state.steps_done))
    assert max(store.states) == step
    assert step not in dict(store.states[step][1]) and step not in shown
    memory = Memory()
    state = fit(store, memory, on_validation=lambda state: shown.append(state.steps_done))
    assert (state_sha256(state), store.states[10][1]) == whole
    assert shown == [4, 8, 10]
    validated = [at for at, metrics in memory.records if "validation/loss" in metrics]
    assert validated == [s for s in (4, 8, 10) if s >= step]


def test_a_signal_does_not_change_early_stopping():
    patience = {"patience": Patience(times=2), "steps": 40, "save": 2}
    state = fit(InMemory(), Memory(), **patience)
    hashes = []
    for step in (3, 4, 11):
        store = InMemory()
        with pytest.raises(SystemExit):
            fit(store, SignalWriter(step), **patience)
        hashes.append(state_sha256(fit(store, Memory(), **patience)))
    assert hashes == [state_sha256(state)] * 3
