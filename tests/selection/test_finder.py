"""The learning-rate finder: its rules, the end of its curve, and the state that it leaves alone."""

import math

import numpy as np
import optax
import pytest
from scipy import stats

import jaxdl
from jaxdl.errors import InputError
from jaxdl.selection import find_learning_rate, finder
from jaxdl.training import state_sha256
from tests.training.linear import KEY, line, points

RANDOM = np.random.default_rng(0)


def curves(count):
    """Returns noisy curves that fall and rise, as `(rates, losses)`."""
    for _ in range(count):
        n = int(RANDOM.integers(12, 60))
        rates = finder.rising_rates(1e-5, 10, n)
        x = np.linspace(-2, 1.5, n)
        losses = 9 + x**3 - 2 * x + RANDOM.normal(0, 0.2, n)
        yield rates, finder.smooth(losses, float(RANDOM.uniform(0, 0.05)))


def fastai_valley(rates, losses):
    """Returns the suggestion by the loops of fastai's `valley`, over indices."""
    n = len(losses)
    start = 0
    end = 0
    longest = [1] * n
    for i in range(1, n):
        for j in range(i):
            if losses[i] < losses[j] and longest[i] < longest[j] + 1:
                longest[i] = longest[j] + 1
            if longest[end] < longest[i]:
                end = i
                start = end - longest[end]
    third = (end - start) / 3
    return rates[start + int(third) + int(third / 2)]


def test_valley_is_that_of_fastai():
    for rates, losses in curves(40):
        assert finder.valley(rates, losses) == fastai_valley(rates, losses)


def test_a_curve_that_falls_everywhere_stays_within_its_points():
    rates = finder.rising_rates(1e-3, 1.0, 12)
    assert finder.valley(rates, -np.arange(12.0)) == rates[5]


def test_steepest_is_that_of_lightning_with_slopes_over_log_rates():
    """Rates at equal factors have equal distances, so slopes per index give the same point."""
    for rates, losses in curves(40):
        inner = (losses[2:] - losses[:-2]) / 2
        slopes = [losses[1] - losses[0], *inner, losses[-1] - losses[-2]]
        assert finder.steepest(rates, losses) == rates[int(np.argmin(slopes))]


def test_smoothing_is_a_mean_with_the_weights_of_a_normal_curve():
    losses = RANDOM.uniform(1, 2, size=30)
    for width in (0.01, 0.1):
        for t, value in enumerate(finder.smooth(losses, width)):
            weights = stats.norm.pdf(np.arange(30), t, width * 30)
            np.testing.assert_allclose(value, (weights * losses).sum() / weights.sum())


def test_rates_rise_by_one_factor():
    rates = finder.rising_rates(1e-6, 10.0, 50)
    np.testing.assert_allclose(rates[1:] / rates[:-1], (10.0 / 1e-6) ** (1 / 49))


def test_the_curve_ends_before_the_first_value_that_is_not_finite_or_has_diverged():
    for last in (np.nan, np.inf, 13.0):
        smoothed = finder.smooth(np.array([3.0, 2.0, last, 0.1]), 0.0)
        assert smoothed[:2].tolist() == [3.0, 2.0] and np.isnan(smoothed[2:]).all()
        assert finder.points_used(smoothed) == 2
    assert finder.points_used(np.full(5, np.nan)) == 0


@pytest.mark.parametrize("rule", finder.RULES)
def test_no_suggestion_without_a_fall(rule):
    rates = finder.rising_rates(1e-3, 1.0, 10)
    assert finder.suggest(rates, np.linspace(1, 2, 10), 10, rule) is None
    assert finder.suggest(rates, np.full(10, 1.0), 10, rule) is None
    assert finder.suggest(rates, np.linspace(2, 1, 10), 3, rule) is None
    assert finder.suggest(rates, np.linspace(2, 1, 10), 10, rule) is not None


def test_losses_and_rates_are_those_of_a_loop():
    data = points()
    seen = []

    def make(schedule):
        seen.extend(float(schedule(t)) for t in range(12))
        return line(optax.sgd(schedule))

    curve = find_learning_rate(
        make, data, key=KEY, batch_size=8, steps=12, low=1e-3, high=0.5, width=0.1
    )
    np.testing.assert_allclose(seen, curve.rates, rtol=1e-6)
    net = line(optax.sgd(lambda t: np.float32(1e-3) * (0.5 / 1e-3) ** (t / 11)))
    memory = jaxdl.training.Memory()
    jaxdl.train(net, data, key=KEY, steps=12, batch_size=8, log_every=1, writers=[memory])
    losses = [values["train/loss"] for _, values in memory.records if "train/loss" in values]
    np.testing.assert_allclose(curve.losses, losses, rtol=1e-4)
    np.testing.assert_allclose(curve.smoothed, finder.smooth(curve.losses, 0.1))


def test_a_run_afterwards_has_the_same_bits():
    data = points()
    net = line(optax.sgd(0.05))
    before = jaxdl.train(net, data, key=KEY, steps=5, batch_size=8)
    digest = state_sha256(before)
    find_learning_rate(lambda rate: line(optax.sgd(rate)), data, key=KEY, batch_size=8, steps=20)
    assert state_sha256(before) == digest
    again = jaxdl.train(net, data, key=KEY, steps=5, batch_size=8)
    assert state_sha256(again) == digest


def test_rates_that_overflow_end_the_curve():
    curve = find_learning_rate(
        lambda rate: line(optax.sgd(rate)),
        points(),
        key=KEY,
        batch_size=8,
        steps=60,
        low=1e-4,
        high=1e20,
    )
    bad = np.flatnonzero(np.isnan(curve.losses))
    assert bad.size and (np.diff(bad) == 1).all() and bad[-1] == 59
    assert curve.used < bad[0]
    assert 1e-5 < curve.suggestion < 1


def test_rates_that_all_diverge_give_no_suggestion():
    curve = find_learning_rate(
        lambda rate: line(optax.sgd(rate)),
        points(),
        key=KEY,
        batch_size=8,
        low=10.0,
        high=1e4,
        steps=20,
    )
    assert curve.suggestion is None


def test_several_keys_average_their_losses():
    keys = jaxdl.root([1, 2])

    def find(key):
        return find_learning_rate(
            lambda rate: line(optax.sgd(rate)), points(), key=key, batch_size=8, steps=15
        )

    both = find(keys).losses
    each = [find(key).losses for key in keys]
    np.testing.assert_allclose(both, np.mean(each, 0), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "low and high: got [0.0, 10.0], allowed: 0 < low < high, such as"),
        ({"low": 20.0}, "low and high: got [20.0, 10.0], allowed: 0 < low < high, such as"),
        ({"high": math.inf}, "low and high: got [1e-06, inf], allowed: 0 < low < high"),
        ({"steps": 9}, "steps: got 9, allowed: at least 10"),
        ({"width": 1.0}, "width: got 1.0, allowed: a number in [0, 1)"),
        (
            {"rule": "vally"},
            "rule: got 'vally', allowed: steepest, valley (did you mean 'valley'?)",
        ),
        ({"metric": "los"}, "metric: got 'los', allowed: loss (did you mean 'loss'?)"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError) as raised:
        find_learning_rate(
            lambda rate: line(optax.sgd(rate)),
            points(),
            key=KEY,
            **({"batch_size": 8, "steps": 10} | options),
        )
    assert str(raised.value).startswith(message)


def test_a_learner_that_ignores_the_schedule():
    with pytest.raises(InputError, match="make: got 'a learner that ignores the schedule', allow"):
        find_learning_rate(lambda rate: line(), points(), key=KEY, batch_size=8, steps=10)
