"""Verdicts as JSON, for other programs (the paper's tables, figures, the website). results/README.md describes it."""

from __future__ import annotations

import json
import math
from typing import Any, Sequence

from analysis.estimate.looks import FAMILY_ERROR
from analysis.estimate.trimmed_mean import outlying
from analysis.judge.controls import ControlSummary
from analysis.judge.decisions import PairResult
from analysis.judge.regimes import CellResult, RegimePair, RegimeResult
from analysis.judge.verdicts import ClaimResult, RunVerdict, exit_code
from analysis.read.read_run import Run

SCHEMA_VERSION = 3
Pairs = Sequence[tuple[str, str]]


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: an open end of an interval (0 or infinite, as a ratio) is null."""
    return value if value and math.isfinite(value) else None


def _ends(ends: tuple[float, float] | None) -> list[float | None]:
    low, high = ends or (None, None)
    return [_finite(low), _finite(high)]


def pair_as_dict(result: PairResult, fast: str, slow: str) -> dict[str, Any]:
    found = result.estimate
    known = result.values.values()[: result.launches] if result.values is not None else []
    return {
        "fast": fast,
        "slow": slow,
        "word": str(result.word),
        "reason": result.reason,
        "flags": list(result.flags),
        "ratio": _finite(result.ratio),
        "interval": _ends(result.interval),
        "one_sided_error": result.level,
        "rounds": found.rounds if found else 0,
        "launches": result.launches,
        "outlying_launches": outlying(known),
        "method": found.method if found else "",
        "sensitivity": {how: _finite(ratio) for how, ratio in result.sensitivity().items()},
    }


def _cell_as_dict(cell: CellResult, pairs: Pairs) -> dict[str, Any]:
    return {
        "factors": dict(cell.factors),
        "word": str(cell.word),
        "pairs": [pair_as_dict(result, *pairs[index]) for index, result in sorted(cell.pairs.items())],
    }


def _regime_pair_as_dict(found: RegimePair, pair: tuple[str, str]) -> dict[str, Any]:
    return {
        "fast": pair[0],
        "slow": pair[1],
        "word": str(found.word),
        "ratio": _finite(found.ratio),
        "interval": _ends(found.interval),
        "launches": found.pooled.launches if found.pooled else 0,
        "cells": len(found.members),
    }


def _regime_as_dict(regime: RegimeResult, pairs: Pairs) -> dict[str, Any]:
    """Ratio, interval and launches of the regime itself where it has one pair; a chain has them by pair only."""
    found = [_regime_pair_as_dict(one, pairs[index]) for index, one in sorted(regime.pairs.items())]
    only = found[0] if len(pairs) == 1 and found else {"ratio": None, "interval": [None, None], "launches": None}
    return {
        "label": regime.label,
        "factors": dict(regime.factors),
        "word": str(regime.word),
        **{key: only[key] for key in ("ratio", "interval", "launches")},
        "pairs": found,
    }


def _controls_as_dict(controls: ControlSummary) -> dict[str, Any]:
    return {
        "count": controls.count,
        "at_the_same_ranks": len(controls.copies),
        "declared_different": len(controls.failed),
        "median_bias_percent": None if controls.median_bias is None else 100 * controls.median_bias,
        "standard_deviation_percent": 100 * controls.spread,
        "range_percent": [100 * controls.biases[0], 100 * controls.biases[-1]] if controls.biases else [None, None],
        "pairs": [
            {"factors": dict(r.comparison.factors), **pair_as_dict(r, *r.comparison.variants)} for r in controls.results
        ],
    }


def claim_as_dict(result: ClaimResult) -> dict[str, Any]:
    claim = result.claim
    bounds = {"min": claim.minimum, "max": claim.maximum} if claim.is_ratio else None
    return {
        "name": claim.name,
        "metric": claim.metric,
        "over": claim.over,
        "order": list(claim.order),
        "ratio_bounds": bounds,
        "where": {column: list(values) for column, values in claim.where.items()},
        "word": str(result.word),
        "reason": result.reason,
        "decided": len(result.decided),
        "voting": len(result.voting),
        "counts": {str(word): count for word, count in result.counts.items()},
        "regime_axes": list(result.axes),
        "regimes": [_regime_as_dict(regime, claim.pairs) for regime in result.regimes],
        "cells": [_cell_as_dict(cell, claim.pairs) for cell in result.cells],
    }


def report_as_json(run: Run, verdict: RunVerdict) -> str:
    report = {
        "schema_version": SCHEMA_VERSION,
        "experiment": run.experiment,
        "title": run.title,
        "git_revision": run.manifest.get("git_revision"),
        "git_dirty": run.manifest.get("git_dirty"),
        "margin": verdict.margin,
        "looks": list(verdict.looks),
        "launches": verdict.launches,
        "order_seed": run.plan.order_seed,
        "family_error": FAMILY_ERROR,
        "comparisons": verdict.cells_schedule.comparisons,
        "regime_tests": verdict.regimes_schedule.comparisons,
        "exit_code": exit_code(verdict.claims),
        "controls": _controls_as_dict(verdict.controls),
        "claims": [claim_as_dict(result) for result in verdict.claims],
    }
    return json.dumps(report, indent=2, allow_nan=False)
