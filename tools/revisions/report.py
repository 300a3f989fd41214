"""The table of a comparison, for a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Sequence

from analysis.show.text_table import format_columns, markdown_table
from tools.revisions.judgement import CASE_MARGIN, MEAN_MARGIN, JudgedCase, Judgement, Ratio
from tools.revisions.problem import Problem
from tools.revisions.visits import Measured

_HEADER = ("group", "case", "old ms", "new ms", "new / old", "95 % interval", "visits", "")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.4g}"


def _interval(ratio: Ratio) -> str:
    return f"{ratio.low:.3f} to {ratio.high:.3f}"


def _word(case: JudgedCase) -> str:
    if case.slower:
        return "SLOWER"
    return "wide" if case.wide else ""


def table(judgement: Judgement, markdown: bool) -> list[str]:
    """A line per case, then one per group and one over all."""
    rows: list[Sequence[str]] = []
    for case in judgement.cases:
        times = (_milliseconds(case.old), _milliseconds(case.new))
        rows.append(
            (case.key.group, case.key.title, *times, f"{case.ratio.value:.3f}", _interval(case.ratio), str(case.visits))
            + (_word(case),)
        )
    for title, ratio in [*judgement.groups.items(), ("all", judgement.overall)]:
        count = sum(title in ("all", case.key.group) for case in judgement.cases)
        name = f"geometric mean of {count}"
        rows.append((title, name, "", "", f"{ratio.value:.3f}", _interval(ratio), "", ""))
    return markdown_table(_HEADER, rows) if markdown else format_columns(_HEADER, rows, left=2)


def broken(measured: Measured) -> list[str]:
    """A line for each case that only the old revision can do."""
    return [f"  {key.group} {key.title} fails: {why}" for key, why in measured.broken.items()]


def verdict(judgement: Judgement, measured: Measured) -> tuple[bool, list[str]]:
    """Whether the rule holds, and the lines that say so."""
    lines = []
    for key, why in measured.left_out.items():
        lines.append(f"left out: {key.group} {key.title}: the old revision cannot do it ({why})")
    wide = sum(case.wide for case in judgement.cases)
    if wide:
        lines.append(
            f"note: {wide} of {len(judgement.cases)} intervals are wider than {CASE_MARGIN:.0%}: "
            "a quieter machine or more rounds would tell more"
        )
    complaints = broken(measured) + [f"  {complaint}" for complaint in judgement.complaints()]
    if complaints:
        return False, lines + ["does NOT hold:", *complaints]
    mean = judgement.overall.value
    lines.append(
        f"holds: the geometric mean is {mean:.3f}, at most {1 + MEAN_MARGIN:.2f}; "
        f"no case is above {1 + CASE_MARGIN:.2f} beyond its interval"
    )
    return True, lines


def write_csv(judgement: Judgement, path: Path) -> None:
    """The rows of the table with all digits; times in seconds. A mean's fields of a single case are empty."""
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("group", "case", "visits", "old_s", "new_s", "ratio", "ratio_low", "ratio_high", "verdict"))
            for case in judgement.cases:
                ratio = case.ratio
                numbers = [f"{number:.6g}" for number in (case.old, case.new, ratio.value, ratio.low, ratio.high)]
                writer.writerow((case.key.group, case.key.title, case.visits, *numbers, _word(case).lower()))
            for title, ratio in [*judgement.groups.items(), ("all", judgement.overall)]:
                numbers = [f"{number:.6g}" for number in (ratio.value, ratio.low, ratio.high)]
                writer.writerow((title, "geometric mean", "", "", "", *numbers, ""))
    except OSError as error:
        raise Problem(f"--csv {path} cannot be written: {error.strerror}") from None
