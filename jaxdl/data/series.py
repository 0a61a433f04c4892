"""A simulated weather station, and the splitting of a time series into parts and windows."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least

#: The channels of `series`, with their units.
CHANNELS = ("temperature (°C)", "pressure (hPa)", "humidity (%)")

#: Hours from the pressure signal of a front to its humidity signal.
HUMIDITY_DELAY = 6

#: Hours from the pressure signal of a front to its arrival, by kind of front.
ARRIVAL_DELAYS = np.array([30, 54])


class Parts(NamedTuple):
    """A standardized series in three parts, in the order of time.

    The original values are `part * std + mean`.
    """

    train: Float[np.ndarray, "A C"]
    validation: Float[np.ndarray, "B C"]
    test: Float[np.ndarray, "D C"]
    mean: Float[np.ndarray, " C"]
    std: Float[np.ndarray, " C"]


def series(structure: bool, hours: int = 24 * 420, seed: int = 0) -> Float[np.ndarray, "T C"]:
    """Simulates hourly temperature, pressure and humidity, with weather fronts.

    Pressure and humidity signal a front before it changes the temperature. Front k has a strength
    a_k, uniform in 4 to 8 °C and of either sign, and a kind z_k in {0, 1}. Its first signal is at
    hour s_k. At t hours after midnight of January 1:

        temperature_t = 10 - 9 cos(2 pi t / 8766) - 4 day_t + F_t + A_t(0.9, 0.2)
        pressure_t    = 1013 - 1.5 sum_k a_k b(t - s_k) + A_t(0.99, 0.25)
        humidity_t    = 60 + 5 day_t + 15 sum_k (2 z_k - 1) b(t - s_k - 6) + A_t(0.9, 0.5)
        day_t         = cos(2 pi (t - 4) / 24)
        F_t           = exp(-1/48) F_{t-1} + sum_k a_k [t = s_k + 30 + 24 z_k]
        s_k           = s_{k-1} + 24 + n_k

    Here n_k is the integer part of an exponential random number with mean 24. The signal is
    b(x) = exp(-x^2 / 18) for |x| <= 12, else 0. The noise is A_t(c, d) = c A_{t-1} + d e_t with
    standard normal e_t, independent for each channel. F, A and s are 0 before the first value.

    The pressure signal determines the strength of a front. The humidity signal, 6 hours later,
    determines its time of arrival. A front can therefore be predicted 24 hours ahead, but only from
    both signals together. The pressure signal precedes the arrival by up to 54 hours. For a
    forecast 24 hours ahead, the persistence baseline has a mean squared error of about 16 °C^2. The
    best possible forecast has about 0.2 °C^2.

    Without structure, pressure and humidity are the same, and

        temperature_t = temperature_{t-1} + 0.1 e_t,    temperature_{-1} = 10

    This random walk is independent of the other channels. The persistence baseline is then the best
    possible forecast, with a mean squared error of 0.01 °C^2 per hour ahead.

    Args:
      structure: if True, the temperature can be predicted; otherwise it is a random walk.
      hours: T, at least 1.
      seed: seed of all random numbers.

    Returns:
      `[T, 3]` float32, with the channels of `CHANNELS`.

    Raises:
      InputError: no hours, or a negative seed.

    Example:
      >>> series(True, hours=48).shape
      (48, 3)

    Source: none. The channels are three of those of the weather station in Jena that Chollet, "Deep
    Learning with Python", 2nd edition, 2021, chapter 10, forecasts.
    """
    at_least("hours", hours, 1)
    at_least("seed", seed, 0)
    random = np.random.RandomState(seed)
    t = np.arange(hours)
    noise = random.standard_normal((3, hours))
    signal, strength, kind = _fronts(hours, random)
    day = np.cos(2 * np.pi * (t - 4) / 24)
    year = np.cos(2 * np.pi * t / 8766)
    arrivals = _impulses(hours, signal + ARRIVAL_DELAYS[kind], strength)
    fronts = _recursion(np.exp(-1 / 48), arrivals)
    temperature = 10 - 9 * year - 4 * day + fronts + _recursion(0.9, 0.2 * noise[0])
    if not structure:
        temperature = 10 + np.cumsum(0.1 * noise[0])
    strengths = _bumps(hours, signal, strength)
    pressure = 1013 - 1.5 * strengths + _recursion(0.99, 0.25 * noise[1])
    kinds = _bumps(hours, signal + HUMIDITY_DELAY, 2 * kind - 1)
    humidity = 60 + 5 * day + 15 * kinds + _recursion(0.9, 0.5 * noise[2])
    return np.stack([temperature, pressure, humidity], 1).astype(np.float32)


def chronological(
    values: Float[np.ndarray, "T C"], fractions: tuple[float, float] = (0.7, 0.15)
) -> Parts:
    """Splits a series into three parts in the order of time, and standardizes each channel.

        part_c = (value_c - mean_c) / std_c

    Mean and standard deviation are those of the training part. For a channel that is constant
    there, `std` is 1.

    Args:
      values: `[T, C]`.
      fractions: fractions of the training and the validation part; the rest is the test part.

    Returns:
      `(train, validation, test, mean, std)`, with the parts in float32.

    Raises:
      InputError: another shape, values that are not finite, or fractions that leave a part empty.

    Example:
      >>> parts = chronological(np.array([[1.0], [3.0], [5.0], [7.0]]), (0.5, 0.25))
      >>> parts.test.tolist(), parts.mean.tolist(), parts.std.tolist()
      ([[5.0]], [2.0], [1.0])
    """
    values = _checked_values(values)
    size = len(values)
    if not all(0 <= fraction <= 1 for fraction in fractions):
        raise InputError("fractions", fractions, "two numbers in [0, 1]")
    first = round(fractions[0] * size)
    second = round(sum(fractions) * size)
    if not 0 < first < second < size:
        raise InputError(
            "fractions", fractions, f"fractions that leave all parts of {size} rows non-empty"
        )
    train = values[:first].astype(np.float64)
    mean = train.mean(0)
    std = np.where(np.ptp(train, 0) == 0, 1.0, train.std(0))
    scaled = ((values - mean) / std).astype(np.float32)
    return Parts(scaled[:first], scaled[first:second], scaled[second:], mean, std)


def forecast_windows(
    values: Float[np.ndarray, "T C"],
    history: int,
    ahead: int,
    target: int = 0,
    stride: int = 1,
    name: str = "forecast",
) -> Dataset:
    """Returns the windows of a series, each with a later value of one channel as its target.

        input_i  = values[i stride : i stride + history]
        target_i = values[i stride + history - 1 + ahead, target]

    Args:
      values: `[T, C]`, at least `history + ahead` rows.
      history: number of steps of a window, at least 1.
      ahead: number of steps from the last one of the window to the target, at least 1.
      target: the channel to forecast.
      stride: number of steps from one window to the next, at least 1.
      name: name of the set in results.

    Returns:
      A set with `input [N, history, C]` float32 and `target [N, 1]` float32, in the order of time.

    Raises:
      InputError: a series that is too short, arguments out of range, or values that are not finite.

    Example:
      >>> data = forecast_windows(np.arange(6.0)[:, None], history=3, ahead=2)
      >>> data["input"][..., 0].tolist(), data["target"].tolist()
      ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[4.0], [5.0]])
    """
    values = _checked_values(values)
    at_least("history", history, 1)
    at_least("ahead", ahead, 1)
    at_least("stride", stride, 1)
    if not 0 <= target < values.shape[1]:
        raise InputError("target", target, f"a channel in [0, {values.shape[1]})")
    if len(values) < history + ahead:
        raise InputError(
            "values rows", len(values), f"at least history + ahead = {history} + {ahead}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(values[:-ahead], history, 0)[::stride]
    targets = values[history - 1 + ahead :: stride, target, None]
    arrays = {
        "input": np.ascontiguousarray(windows.transpose(0, 2, 1), np.float32),
        "target": np.ascontiguousarray(targets, np.float32),
    }
    return Dataset(arrays, name)


def forecast_sets(
    values: Float[np.ndarray, "T C"],
    history: int,
    ahead: int,
    stride: int = 1,
    fractions: tuple[float, float] = (0.7, 0.15),
    name: str = "forecast",
) -> tuple[dict[str, Dataset], float, float]:
    """Returns the windows of three parts of a series, to forecast its first channel.

    The parts follow each other in time (`chronological`), and no window crosses their borders.

    Args:
      values: `[T, C]`.
      history: number of steps of a window, at least 1.
      ahead: number of steps from the last one of the window to the target, at least 1.
      stride: number of steps from one training window to the next. It is 1 for the other parts.
      fractions: fractions of the training and the validation part; the rest is the test part.
      name: name of the sets in results.

    Returns:
      `(sets, mean, std)`: the sets `train`, `validation` and `test` of `forecast_windows`, and the
      scale of the targets. A target in the unit of the series is `target * std + mean`. The
      `scaling` of the sets has mean and standard deviation of all channels.

    Raises:
      InputError: see `chronological` and `forecast_windows`.

    Example:
      >>> sets, mean, std = forecast_sets(series(True, hours=480), history=48, ahead=24, stride=2)
      >>> {part: each["input"].shape for part, each in sets.items()}
      {'train': (133, 48, 3), 'validation': (1, 48, 3), 'test': (1, 48, 3)}
    """
    parts = chronological(values, fractions)
    strides = {"train": stride, "validation": 1, "test": 1}
    sets = {
        part: forecast_windows(getattr(parts, part), history, ahead, stride=each, name=name)
        for part, each in strides.items()
    }
    scaling = {
        "input": ((parts.mean, parts.std),),
        "target": ((parts.mean[:1], parts.std[:1]),),
    }
    sets = {part: dataclasses.replace(each, scaling=scaling) for part, each in sets.items()}
    return sets, float(parts.mean[0]), float(parts.std[0])


def _fronts(hours: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the first signal, strength and kind of each front; some come after the end."""
    count = hours // 24 + 1
    signal = np.cumsum(24 + random.exponential(24, count).astype(np.int64))
    strength = random.uniform(4, 8, count) * random.choice([-1, 1], count)
    kind = random.randint(0, 2, count)
    return signal, strength, kind


def _impulses(hours: int, when: np.ndarray, heights: np.ndarray) -> Float[np.ndarray, " T"]:
    """Returns the sum of impulses of these heights at these hours, and 0 elsewhere."""
    total = np.zeros(hours)
    inside = when < hours
    np.add.at(total, when[inside], heights[inside])
    return total


def _bumps(hours: int, when: np.ndarray, heights: np.ndarray) -> Float[np.ndarray, " T"]:
    """Returns the sum of bumps of these heights at these hours."""
    bump = np.exp(-(np.arange(-12, 13) ** 2) / 18)
    # A bump begins 12 hours before its center, so those centered just after the end count too.
    return np.convolve(_impulses(hours + 12, when, heights), bump)[12 : 12 + hours]


def _recursion(factor: float, added: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """Returns x with x_t = factor x_{t-1} + added_t and x_{-1} = 0."""
    factor = float(factor)
    return np.array(list(itertools.accumulate(added.tolist(), lambda x, new: factor * x + new)))


def _checked_values(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T C"]:
    """Returns a series as an array; raises unless it is `[T, C]`, not empty and finite."""
    values = np.asarray(values)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError("values shape", values.shape, "[T, C], not empty")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        row = int(finite.argmin())
        raise InputError(f"values[{row}]", values[row].tolist(), "finite numbers")
    return values
