"""A made-up weather station, and how a time series is cut into parts and windows."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least

#: The channels of `series`, with their units.
CHANNELS = ("temperature (°C)", "pressure (hPa)", "humidity (%)")
#: Hours from a front's sign in the pressure to the one in the humidity, and to the front itself, by its kind.
TELLS = 6
ARRIVES = np.array([30, 54])


class Parts(NamedTuple):
    """A series cut in three, in the order of time; `value = part * std + mean` gives the units back."""

    train: Float[np.ndarray, "A C"]
    validation: Float[np.ndarray, "B C"]
    test: Float[np.ndarray, "D C"]
    mean: Float[np.ndarray, " C"]
    std: Float[np.ndarray, " C"]


def series(structure: bool, hours: int = 24 * 420, seed: int = 0) -> Float[np.ndarray, "T C"]:
    """Hourly temperature, pressure and humidity with fronts that announce themselves days before.

    Front k has a strength a_k (uniform in 4 to 8 °C, warm or cold), a kind z_k in {0, 1} and its sign at
    hour s_k; then t hours after midnight of the first of January

        temperature_t = 10 - 9 cos(2 pi t / 8766) - 4 cos(2 pi (t - 4) / 24) + F_t + A_t(0.9, 0.2)
        F_t           = exp(-1/48) F_{t-1} + sum_k a_k [t = s_k + 30 + 24 z_k]
        pressure_t    = 1013 - 1.5 sum_k a_k b(t - s_k) + A_t(0.99, 0.25)
        humidity_t    = 60 + 5 cos(2 pi (t - 4) / 24) + 15 sum_k (2 z_k - 1) b(t - s_k - 6) + A_t(0.9, 0.5)
        s_k           = s_{k-1} + 24 + n_k,    n_k the whole part of an exponential number with mean 24

    with b(x) = exp(-x^2 / 18) for |x| <= 12, else 0, and A_t(c, d) = c A_{t-1} + d e_t, e_t standard normal,
    one such process for each channel; F, A and s are 0 before the first. The pressure tells how much, the
    humidity 6 hours later when: a front is known 24 hours before it comes, from signs that are up to
    54 hours old, and only both of them together tell it. 24 hours ahead, "as now" has a mean squared error
    of about 16 °C^2, who knows all that can be known 0.2.

    Without structure, pressure and humidity are the same, and

        temperature_t = temperature_{t-1} + 0.1 e_t,    temperature_{-1} = 10

    a random walk that depends on nothing: the best forecast, whatever is known, is "as now", with a mean
    squared error of 0.01 °C^2 per hour ahead.

    Args:
      structure: whether there is something to be learned.
      hours: T, at least 1.
      seed: of all that is random.

    Returns:
      `[T, 3]` float32, the channels as in `CHANNELS`.

    Raises:
      InputError: no hours, or a negative seed.

    Example:
      >>> series(True, hours=48).shape
      (48, 3)

    Source: none; the channels are those of the weather station in Jena that Chollet, "Deep Learning with
    Python", 2nd edition, 2021, chapter 10, forecasts.
    """
    at_least("hours", hours, 1)
    at_least("seed", seed, 0)
    draw = np.random.RandomState(seed)
    t = np.arange(hours)
    noise = draw.standard_normal((3, hours))
    sign, strength, kind = _fronts(hours, draw)
    day = np.cos(2 * np.pi * (t - 4) / 24)
    arrived = _recursion(np.exp(-1 / 48), _impulses(hours, sign + ARRIVES[kind], strength))
    temperature = (
        10 - 9 * np.cos(2 * np.pi * t / 8766) - 4 * day + arrived + _recursion(0.9, 0.2 * noise[0])
    )
    if not structure:
        temperature = 10 + np.cumsum(0.1 * noise[0])
    pressure = 1013 - 1.5 * _bumps(hours, sign, strength) + _recursion(0.99, 0.25 * noise[1])
    humidity = (
        60
        + 5 * day
        + 15 * _bumps(hours, sign + TELLS, 2 * kind - 1)
        + _recursion(0.9, 0.5 * noise[2])
    )
    return np.stack([temperature, pressure, humidity], 1).astype(np.float32)


def chronological(
    values: Float[np.ndarray, "T C"], fractions: tuple[float, float] = (0.7, 0.15)
) -> Parts:
    """Cuts a series in three in the order of time, and puts every channel on the scale of the first part.

        part_c = (value_c - mean_c) / std_c

    Args:
      values: `[T, C]`.
      fractions: the shares of the training and the validation part; the rest is the test part.

    Returns:
      `(train, validation, test, mean, std)`, the parts float32; mean and deviation are the training part's, a
      channel that is constant there is only shifted.

    Raises:
      InputError: another shape, numbers that are not finite, shares that leave a part empty.

    Example:
      >>> parts = chronological(np.array([[1.0], [3.0], [5.0], [7.0]]), (0.5, 0.25))
      >>> parts.test.tolist(), parts.mean.tolist(), parts.std.tolist()
      ([[5.0]], [2.0], [1.0])
    """
    values, size = _checked(values), len(values)
    if not all(0 <= share <= 1 for share in fractions):
        raise InputError("fractions", fractions, "two shares in [0, 1]")
    first = round(fractions[0] * size)
    second = round(sum(fractions) * size)
    if not 0 < first < second < size:
        raise InputError("fractions", fractions, f"shares that leave no part of {size} rows empty")
    train = values[:first].astype(np.float64)
    mean = train.mean(0)
    std = np.where(np.ptp(train, 0) == 0, 1.0, train.std(0))
    moved = ((values - mean) / std).astype(np.float32)
    return Parts(moved[:first], moved[first:second], moved[second:], mean, std)


def forecast_windows(
    values: Float[np.ndarray, "T C"],
    history: int,
    ahead: int,
    target: int = 0,
    stride: int = 1,
    name: str = "forecast",
) -> Dataset:
    """The windows of a series, each with what one channel is to be some steps after its end.

        input_i = values[i stride : i stride + history],    target_i = values[i stride + history - 1 + ahead, target]

    Args:
      values: `[T, C]`, at least `history + ahead` rows.
      history: how many steps a window has, at least 1.
      ahead: how many steps after its last one the target is, at least 1.
      target: the channel to forecast.
      stride: how many steps from one window to the next, at least 1.
      name: what the set is called.

    Returns:
      `input [N, history, C]` float32 and `target [N, 1]` float32, in the order of time.

    Raises:
      InputError: a series that is too short, numbers out of their range or not finite.

    Example:
      >>> data = forecast_windows(np.arange(6.0)[:, None], history=3, ahead=2)
      >>> data["input"][..., 0].tolist(), data["target"].tolist()
      ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[4.0], [5.0]])
    """
    values = _checked(values)
    for field, value in (("history", history), ("ahead", ahead), ("stride", stride)):
        at_least(field, value, 1)
    if not 0 <= target < values.shape[1]:
        raise InputError("target", target, f"a channel in [0, {values.shape[1]})")
    if len(values) < history + ahead:
        raise InputError(
            "values rows", len(values), f"at least history + ahead = {history} + {ahead}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(values[:-ahead], history, 0)[::stride]
    found = values[history - 1 + ahead :: stride, target, None]
    arrays = {"input": windows.transpose(0, 2, 1), "target": found}
    return Dataset(
        {field: np.ascontiguousarray(x, np.float32) for field, x in arrays.items()}, name
    )


def _fronts(hours: int, draw: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The hour of each front's first sign, its strength and its kind; some come after the end."""
    count = hours // 24 + 1
    sign = np.cumsum(24 + draw.exponential(24, count).astype(np.int64))
    strength = draw.uniform(4, 8, count) * draw.choice([-1, 1], count)
    return sign, strength, draw.randint(0, 2, count)


def _impulses(hours: int, when: np.ndarray, what: np.ndarray) -> Float[np.ndarray, " T"]:
    found = np.zeros(hours)
    inside = when < hours
    np.add.at(found, when[inside], what[inside])
    return found


def _bumps(hours: int, when: np.ndarray, height: np.ndarray) -> Float[np.ndarray, " T"]:
    bump = np.exp(-(np.arange(-12, 13) ** 2) / 18)
    # A bump begins before its middle, so one just after the end is seen.
    return np.convolve(_impulses(hours + 12, when, height), bump)[12 : 12 + hours]


def _recursion(factor: float, added: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """x_t = factor x_{t-1} + added_t."""
    return np.array(
        list(itertools.accumulate(added.tolist(), lambda x, new: float(factor) * x + new))
    )


def _checked(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T C"]:
    values = np.asarray(values)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError("values shape", values.shape, "[T, C], not empty")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        row = int(finite.argmin())
        raise InputError(f"values[{row}]", values[row].tolist(), "finite numbers")
    return values
