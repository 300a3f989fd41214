"""What the last recorded ./check --full tried, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.page.records import Results, table
from analysis.read.check_record import StepRecord, read_record
from analysis.read.csv_table import read_table

FINDINGS = Path("src/fuzz/findings.csv")


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _tests(step: StepRecord) -> str:
    if step.tests_passed + step.tests_failed == 0:
        return ""
    return f"{step.tests_passed} of {step.tests_passed + step.tests_failed}"


def _count(steps: list[StepRecord], name: str) -> str:
    """The number, or that this run has none."""
    found = [step.counts[name] for step in steps if name in step.counts]
    return str(found[0]) if found else "not recorded"


def _coverage(steps: list[StepRecord]) -> str:
    for step in steps:
        if step.counts.get("lines"):
            share = 100 * step.counts["lines_covered"] / step.counts["lines"]
            return f"{step.counts['lines_covered']} of {step.counts['lines']} lines ({share:.1f} %)"
    return "not recorded"


def _together(fuzzed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What several steps gave a target, added up."""
    targets: dict[str, dict[str, Any]] = {}
    for one in fuzzed:
        whole = targets.setdefault(one["target"], {"target": one["target"], "runs": 0, "seconds": 0, "found": 0})
        for name in ("runs", "seconds", "found"):
            whole[name] += one[name]
    return list(targets.values())


def _table_if_any(header: list[str], rows: list[list[str]]) -> str:
    return table(header, rows) if rows else ""


def _findings(path: Path) -> list[list[str]]:
    rows = read_table(path, ["target", "input", "what_happened"]).rows
    return [[row.text("target"), f"`{row.text('input')}`", row.text("what_happened")] for row in rows]


RECORD = Path("reliability/reference/record.json")


def _outcome(steps: list[StepRecord], not_run: list[str]) -> str:
    """Which run it was and how it ended."""
    if not steps:
        return "No full run is on record yet."
    failed = [step.name for step in steps if not step.passed]
    revisions = {step.revision for step in steps}
    which = f"is of revision `{steps[0].revision[:9]}`"
    if len(revisions) > 1:
        which = f"was run in parts, on {len(revisions)} revisions (each row has its own)"
    return (
        f"The one on record {which}, begun on {min(step.begun for step in steps)[:10]}, and took "
        f"{_minutes(sum(step.seconds for step in steps))}. "
        + (f"Failed: {', '.join(failed)}." if failed else "Every step of it passed." if not_run else "Every step passed.")
        + (f" Not run yet: {', '.join(not_run)}." if not_run else "")
    )


def values(results: Results) -> dict[str, str]:
    record = results.directory / RECORD
    steps, not_run = read_record(record) if record.exists() else ([], [])
    below = [file for step in steps for file in step.files_below]
    fuzzed = _together([target for step in steps for target in step.fuzzed])
    return {
        "reliability.outcome": _outcome(steps, not_run),
        "reliability.steps_table": _table_if_any(
            ["step", "what", "result", "tests passed", "time", "revision"],
            [
                [
                    step.name,
                    step.title,
                    "passed" if step.passed else "**failed**",
                    _tests(step),
                    _minutes(step.seconds),
                    f"`{step.revision[:9]}`",
                ]
                for step in steps
            ],
        ),
        "reliability.aimed": _count(steps, "aimed_faults"),
        "reliability.kills": _count(steps, "random_kills"),
        "reliability.disks": _count(steps, "full_disks"),
        "reliability.crash_problems": _count(steps, "crash_problems"),
        "reliability.mutations": _count(steps, "mutations"),
        "reliability.mutations_missed": _count(steps, "mutations_missed"),
        "reliability.fuzz_table": _table_if_any(
            ["target", "inputs tried", "seconds", "found"],
            [[f"`{one['target']}`", str(one["runs"]), str(one["seconds"]), str(one["found"])] for one in fuzzed],
        ),
        "reliability.findings_table": table(
            ["target", "input", "what happened"], _findings(results.directory.parent / FINDINGS)
        ),
        "reliability.coverage": _coverage(steps),
        "reliability.below_table": _table_if_any(
            ["file below the goal", "lines run", "lines"],
            [[f"`{file['file']}`", str(file["covered"]), str(file["lines"])] for file in below],
        ),
    }
