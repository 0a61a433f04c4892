"""Ratios, means and thresholds, computed from the measured rates."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from contenders.workloads import WORKLOADS, Workload

JAXDL = "jaxdl"
ROOFLINE = "roofline"


class Row(NamedTuple):
    """The measurements of one workload.

    Attributes:
      workload: the workload's name.
      rates: examples per second in each round, by contender; FLOP per second for the roofline.
      errors: the reason of each contender that has no rates.
      devices: the device of each contender.
    """

    workload: str
    rates: Mapping[str, Sequence[float]]
    errors: Mapping[str, str]
    devices: Mapping[str, str]

    def rate(self, contender: str, of: Callable = statistics.median) -> float:
        """Returns a contender's rate over the rounds; NaN if it did not run."""
        if contender not in self.rates:
            return math.nan
        return of(self.rates[contender])

    def ratio(self, peer: str, of: Callable = statistics.median) -> float:
        """Returns jaxdl's rate divided by a peer's."""
        return self.rate(JAXDL, of) / self.rate(peer, of)

    def fraction(self, of: Callable = statistics.median) -> float:
        """Returns the FLOP per second of jaxdl's training divided by those of a matrix product."""
        return self.rate(JAXDL, of) * WORKLOADS[self.workload].flops / self.rate(ROOFLINE, of)


class Check(NamedTuple):
    """A measured value and its threshold.

    Attributes:
      what: the name of the measured value.
      value: the measured value.
      threshold: the value to reach.
      most: if True, `threshold` is the largest allowed value, otherwise the smallest.
    """

    what: str
    value: float
    threshold: float
    most: bool = False

    @property
    def passed(self) -> bool:
        """True if the value reaches the threshold."""
        if self.most:
            return self.value <= self.threshold
        return self.value >= self.threshold

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        sign = "<=" if self.most else ">="
        return f"{verdict}  {self.what:<62} {self.value:6.2f}  {sign} {self.threshold}"


def geometric_mean(rows: Sequence[Row], peer: str) -> float:
    """Returns the geometric mean of jaxdl's ratios to a peer.

    It covers the workloads with one seed that both ran, and is NaN if there are none.
    """
    ratios = [row.ratio(peer) for row in rows if WORKLOADS[row.workload].seeds == 1]
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    if not known:
        return math.nan
    return statistics.geometric_mean(known)


def checks(rows: Sequence[Row]) -> list[Check]:
    """Returns the checks whose contenders ran; all compare medians."""
    results = [check for row in rows for check in _row_checks(row, WORKLOADS[row.workload])]
    results += [
        Check("geometric mean, relative to Keras", geometric_mean(rows, "keras"), 2.0),
        Check("geometric mean, relative to PyTorch eager", geometric_mean(rows, "torch"), 1.3),
    ]
    return [check for check in results if not math.isnan(check.value)]


#: The smallest allowed fraction of the roofline.
ROOFLINES = {"mlp-128": 0.85, "cnn3-128": 0.55}


def _row_checks(row: Row, workload: Workload) -> Iterator[Check]:
    name = row.workload
    is_cnn = workload.network.startswith("cnn")
    least_linen = 1.0
    least_torch = 0.9
    most_cost = 0.7
    if is_cnn:
        least_linen = 2.2
        most_cost = 1.0
    if workload.batch_size == 32:
        least_torch = 1.5
    if name == "lstm-128":
        least_torch = 1.0

    yield Check(f"{name}, relative to Linen and Optax", row.ratio("linen"), least_linen)
    yield Check(f"{name}, relative to PyTorch eager", row.ratio("torch"), least_torch)
    yield Check(f"{name}, training loop, relative to single steps", row.ratio("step"), 1.0)
    sharded = 1 / row.ratio("sharded")
    yield Check(f"{name}, sharded over one device, relative to single", sharded, 0.99)
    # The MLP has no such threshold, because its step and the reader compete for the same cores.
    if is_cnn:
        streamed = 1 / row.ratio("streamed")
        yield Check(f"{name}, streamed, relative to resident", streamed, 0.9)
    if name in ROOFLINES:
        yield Check(f"{name}, fraction of the roofline", row.fraction(), ROOFLINES[name])
    if workload.seeds > 1:
        cost = 1 / row.ratio("alone")
        yield Check(f"{name}, cost per seed, relative to one seed", cost, most_cost, most=True)
