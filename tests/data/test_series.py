"""Tests of the simulated weather, and of the parts and windows of a series."""

import math

import numpy as np
import pytest

from jaxdl.data.series import (
    CHANNELS,
    _bumps,
    _fronts,
    chronological,
    forecast_sets,
    forecast_windows,
    series,
)
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)


def random_numbers(hours, seed):
    """Returns all random numbers of a series, in the order in which it uses them."""
    random = np.random.RandomState(seed)
    return random.standard_normal((3, hours)), *_fronts(hours, random)


def by_hand(hours, seed):
    """Returns the equations of the docstring, hour by hour, and the temperature without noise."""
    noise, signals, strengths, kinds = random_numbers(hours, seed)
    values = np.zeros((hours, 3))
    noiseless = np.zeros(hours)
    front = 0.0
    a = [0.0, 0.0, 0.0]
    for t in range(hours):
        a = [
            c * x + d * e[t]
            for c, d, x, e in zip((0.9, 0.99, 0.9), (0.2, 0.25, 0.5), a, noise, strict=True)
        ]
        front *= math.exp(-1 / 48)
        pressure = 0.0
        humidity = 0.0
        for s, strength, z in zip(signals.tolist(), strengths, kinds.tolist(), strict=True):
            if t == s + 30 + 24 * z:
                front += strength
            pressure -= 1.5 * strength * math.exp(-((t - s) ** 2) / 18) * (abs(t - s) <= 12)
            humidity += (
                15 * (2 * z - 1) * math.exp(-((t - s - 6) ** 2) / 18) * (abs(t - s - 6) <= 12)
            )
        day = math.cos(2 * math.pi * (t - 4) / 24)
        noiseless[t] = 10 - 9 * math.cos(2 * math.pi * t / 8766) - 4 * day + front
        values[t] = noiseless[t] + a[0], 1013 + pressure + a[1], 60 + 5 * day + humidity + a[2]
    return values, noiseless


@pytest.mark.parametrize(("hours", "seed"), [(600, 0), (77, 3), (1, 1)])
def test_series_follows_its_equations(hours, seed):
    values = series(True, hours, seed)
    assert values.dtype == np.float32
    assert values.shape == (hours, len(CHANNELS))
    np.testing.assert_allclose(values, by_hand(hours, seed)[0], rtol=1e-5, atol=1e-4)


def test_fronts_have_the_documented_distribution():
    signals, strengths, kinds = _fronts(100_000, np.random.RandomState(0))
    gaps = np.diff(signals, prepend=0)
    assert gaps.min() == 24
    # The integer part of the exponential number has a mean of 23.5. The standard error is 0.4.
    assert gaps.mean() == pytest.approx(24 + 23.5, abs=1.2)
    assert abs(strengths).min() >= 4
    assert abs(strengths).max() < 8
    assert abs((strengths > 0).mean() - 0.5) < 0.03
    assert abs(kinds.mean() - 0.5) < 0.03
    assert signals[-1] >= 100_000


def test_a_bump_begins_before_its_center():
    # The center of the second bump is after the end.
    values = _bumps(30, np.array([10, 35]), np.array([2.0, 1.0]))
    expected = [
        2 * math.exp(-((t - 10) ** 2) / 18) * (t <= 22)
        + math.exp(-((t - 35) ** 2) / 18) * (t >= 23)
        for t in range(30)
    ]
    np.testing.assert_allclose(values, expected)


def test_the_best_forecast_is_much_better_than_persistence_a_day_ahead():
    values = series(True, 3000)[:, 0].astype(float)
    noiseless = by_hand(3000, 0)[1]
    persistence = ((values[24:] - values[:-24]) ** 2).mean()
    forecast = noiseless[24:] + 0.9**24 * (values - noiseless)[:-24]
    best = ((values[24:] - forecast) ** 2).mean()
    assert persistence == pytest.approx(16, rel=0.2)
    assert best == pytest.approx(0.2, rel=0.2)


def test_without_structure_only_the_temperature_differs_and_is_a_random_walk():
    structured = series(True, seed=4)
    random_walk = series(False, seed=4)
    np.testing.assert_array_equal(random_walk[:, 1:], structured[:, 1:])
    noise = random_numbers(len(random_walk), 4)[0][0]
    np.testing.assert_allclose(random_walk[:, 0], 10 + 0.1 * np.cumsum(noise), atol=1e-3)
    for ahead in (1, 24):
        steps = random_walk[ahead:, 0] - random_walk[:-ahead, 0]
        assert (steps**2).mean() == pytest.approx(0.01 * ahead, rel=0.25)


def regression_inputs(windows):
    """Returns the inputs of a linear regression, and the last temperature of each window."""
    inputs = windows["input"].reshape(len(windows), -1)
    return np.c_[inputs, np.ones(len(inputs))], inputs[:, -3:-2]


@pytest.mark.parametrize(("structure", "low", "high"), [(True, 0.0, 0.8), (False, 1.0, 9.0)])
def test_linear_regression_is_better_than_persistence_only_with_structure(structure, low, high):
    parts = chronological(series(structure))
    train = forecast_windows(parts.train, 72, 24, stride=2)
    test = forecast_windows(parts.test, 72, 24, stride=2)
    x, now = regression_inputs(train)
    x_test, now_test = regression_inputs(test)
    change = x_test @ np.linalg.lstsq(x, train["target"] - now, rcond=None)[0]
    persistence = ((test["target"] - now_test) ** 2).mean()
    regression = ((test["target"] - now_test - change) ** 2).mean()
    assert low < regression / persistence < high


def test_the_series_depends_on_the_seed():
    np.testing.assert_array_equal(series(True, 100, 1), series(True, 100, 1))
    assert (series(True, 100, 1) != series(True, 100, 2)).all(1).any()


@pytest.mark.parametrize("fractions", [(0.7, 0.15), (0.5, 0.2)])
def test_chronological_parts_are_in_order_and_standardized_by_the_training_part(fractions):
    values = RANDOM.standard_normal((200, 3)) * [1, 10, 0.1] + [5, -3, 1000]
    values[:, 0] += np.arange(200)
    train, validation, test, mean, std = chronological(values, fractions)
    assert [len(part) for part in (train, validation, test)] == [
        round(200 * fractions[0]),
        round(200 * fractions[1]),
        200 - round(200 * sum(fractions)),
    ]
    assert train.dtype == validation.dtype == test.dtype == np.float32
    np.testing.assert_allclose(
        np.concatenate([train, validation, test]) * std + mean, values, rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, rtol=1e-5)
    np.testing.assert_allclose(mean, values[: len(train)].mean(0))


def test_a_constant_channel_is_only_shifted():
    parts = chronological(np.c_[np.full(10, 0.1), np.arange(10)], (0.5, 0.2))
    assert (parts.test[:, 0] == 0).all()
    assert parts.std[0] == 1


def test_windows_agree_with_a_loop():
    for _ in range(30):
        size, channels, history, ahead, stride = (
            int(RANDOM.randint(1, high)) for high in (40, 4, 9, 6, 5)
        )
        size = size + history + ahead
        target = int(RANDOM.randint(channels))
        values = RANDOM.standard_normal((size, channels)).astype(np.float32)
        data = forecast_windows(values, history, ahead, target, stride, "mine")
        inputs = []
        targets = []
        for start in range(0, size, stride):
            if start + history - 1 + ahead < size:
                inputs.append(values[start : start + history])
                targets.append([values[start + history - 1 + ahead, target]])
        np.testing.assert_array_equal(data["input"], inputs)
        np.testing.assert_array_equal(data["target"], targets)
        assert (data["input"].dtype, data["target"].dtype) == (np.float32, np.float32)
        assert (data.name, data.classes) == ("mine", None)


def test_the_shortest_series_has_one_window():
    data = forecast_windows(np.arange(8.0)[:, None], 5, 3)
    assert (data["input"].ravel().tolist(), data["target"].tolist()) == ([0, 1, 2, 3, 4], [[7]])


def test_the_values_of_seed_0_have_not_changed():
    rounded = np.round(series(True, 200)[::50].astype(float), 2)
    assert rounded.tolist() == [
        [-0.65, 1012.91, 62.2],
        [-3.17, 1010.52, 48.26],
        [1.59, 1012.23, 65.48],
        [1.58, 1014.14, 51.55],
    ]


VALUES = np.zeros((8, 2))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: series(True, 0), "hours: got 0, allowed: at least 1"),
        (lambda: series(True, 10, -1), "seed: got -1, allowed: at least 0"),
        (
            lambda: forecast_windows(VALUES, 6, 3),
            "values rows: got 8, allowed: at least history + ahead = 6 + 3",
        ),
        (lambda: forecast_windows(VALUES, 0, 3), "history: got 0, allowed: at least 1"),
        (lambda: forecast_windows(VALUES, 6, 0), "ahead: got 0, allowed: at least 1"),
        (lambda: forecast_windows(VALUES, 6, 1, stride=0), "stride: got 0, allowed: at least 1"),
        (lambda: forecast_windows(VALUES, 6, 1, 2), "target: got 2, allowed: a channel in [0, 2)"),
        (
            lambda: forecast_windows(VALUES[0], 6, 1),
            "values shape: got (2,), allowed: [T, C], not empty",
        ),
        (
            lambda: forecast_windows(VALUES + [[1, np.nan]], 6, 1),
            "values[0]: got [1.0, nan], allowed: finite numbers",
        ),
        (
            lambda: chronological(VALUES, (0.9, 0.1)),
            "fractions: got (0.9, 0.1), allowed: fractions that leave all parts of 8 rows"
            " non-empty",
        ),
        (
            lambda: chronological(VALUES, (0.0, 0.5)),
            "fractions: got (0.0, 0.5), allowed: fractions that leave all parts of 8 rows"
            " non-empty",
        ),
    ],
)
def test_bad_series_and_arguments_are_refused(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line


def test_the_sets_of_a_forecast_are_windows_of_the_parts():
    values = np.random.default_rng(0).normal(3, 2, (200, 2))
    sets, mean, std = forecast_sets(values, 10, 4, 3, (0.5, 0.3), "mine")
    starts = {"train": range(0, 87, 3), "validation": range(100, 147), "test": range(160, 187)}
    assert list(sets) == list(starts)
    for part, rows in starts.items():
        inputs = np.stack([values[i : i + 10] for i in rows])
        scaled = (inputs - values[:100].mean(0)) / values[:100].std(0)
        np.testing.assert_allclose(sets[part]["input"], scaled, atol=1e-5)
        targets = [[values[i + 13, 0]] for i in rows]
        np.testing.assert_allclose(sets[part]["target"] * std + mean, targets, atol=1e-5)
        assert sets[part].name == "mine"
