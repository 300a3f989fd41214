"""Verdicts as JSON, for other programs (the paper's tables, figures, the website)."""

from __future__ import annotations

import json
import math
from typing import Any, Sequence

from analysis.estimate import paired_statistics as stats
from analysis.judge.verdicts import CellResult, ClaimResult, ControlSummary, PairResult, exit_code
from analysis.read.read_run import Run

SCHEMA_VERSION = 1


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: an open end of an interval (0 or infinite, as a ratio) is null."""
    return value if value and math.isfinite(value) else None


def pair_as_dict(result: PairResult, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    fast, slow = pairs[result.comparison.pair]
    low, high = result.interval or (None, None)
    return {
        "fast": fast,
        "slow": slow,
        "verdict": str(result.verdict),
        "reason": result.reason,
        "flags": list(result.flags),
        "ratio": _finite(result.ratio),
        "ratio_low": _finite(low),
        "ratio_high": _finite(high),
        "detectable_ratio": _finite(result.detectable),
        "rounds": result.estimate.rounds if result.estimate else 0,
        "launches": result.estimate.launches if result.estimate else 0,
        "method": result.estimate.method if result.estimate else "",
    }


def _cell_as_dict(cell: CellResult, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "factors": dict(cell.factors),
        "verdict": str(cell.verdict),
        "pairs": [pair_as_dict(result, pairs) for _, result in sorted(cell.pairs.items())],
    }


def _controls_as_dict(controls: ControlSummary, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "count": len(controls.measured),
        "intervals_including_1": controls.including_one,
        "failed": len(controls.failed),
        "biased_within_margin": len(controls.biased),
        "median_bias": controls.median_bias,
        "cells": [
            {"factors": dict(r.comparison.factors), **pair_as_dict(r, pairs)} for r in controls.results
        ],
    }  # fmt: skip


def claim_as_dict(result: ClaimResult) -> dict[str, Any]:
    claim = result.claim
    bounds = {"min": claim.minimum, "max": claim.maximum} if claim.is_ratio else None
    return {
        "claim": claim.name,
        "metric": claim.metric,
        "over": claim.over,
        "order": list(claim.order),
        "ratio_bounds": bounds,
        "where": {column: list(values) for column, values in claim.where.items()},
        "verdict": str(result.verdict),
        "reason": result.reason,
        "counts": {str(verdict): count for verdict, count in result.counts.items()},
        "cells": [_cell_as_dict(cell, claim.pairs) for cell in result.cells],
        "controls": _controls_as_dict(result.controls, claim.pairs),
    }


def report_as_json(run: Run, results: Sequence[ClaimResult]) -> str:
    report = {
        "schema_version": SCHEMA_VERSION,
        "experiment": run.experiment,
        "title": run.title,
        "git_revision": run.manifest.get("git_revision"),
        "git_dirty": run.manifest.get("git_dirty"),
        "margin": stats.MARGIN,
        "confidence": 1 - 2 * stats.ONE_SIDED_ERROR,
        "power": stats.POWER,
        "exit_code": exit_code(results),
        "claims": [claim_as_dict(result) for result in results],
    }
    return json.dumps(report, indent=2, allow_nan=False)
