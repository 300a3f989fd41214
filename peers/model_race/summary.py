"""Ours over llama.cpp, column by column, with intervals over launches.

A launch of a column is a process of each, one after the other in an order that is drawn. Its value is the logarithm of llama.cpp's
median time over ours; the interval is Yuen's (analysis/estimate/trimmed_mean.py), with 5 % shared by all columns. A single launch
gives an estimate without an interval.
"""

from __future__ import annotations

import csv
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

from analysis.estimate.paired_statistics import Interval, interval_of
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.show.text_table import markdown_table
from peers.model_race.columns import COLUMNS, Column

OURS, LLAMA = "ours", "llama.cpp"
_ERROR = 0.05
_MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    launch: int
    column: str
    contestant: str
    way: str  # of llama.cpp
    place: int  # in the launch: 0 ran first
    round: int
    time_s: float
    peak_rss_bytes: int


_FIELDS = tuple(Sample.__dataclass_fields__)


def read_samples(path: Path) -> list[Sample]:
    """None if there is no file."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Sample(
                int(row["launch"]), row["column"], row["contestant"], row["way"], int(row["place"]), int(row["round"]),
                float(row["time_s"]), int(row["peak_rss_bytes"]),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Whole, or not at all."""
    part = path.with_suffix(".part")
    with open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_FIELDS)
        writer.writerows([getattr(sample, name) for name in _FIELDS] for sample in samples)
    part.rename(path)


@dataclass(frozen=True)
class ColumnResult:
    column: Column
    launches: int
    ours: float  # tokens a second, median over launches
    llama: float
    ratio: Interval  # of the rates, ours over llama.cpp's
    way: str  # of llama.cpp
    ours_rss: int  # bytes, the most of any launch
    llama_rss: int

    @property
    def is_ahead(self) -> bool:
        return self.launches > 1 and self.ratio.low > 1


def results(samples: Sequence[Sample]) -> list[ColumnResult]:
    """Of the columns that both ran."""
    by_column: dict[str, list[Sample]] = {}
    for sample in samples:
        by_column.setdefault(sample.column, []).append(sample)
    columns = [column for column in COLUMNS if {OURS, LLAMA} == {sample.contestant for sample in by_column.get(column.name, ())}]
    return [_result(column, by_column[column.name], len(columns)) for column in columns]


def _medians(samples: Iterable[Sample], contestant: str) -> dict[int, float]:
    """By launch."""
    times: dict[int, list[float]] = {}
    for sample in samples:
        if sample.contestant == contestant:
            times.setdefault(sample.launch, []).append(sample.time_s)
    return {launch: statistics.median(found) for launch, found in times.items()}


def _result(column: Column, samples: Sequence[Sample], columns: int) -> ColumnResult:
    ours, llama = _medians(samples, OURS), _medians(samples, LLAMA)
    logs = [math.log(llama[launch] / ours[launch]) for launch in sorted(ours)]
    if len(logs) > 1:
        ratio = interval_of(TrimmedEstimate(logs, len(logs)), error=_ERROR / (2 * columns))
    else:
        ratio = Interval(0.0, math.exp(logs[0]), math.inf)
    tokens = column.tokens if column.phase == "prefill" else 1
    most = {who: max(sample.peak_rss_bytes for sample in samples if sample.contestant == who) for who in (OURS, LLAMA)}
    return ColumnResult(
        column,
        len(logs),
        tokens / statistics.median(ours.values()),
        tokens / statistics.median(llama.values()),
        ratio,
        next(sample.way for sample in samples if sample.contestant == LLAMA),
        most[OURS],
        most[LLAMA],
    )


def table(found: Sequence[ColumnResult]) -> list[str]:
    """Markdown."""
    header = ["weights", "phase", "tokens", "ours, tokens/s", "llama.cpp", "ours over it", "its fastest way", "memory, MiB", "its"]
    rows = [
        [
            result.column.dtype,
            result.column.phase,
            str(result.column.tokens),
            f"{result.ours:.1f}",
            f"{result.llama:.1f}",
            str(result.ratio) if result.launches > 1 else f"{result.ratio.centre:.3f} ~",
            f"`{result.way}`",
            f"{result.ours_rss / _MIB:.0f}",
            f"{result.llama_rss / _MIB:.0f}",
        ]
        for result in found
    ]
    return markdown_table(header, rows)
