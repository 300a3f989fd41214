"""How well a cost model predicted what was measured, and what its choice cost.

A run with automatic variants has in its manifest, for each of them, the candidates with predicted times. Where the same cell
measured a candidate, under whatever label, the two are compared. The regret of a choice is its measured time over the
shortest of the candidates that were measured in the cell, minus 1: at least 0, and 0 where the choice was right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import numpy as np

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run


@dataclass(frozen=True)
class Prediction:
    """A candidate in a cell: seconds."""

    case: str  # the automatic one
    factors: Mapping[str, str]  # of the cell
    variant: str  # spelled out
    predicted_s: float
    measured_s: float

    @property
    def error(self) -> float:
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class ChoiceResult:
    """What was chosen for a case."""

    case: str
    chosen: str
    fastest: str  # of the candidates that were measured
    regret: float


@dataclass(frozen=True)
class Summary:
    median_error: float  # of absolute errors
    error_at_90_percent: float
    within: float  # share of predictions


def spelled_out(case: Case) -> str:
    """The variant that ran, as the manifest spells candidates; tiles are left out."""
    factors = case.factors
    return f"{factors['strategy']}({factors['exchange']},{factors['sharding']})+{factors['algorithm']}"


def _measured(run: Run) -> dict[tuple[str, str], float]:
    """Seconds by cell and variant: the median over launches (and labels) of the median in a launch."""
    times: dict[tuple[str, str], list[float]] = {}
    for case in run.cases:
        median = case.summary["time_median_s"]
        if "grid=" in case.factors["variant"]:
            continue  # no candidate, and spelled like one
        if case.status == "ok" and median is not None and not case.oversubscribed:
            times.setdefault((case.cell, spelled_out(case)), []).append(median)
    return {key: float(np.median(values)) for key, values in times.items()}


def _ranking(run: Run, case: str, choice: Any) -> dict[str, float]:
    """Predicted seconds by variant."""
    where = f"{run.directory / 'manifest.json'}: choices: {case}"
    ranking = choice.get("ranking") if isinstance(choice, dict) else None
    if not isinstance(ranking, list):
        raise UnusableInput(f"{where} has no list 'ranking'")
    found: dict[str, float] = {}
    for entry in ranking:
        fields: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
        variant, seconds = fields.get("variant"), fields.get("predicted_s")
        if not isinstance(variant, str) or not isinstance(seconds, float) or not math.isfinite(seconds) or seconds <= 0:
            raise UnusableInput(f"{where}: an entry of 'ranking' has no 'variant' or no positive 'predicted_s'")
        found[variant] = seconds
    return found


def _choices(run: Run) -> Mapping[str, Any]:
    choices = run.manifest.get("choices", {})
    if not isinstance(choices, dict):
        raise UnusableInput(f"{run.directory / 'manifest.json'}: 'choices' is no object")
    return choices


def predictions(run: Run) -> list[Prediction]:
    """Of every candidate that was measured in its cell."""
    measured = _measured(run)
    factors = {case.cell: case.factors for case in run.cases}
    found = []
    for case, choice in _choices(run).items():
        cell = case.split("/")[0]
        for variant, seconds in _ranking(run, case, choice).items():
            if (cell, variant) in measured:
                found.append(Prediction(case, factors[cell], variant, seconds, measured[cell, variant]))
    return found


def results_of_choices(run: Run) -> list[ChoiceResult]:
    """Of every case whose chosen variant was measured."""
    found = []
    by_case: dict[str, dict[str, float]] = {}
    for prediction in predictions(run):
        by_case.setdefault(prediction.case, {})[prediction.variant] = prediction.measured_s
    for case, times in by_case.items():
        chosen = str(_choices(run)[case].get("variant"))
        if chosen in times:
            fastest = min(times, key=lambda variant: times[variant])
            found.append(ChoiceResult(case, chosen, fastest, times[chosen] / times[fastest] - 1))
    return found


def summary(errors: Sequence[float], limit: float) -> Summary:
    """Of signed errors, one at least; `limit`: the absolute error that counts as within."""
    absolute = np.abs(np.asarray(errors))
    return Summary(float(np.median(absolute)), float(np.quantile(absolute, 0.9)), float(np.mean(absolute <= limit)))
