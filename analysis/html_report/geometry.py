"""Where a value stands on an axis, in per cent of its length, so that a drawing is as wide as the page allows.

Percentages leave text at the size of the page: nothing is scaled, and a drawing can be read at 400 pixels and in print.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

# Ends of an axis of ratios, and the ticks above 1; those below are their inverses.
_RATIO_AXES: Sequence[tuple[float, Sequence[float]]] = (
    (1.05, (1.02, 1.05)), (1.1, (1.05, 1.1)), (1.2, (1.1, 1.2)), (1.5, (1.2, 1.5)), (2, (1.4, 2)), (4, (2, 4)), (10, (3, 10)),
    (100, (10, 100)), (1e4, (100, 1e4)),
)  # fmt: skip
_SHARES = (5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 1000.0)  # ends of an axis of per cent
# Ticks of a decade, from coarse to fine.
_STEPS: Sequence[Sequence[float]] = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), [step / 10 for step in range(10, 100)])


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`; positions outside are put on its ends."""

    low: float
    high: float
    logarithmic: bool
    ticks: Sequence[Tick] = ()

    def at(self, value: float) -> float:
        """Per cent from the low end."""
        if self.logarithmic:
            share = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def with_ticks(self, values: Sequence[float]) -> Axis:
        ticks = [Tick(self.at(value), number(value)) for value in values if self.contains(value)]
        return Axis(self.low, self.high, self.logarithmic, ticks)


def number(value: float) -> str:
    """'512', '0.25', '1.5', '20000': no more digits than a tick needs."""
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) > 1 else f"{value:.2g}"


def ratio_axis(ratios: Sequence[float], ends: Sequence[float]) -> Axis:
    """Symmetric about 1: all ratios are on it, and the ends of most intervals."""
    inner = max((abs(math.log(ratio)) for ratio in ratios), default=0.0)
    spreads = sorted(abs(math.log(end)) for end in ends)
    outer = spreads[(3 * (len(spreads) - 1)) // 4] if spreads else 0.0
    wanted = max(1.02 * inner, min(outer, max(2 * inner, math.log(4))))
    limit, ticks = next((pair for pair in _RATIO_AXES if math.log(pair[0]) >= wanted), _RATIO_AXES[-1])
    axis = Axis(1 / limit, limit, True)
    return axis.with_ticks([*(1 / tick for tick in reversed(ticks)), 1.0, *ticks])


def log_axis(values: Sequence[float], padding: float = 0.08) -> Axis:
    """Around all values, with the coarsest round ticks of which there are three."""
    low, high = min(values), max(values)
    reach = max(math.log(high / low), math.log(2))
    axis = Axis(low / math.exp(padding * reach), high * math.exp(padding * reach), True)
    decades = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    found: list[float] = []
    for steps in _STEPS:
        found = [tick for decade in decades for step in steps if axis.contains(tick := step * 10.0**decade)]
        if len(found) >= 3:
            break
    return axis.with_ticks(found[:: max(1, math.ceil(len(found) / 7))])


def values_axis(values: Sequence[float]) -> Axis:
    """Logarithmic, with a tick at each value (lengths, ranks); fewer where they would not fit."""
    distinct = sorted(set(values))
    axis = log_axis(distinct)
    step = max(1, math.ceil(len(distinct) / 6))
    return axis.with_ticks(distinct[:: -step][::-1])


def share_axis(largest: float, least: float = 100.0) -> Axis:
    """Per cent from 0 to a little above `least`, or above what is larger."""
    high = next((limit for limit in _SHARES if limit >= max(0.99 * largest, least)), largest)
    return Axis(0.0, 1.06 * high, False).with_ticks([high * step / 4 for step in range(5)])
