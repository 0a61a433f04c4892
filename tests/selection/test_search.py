"""Search of hyper-parameters: candidates, halving, and runs that equal those of `train`."""

import jax
import numpy as np
import pytest
from scipy import stats

import jaxdl
from jaxdl.errors import InputError
from jaxdl.selection import grid, kfold, sample, search
from jaxdl.selection.search import _Runs
from jaxdl.training import Sharded, evaluate, train
from tests.training.linear import KEY, line, points

TRAIN, VALIDATION = jaxdl.data.split(points(40), jaxdl.root(0), 0.3)
RATES = {"rate": [1e-4, 3e-2, 0.1, 3e-1]}
OPTIONS = {"key": KEY, "batch_size": 7}
ONE = Sharded(jax.devices()[:1])


def make(rate):
    return line(jaxdl.optimizers.optimizer("sgd", rate))


def test_a_grid_has_all_combinations_in_order():
    made = grid(a=[1, 2], b=[3, 4, 5])
    pairs = [(a, b) for a in (1, 2) for b in (3, 4, 5)]
    assert list(zip(made["a"], made["b"], strict=True)) == pairs


def test_samples_are_uniform_in_their_scale():
    drawn = sample(jaxdl.root(3), 4000, rate=(1e-4, 1e-1, "log"), dropout=(0.2, 0.6))
    logarithms = (np.log(drawn["rate"]) - np.log(1e-4)) / np.log(1e3)
    assert stats.kstest(logarithms, "uniform").pvalue > 1e-3
    assert stats.kstest((np.array(drawn["dropout"]) - 0.2) / 0.4, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(logarithms, drawn["dropout"])[0, 1]) < 0.05
    alone = sample(jaxdl.root(3), 4000, dropout=(0.2, 0.6))
    assert alone["dropout"] == drawn["dropout"]


def test_scores_without_halving_are_those_of_runs_alone():
    found = search(make, RATES, TRAIN, VALIDATION, steps=30, **OPTIONS)
    for rate, score in zip(RATES["rate"], found.rungs[0].scores, strict=True):
        net = make(rate)
        state = train(net, TRAIN, steps=30, strategy=ONE, **OPTIONS)
        expected = evaluate(net, state, VALIDATION, key=KEY, strategy=ONE)["loss"]
        np.testing.assert_allclose(score, expected, rtol=1e-4)
    best = int(np.argmin(found.rungs[0].scores))
    assert found.best == {"rate": RATES["rate"][best]}
    assert found.score == found.rungs[0].scores[best]


def test_halving_continues_the_states_of_the_better_ones():
    found = search(make, RATES, TRAIN, VALIDATION, steps=40, rungs=3, **OPTIONS)
    assert [rung.step for rung in found.rungs] == [10, 20, 40]
    assert [len(rung.candidates) for rung in found.rungs] == [4, 2, 1]
    for before, after in zip(found.rungs, found.rungs[1:], strict=False):
        kept = before.candidates[np.argsort(before.scores)[: len(after.candidates)]]
        assert set(kept) == set(after.candidates)
    (winner,) = found.rungs[-1].candidates
    net = make(RATES["rate"][winner])
    state = train(net, TRAIN, steps=40, strategy=ONE, **OPTIONS)
    expected = evaluate(net, state, VALIDATION, key=KEY, strategy=ONE)["loss"]
    np.testing.assert_allclose(found.score, expected, rtol=1e-4)


def test_all_candidates_run_one_program(monkeypatch):
    programs = set()
    score = _Runs.score

    def recorded(self, candidate, until, metric):
        programs.add(id(self.program))
        return score(self, candidate, until, metric)

    monkeypatch.setattr(_Runs, "score", recorded)
    traces = []

    def traced(rate):
        traces.append(rate)
        return make(rate)

    search(traced, RATES, TRAIN, VALIDATION, steps=20, rungs=2, **OPTIONS)
    assert len(programs) == 1
    first = len(traces)
    more = {"rate": [*RATES["rate"], 0.2, 0.25]}
    traces.clear()
    search(traced, more, TRAIN, VALIDATION, steps=20, rungs=2, **OPTIONS)
    # Each candidate is checked once; compilation does not depend on their number.
    assert len(traces) == first + 2


def test_the_score_of_folds_is_their_mean():
    folds = kfold(points(40), 4)
    found = search(make, RATES, folds, steps=12, **OPTIONS)
    for rate, score in zip(RATES["rate"], found.rungs[0].scores, strict=True):
        net = make(rate)
        states = train(net, folds.train, steps=12, **(OPTIONS | {"key": folds.keys(KEY)}))
        losses = evaluate(net, states, folds.held_out, key=folds.keys(KEY))["loss"]
        np.testing.assert_allclose(score, losses.mean(), rtol=1e-4)


def test_larger_scores_can_be_better():
    found = search(make, RATES, TRAIN, VALIDATION, steps=20, larger=True, **OPTIONS)
    assert found.score == found.rungs[0].scores.max()


def test_a_candidate_that_diverges_is_never_the_best():
    rates = {"rate": [1e20, 0.05, 1e25]}
    for larger in (False, True):
        found = search(make, rates, TRAIN, VALIDATION, steps=20, rungs=2, larger=larger, **OPTIONS)
        assert found.best == {"rate": 0.05}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: search(make, {"rate": [1e20, 1e25]}, TRAIN, VALIDATION, steps=20, **OPTIONS),
            "candidates: got '2 that all diverged', allowed: some candidate with a finite score",
        ),
        (
            lambda: search(
                make, RATES, TRAIN, VALIDATION, steps=2, **(OPTIONS | {"batch_size": 80})
            ),
            "batch_size: got 80, allowed: an integer from 1 to 28, the size of points",
        ),
        (
            lambda: search(make, RATES, TRAIN, steps=20, **OPTIONS),
            "validation: got None, allowed: a validation set, or folds as the training set",
        ),
        (
            lambda: search(make, RATES, kfold(TRAIN, 2), VALIDATION, steps=20, **OPTIONS),
            "validation: got 'points', allowed: None with folds, which are held out",
        ),
        (
            lambda: search(make, RATES, TRAIN, VALIDATION, steps=20, keep=1.0, **OPTIONS),
            "keep: got 1.0, allowed: a number in (0, 1)",
        ),
        (
            lambda: search(make, RATES, TRAIN, VALIDATION, steps=2, metric="accurcy", **OPTIONS),
            "metric: got 'accurcy', allowed: loss",
        ),
        (
            lambda: search(make, RATES, TRAIN, VALIDATION, steps=4, rungs=5, **OPTIONS),
            "rungs: got 5, allowed: fewer rungs or more steps; these end at the steps [1, 1, 1, 2",
        ),
        (lambda: grid(rate=0.1), "rate: got 0.1, allowed: a list of values, such as"),
        (
            lambda: sample(KEY, 3, rate=(0.0, 1.0, "log")),
            "rate: got (0.0, 1.0, 'log'), allowed: (low, high) or (low, high, \"log\"), with low",
        ),
        (lambda: sample(KEY, 0), "count: got 0, allowed: at least 1"),
    ],
)
def test_bad_searches(call, message):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value).startswith(message)
