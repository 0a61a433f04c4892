"""What the rates say: ratios, means, and the bars."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from contenders.workloads import WORKLOADS, Workload

OURS = "jaxdl"
ROOFLINE = "roofline"


class Row(NamedTuple):
    """What one workload gave.

    Attributes:
      workload: its name.
      rates: examples per second in each round, by contender; for the roofline FLOP per second.
      errors: why a contender has none.
      devices: what each ran on.
    """

    workload: str
    rates: Mapping[str, Sequence[float]]
    errors: Mapping[str, str]
    devices: Mapping[str, str]

    def rate(self, contender: str, of: Callable = statistics.median) -> float:
        """Of the rounds; NaN if it did not run."""
        return of(self.rates[contender]) if contender in self.rates else math.nan

    def ratio(self, peer: str, of: Callable = statistics.median) -> float:
        """jaxdl's rate over a peer's."""
        return self.rate(OURS, of) / self.rate(peer, of)

    def fraction(self, of: Callable = statistics.median) -> float:
        """FLOPs of the network that jaxdl computes per second over those of a matrix product."""
        return self.rate(OURS, of) * WORKLOADS[self.workload].flops / self.rate(ROOFLINE, of)


class Check(NamedTuple):
    """A bar and what was found.

    Attributes:
      what: is compared.
      value: what it was.
      bar: what it has to reach.
      most: whether the bar is the most that is allowed, not the least.
    """

    what: str
    value: float
    bar: float
    most: bool = False

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.value <= self.bar if self.most else self.value >= self.bar

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        sign = "<=" if self.most else ">="
        return f"{verdict}  {self.what:<62} {self.value:6.2f}  {sign} {self.bar}"


def geometric_mean(rows: Sequence[Row], peer: str) -> float:
    """Of jaxdl's ratios to a peer, over the workloads that both ran with one seed; NaN if there are none."""
    ratios = [row.ratio(peer) for row in rows if WORKLOADS[row.workload].seeds == 1]
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    return statistics.geometric_mean(known) if known else math.nan


def checks(rows: Sequence[Row]) -> list[Check]:
    """The bars, as far as what they compare ran; all on medians."""
    found = [check for row in rows for check in _of_one(row, WORKLOADS[row.workload])]
    found += [
        Check("geometric mean, of Keras", geometric_mean(rows, "keras"), 2.0),
        Check("geometric mean, of PyTorch eager", geometric_mean(rows, "torch"), 1.3),
    ]
    return [check for check in found if not math.isnan(check.value)]


def _of_one(row: Row, workload: Workload) -> Iterator[Check]:
    name = row.workload
    is_cnn = workload.network.startswith("cnn")
    yield Check(f"{name}, of Linen and Optax", row.ratio("linen"), 2.2 if is_cnn else 1.0)
    yield Check(f"{name}, of PyTorch eager", row.ratio("torch"), _least_of_torch(workload))
    yield Check(f"{name}, inside the loop, of its own steps one by one", row.ratio("step"), 1.0)
    yield Check(f"{name}, sharded over one device, of single", 1 / row.ratio("sharded"), 0.99)
    if is_cnn:  # reading takes one of the cores that a small network's step needs too
        yield Check(f"{name}, streamed, of resident", 1 / row.ratio("streamed"), 0.9)
    if name in ROOFLINES:
        yield Check(f"{name}, fraction of the roofline", row.fraction(), ROOFLINES[name])
    if workload.seeds > 1:
        what = f"{name}, cost per seed, of one alone"
        yield Check(what, 1 / row.ratio("alone"), 1.0 if is_cnn else 0.7, most=True)


#: The least fraction of the roofline.
ROOFLINES = {"mlp-128": 0.85, "cnn3-128": 0.55}


def _least_of_torch(workload: Workload) -> float:
    if workload.name == "lstm-128":
        return 1.0
    return 1.5 if workload.batch_size == 32 else 0.9
