"""What the ReFrame test reads from a run directory; here, so that it can be tested where ReFrame is not installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from analysis.read.csv_table import UnusableInput, read_table
from analysis.read.json_file import read_json_object

# A case that ran out of time has fewer rounds, on a busy machine say: as accurate as any, and its time is told by ratios.
_MEASURED = ("ok", "time_limited")
_COLUMNS = ("case", "status", "message", "pct_peak", "rel_l2_err", "tolerance_rel_l2", "nonfinite")


def problem_of(run_directory: Path) -> str | None:
    """Why the run is no good: a case that was not measured, or is not accurate. None if nothing is wrong."""
    try:
        rows = read_table(run_directory / "cases.csv", _COLUMNS).rows
        if not rows:
            return "cases.csv has no case"
        for row in rows:
            if row.values["status"] not in _MEASURED:
                return f"{row.values['case']}: {row.values['status']}: {row.values['message']}"
            error, tolerance = row.number("rel_l2_err"), row.number("tolerance_rel_l2")
            # Launches after the first are not checked again; their fields are empty.
            if error is not None and (tolerance is None or error > tolerance):
                return f"{row.values['case']}: error {error:g}, allowed are {tolerance or 0:g}"
            if row.number("nonfinite"):
                return f"{row.values['case']}: {row.values['nonfinite']} results are not finite"
    except UnusableInput as problem:
        return str(problem)
    return None


def percent_of_peak(run_directory: Path) -> float:
    """The largest share of the multiply-add peak, which is measured beside every sample, that a case reached."""
    shares = [row.number("pct_peak") for row in read_table(run_directory / "cases.csv", _COLUMNS).rows]
    found = [share for share in shares if share is not None]
    if not found:
        raise UnusableInput(f"{run_directory / 'cases.csv'}: no case has a pct_peak")
    return max(found)


def name_of(slow: str, fast: str) -> str:
    """Of a ratio, in letters that ReFrame takes."""
    return "".join(letter if letter.isalnum() else "_" for letter in f"{slow} over {fast}")


def pair_ratios(run_directory: Path) -> dict[str, float]:
    """For each pair of a claim, slow over fast as claimed: the geometric mean of verdict.json's ratios over its cells."""
    path = run_directory / "verdict.json"
    logarithms: dict[str, list[float]] = {}
    try:
        verdict: dict[str, Any] = read_json_object(path)
        for claim in verdict["claims"]:
            for cell in claim["cells"]:
                for pair in cell["pairs"]:
                    if pair["ratio"] is not None:
                        logarithms.setdefault(name_of(pair["slow"], pair["fast"]), []).append(math.log(pair["ratio"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise UnusableInput(f"{path}: not a verdict of verify_ordering.py ({problem!r})") from None
    return {name: math.exp(math.fsum(found) / len(found)) for name, found in logarithms.items()}
