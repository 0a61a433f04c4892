"""Validation during training: the callback `on_validation` and early stopping."""

import math

import numpy as np
import pytest

from jaxdl.data.order import epoch_order
from jaxdl.errors import InputError, NonFinite
from jaxdl.training import Patience, state_sha256, train
from tests.training.linear import KEY, line, points
from tests.training.runs import SHARED, Compiled, Recorder, run

NAN = math.nan
INF = math.inf

# The function `on_validation`.


class Callback:
    """A function for `on_validation` that stores the step and hash of every state.

    Attributes:
      calls: `(step, hash)` of each call.
    """

    def __init__(self):
        self.calls = []

    @property
    def steps(self):
        """The steps of the calls."""
        return [step for step, _ in self.calls]

    def __call__(self, state):
        self.calls.append((int(state.step), state_sha256(state)))


@pytest.mark.parametrize(
    ("save", "steps"), [(0, [10]), (3, [3, 6, 9, 10]), (5, [5, 10]), (1, list(range(1, 11)))]
)
@pytest.mark.parametrize("validation", [None, points(7, seed=1)], ids=["none", "validated"])
def test_on_validation_gets_every_state_before_it_is_saved(save, steps, validation):
    store = Recorder()
    callback = Callback()
    saved_before = []

    def on_validation(state):
        callback(state)
        saved_before.append(sorted(store.saved))

    state, _ = run(
        log_every=4,
        save_every=save,
        validation=validation,
        store=store,
        on_validation=on_validation,
    )
    assert callback.steps == steps
    assert callback.calls == [(step, state_sha256(store.saved[step][0])) for step in steps]
    assert saved_before == [steps[:i] for i in range(len(steps))]
    assert state_sha256(state) == state_sha256(run(log_every=4, save_every=save)[0])


@pytest.mark.parametrize(
    ("stop", "before", "after"),
    [
        (1, [], [3, 6, 9, 10]),
        (3, [3], [6, 9, 10]),
        (5, [3], [6, 9, 10]),
        (9, [3, 6, 9], [10]),
        (10, [3, 6, 9, 10], []),
    ],
)
def test_on_validation_is_not_called_for_a_mere_stop(stop, before, after):
    store = Recorder()
    callbacks = [Callback(), Callback(), Callback()]
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1), "store": store}
    run(stop_after=stop, on_validation=callbacks[0], **common)
    run(on_validation=callbacks[1], **common)
    run(on_validation=callbacks[2], **common)
    assert [callback.steps for callback in callbacks] == [before, after, []]
    whole = Callback()
    run(log_every=4, save_every=3, validation=points(7, seed=1), on_validation=whole)
    assert callbacks[0].calls + callbacks[1].calls == whole.calls


def test_on_validation_is_called_again_for_a_state_that_was_not_saved():
    """The process dies after the callback and before the save."""
    store = Recorder()
    callback = Callback()

    def dies(state):
        callback(state)
        if int(state.step) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(log_every=4, save_every=3, store=store, on_validation=dies)
    assert (sorted(store.saved), store.closed) == ([3], 1)
    run(log_every=4, save_every=3, store=store, on_validation=callback)
    assert callback.steps == [3, 6, 6, 9, 10]
    assert callback.calls[1] == callback.calls[2]


def test_on_validation_is_not_called_for_a_state_that_is_not_finite():
    callback = Callback()
    row = int(epoch_order(KEY, 0, 22, 4)[4, 2])
    with pytest.raises(NonFinite):
        train(
            line(),
            points(rows={row: NAN}),
            key=KEY,
            steps=10,
            batch_size=4,
            log_every=100,
            save_every=1,
            strategy=SHARED,
            on_validation=callback,
        )
    assert callback.steps == [1, 2, 3, 4]


# Early stopping, with given validation values.


def scripted(values: dict[int, float]) -> Compiled:
    """Returns a strategy whose validation at each step gives the value for that step."""

    class Scripted(Compiled):
        def compile(self, learner, window):
            return SHARED.compile(learner, window)._replace(evaluate=evaluate)

    def evaluate(state, window, key, start, end):
        losses = np.full(end - start, values[int(state.step)], np.float32)
        return {"loss": (losses, np.ones_like(losses))}

    return Scripted()


@pytest.mark.parametrize(
    ("values", "times", "stops", "best"),
    [
        ([5, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1], 1, 10, 10),
        ([5, 4, 6, 7, 8, 1, 1, 1, 1, 1], 3, 5, 2),
        ([5, 4, 6, 3, 8, 9, 9, 1, 1, 1], 3, 7, 4),
        ([5, 4, 4, 4, 0, 0, 0, 0, 0, 0], 2, 4, 2),
        ([NAN, 4, NAN, NAN, 1, 1, 1, 1, 1, 1], 2, 4, 2),
        ([NAN, NAN, 2, 3, 1, INF, NAN, 5, 1, 1], 3, 8, 5),
        ([NAN] * 10, 3, 4, 4),
        ([INF, NAN] * 5, 12, 10, 10),
        ([3, NAN, INF, 4, 5, 6, 7, 8, 2, 3], 9, 10, 9),
    ],
)
def test_patience(values, times, stops, best):
    store = Recorder()
    common = {
        "log_every": 100,
        "save_every": 1,
        "patience": Patience("loss", times),
        "validation": points(4, seed=1),
        "strategy": scripted(dict(enumerate(values, 1))),
    }
    state, _ = run(store=store, **common)
    assert max(store.saved) == stops
    assert int(state.step) == best
    assert state_sha256(state) == state_sha256(store.saved[best][0])
    again, records = run(store=store, **common)
    assert state_sha256(again) == state_sha256(state)
    assert records == []
    interrupted = Recorder()
    for stop in (2, 3, stops):
        run(store=interrupted, stop_after=stop, **common)
    assert state_sha256(run(store=interrupted, **common)[0]) == state_sha256(state)


def test_accuracy_is_better_when_larger():
    assert Patience("accuracy", larger=True).value({"accuracy": 0.75}) == -0.75
    assert Patience("top_accuracy", larger=True).value({"top_accuracy": 0.5}) == -0.5
    assert Patience("loss").value({"loss": 2.0}) == 2.0


def test_unknown_metric_of_patience_is_refused():
    with pytest.raises(InputError) as caught:
        run(log_every=100, save_every=2, patience=Patience("acuracy"), validation=points(4))
    assert str(caught.value) == "Patience.metric: got 'acuracy', allowed: one of ['loss']"
