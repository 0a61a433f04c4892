"""The weather follows its equations, can be forecast where it has structure, and is cut in the order of time."""

import math

import numpy as np
import pytest

from jaxdl.data.series import CHANNELS, _bumps, _fronts, chronological, forecast_windows, series
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)


def drawn(hours, seed):
    """What is random in a series, in the order in which it is drawn."""
    draw = np.random.RandomState(seed)
    return draw.standard_normal((3, hours)), *_fronts(hours, draw)


def written_out(hours, seed):
    """The equations of the docstring, hour by hour and front by front; the temperature also without its noise."""
    noise, signs, strengths, kinds = drawn(hours, seed)
    found = np.zeros((hours, 3))
    known = np.zeros(hours)
    front = 0.0
    a = [0.0, 0.0, 0.0]
    for t in range(hours):
        a = [
            c * x + d * e[t]
            for c, d, x, e in zip((0.9, 0.99, 0.9), (0.2, 0.25, 0.5), a, noise, strict=True)
        ]
        front *= math.exp(-1 / 48)
        pressure = humidity = 0.0
        for s, strength, z in zip(signs.tolist(), strengths, kinds.tolist(), strict=True):
            front += strength if t == s + 30 + 24 * z else 0
            pressure -= 1.5 * strength * math.exp(-((t - s) ** 2) / 18) * (abs(t - s) <= 12)
            humidity += (
                15 * (2 * z - 1) * math.exp(-((t - s - 6) ** 2) / 18) * (abs(t - s - 6) <= 12)
            )
        day = math.cos(2 * math.pi * (t - 4) / 24)
        known[t] = 10 - 9 * math.cos(2 * math.pi * t / 8766) - 4 * day + front
        found[t] = known[t] + a[0], 1013 + pressure + a[1], 60 + 5 * day + humidity + a[2]
    return found, known


@pytest.mark.parametrize(("hours", "seed"), [(600, 0), (77, 3), (1, 1)])
def test_series_follows_its_equations(hours, seed):
    found = series(True, hours, seed)
    assert found.dtype == np.float32
    assert found.shape == (hours, len(CHANNELS))
    np.testing.assert_allclose(found, written_out(hours, seed)[0], rtol=1e-5, atol=1e-4)


def test_fronts_are_as_described():
    signs, strengths, kinds = _fronts(100_000, np.random.RandomState(0))
    gaps = np.diff(signs, prepend=0)
    assert gaps.min() == 24
    assert gaps.mean() == pytest.approx(
        24 + 23.5, abs=1.2
    )  # of the whole part; the standard error is 0.4
    assert abs(strengths).min() >= 4
    assert abs(strengths).max() < 8
    assert abs((strengths > 0).mean() - 0.5) < 0.03
    assert abs(kinds.mean() - 0.5) < 0.03
    assert signs[-1] >= 100_000


def test_a_bump_is_seen_from_before_its_middle():
    # One in the middle, one after the end.
    found = _bumps(30, np.array([10, 35]), np.array([2.0, 1.0]))
    expected = [
        2 * math.exp(-((t - 10) ** 2) / 18) * (t <= 22)
        + math.exp(-((t - 35) ** 2) / 18) * (t >= 23)
        for t in range(30)
    ]
    np.testing.assert_allclose(found, expected)


def test_as_now_is_far_from_what_can_be_known_a_day_ahead():
    found = series(True, 3000)[:, 0].astype(float)
    known = written_out(3000, 0)[1]
    naive = ((found[24:] - found[:-24]) ** 2).mean()
    best = ((found[24:] - known[24:] - 0.9**24 * (found - known)[:-24]) ** 2).mean()
    assert naive == pytest.approx(16, rel=0.2)
    assert best == pytest.approx(0.2, rel=0.2)


def test_without_structure_the_temperature_is_a_random_walk_beside_the_same_weather():
    with_it = series(True, seed=4)
    without = series(False, seed=4)
    np.testing.assert_array_equal(without[:, 1:], with_it[:, 1:])
    noise = drawn(len(without), 4)[0][0]
    np.testing.assert_allclose(without[:, 0], 10 + 0.1 * np.cumsum(noise), atol=1e-3)
    for ahead in (1, 24):
        steps = without[ahead:, 0] - without[:-ahead, 0]
        assert (steps**2).mean() == pytest.approx(0.01 * ahead, rel=0.25)


def least_squares(windows):
    """The inputs, the last value, and the change from it that a line through all inputs has."""
    inputs = windows["input"].reshape(len(windows), -1)
    return np.c_[inputs, np.ones(len(inputs))], inputs[:, -3:-2]


@pytest.mark.parametrize(("structure", "low", "high"), [(True, 0.0, 0.8), (False, 1.0, 9.0)])
def test_a_line_through_the_last_days_helps_where_there_are_fronts_and_harms_where_there_are_none(
    structure, low, high
):
    parts = chronological(series(structure))
    train, test = (forecast_windows(part, 72, 24, stride=2) for part in (parts.train, parts.test))
    (x, now), (x_test, now_test) = least_squares(train), least_squares(test)
    change = x_test @ np.linalg.lstsq(x, train["target"] - now, rcond=None)[0]
    naive, line = (((test["target"] - now_test - said) ** 2).mean() for said in (0.0, change))
    assert low < line / naive < high


def test_a_function_of_the_seed():
    np.testing.assert_array_equal(series(True, 100, 1), series(True, 100, 1))
    assert (series(True, 100, 1) != series(True, 100, 2)).all(1).any()


@pytest.mark.parametrize("fractions", [(0.7, 0.15), (0.5, 0.2)])
def test_chronological_parts_are_in_order_on_the_first_ones_scale(fractions):
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
            int(RANDOM.randint(1, top)) for top in (40, 4, 9, 6, 5)
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


def test_the_numbers_of_seed_0_stay_what_they_are():
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
            "fractions: got (0.9, 0.1), allowed: shares that leave no part of 8 rows empty",
        ),
        (
            lambda: chronological(VALUES, (0.0, 0.5)),
            "fractions: got (0.0, 0.5), allowed: shares that leave no part of 8 rows empty",
        ),
    ],
)
def test_bad_series(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line
