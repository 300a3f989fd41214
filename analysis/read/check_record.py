"""What ./check --full keeps of a run: a text per step, results/reliability/last/STEP.txt, read into facts.

A text begins with the revision and the time, then has the step's own output, and ends with how the step ended. What counts is
found by the lines that the steps' programs promise to print; each such line is named in `_COUNTS` and `_FUZZED`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.read.csv_table import UnusableInput, read_text
from analysis.read.json_file import read_json_object

SCHEMA_VERSION = 1

_REVISION = re.compile(r"^revision ([0-9a-f]{40}|unknown)( changed)?$")
_BEGUN = re.compile(r"^begun (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$")
_TITLE = re.compile(r"^== ([\w-]+): (.+)$")
_ENDED = re.compile(r"^== (?:[\w-]+ passed in|FAILED: [\w-]+, after) (\d+) s$")
# Bazel's summary has a line per test.
_TEST = re.compile(r"^//\S+ +(?:\(cached\) )?(PASSED|FAILED|TIMEOUT|NO STATUS)\b", re.MULTILINE)
# Count: the line that has it, one group. Without the line there is no such count.
_COUNTS = {
    "aimed_faults": r"^crash_test_full: (\d+) aimed faults",
    "random_kills": r"^crash_test_full: (\d+) random kills",
    "full_disks": r"^crash_test_full: (\d+) full disks",
    "crash_problems": r"^crash_test_full: (\d+) problems",
    "mutations": r"^(\d+) mutations, \d+ problems",
    "mutations_missed": r"^\d+ mutations, (\d+) problems",
    "lines_covered": r"^(\d+) of \d+ lines covered",
    "lines": r"^\d+ of (\d+) lines covered",
}
_FUZZED = re.compile(r"^(\w+_fuzz): (?:(\d+) runs in (\d+) s|FOUND (\S+)(?: after (\d+) runs)?)", re.MULTILINE)
_BELOW = re.compile(r"^below: (\S+) (\d+) of (\d+) lines$", re.MULTILINE)


@dataclass(frozen=True)
class StepRecord:
    """One step of ./check --full."""

    name: str
    title: str
    revision: str
    changed: bool  # the tree held more than the revision
    begun: str
    passed: bool
    seconds: int
    tests_passed: int
    tests_failed: int
    counts: dict[str, int] = field(default_factory=dict)
    fuzzed: list[dict[str, Any]] = field(default_factory=list)  # target, runs, seconds, found
    files_below: list[dict[str, Any]] = field(default_factory=list)  # file, covered, lines


def parse_step(path: Path) -> StepRecord:
    """From the text of a step; raises UnusableInput if it is none, or if the step has not ended."""
    lines = read_text(path).splitlines()
    revision, begun, title = (
        pattern.match(line) for pattern, line in zip((_REVISION, _BEGUN, _TITLE), [*lines[:3], "", "", ""])
    )
    if revision is None or begun is None or title is None:
        raise UnusableInput(f"{path}: is not what ./check --full keeps of a step: revision, begun, == STEP: ...")
    ended = _ENDED.match(lines[-1])
    if ended is None:
        raise UnusableInput(f"{path}: the step has not ended; ./check --full --only {title.group(1)} runs it again")
    text = "\n".join(lines[3:])
    results = _TEST.findall(text)
    found = {name: re.search(line, text, re.MULTILINE) for name, line in _COUNTS.items()}
    return StepRecord(
        name=title.group(1),
        title=title.group(2),
        revision=revision.group(1),
        changed=revision.group(2) is not None,
        begun=begun.group(1),
        passed=lines[-1].startswith(f"== {title.group(1)} passed"),
        seconds=int(ended.group(1)),
        tests_passed=results.count("PASSED"),
        tests_failed=len(results) - results.count("PASSED"),
        counts={name: int(match.group(1)) for name, match in found.items() if match is not None},
        fuzzed=_fuzzed(text),
        files_below=[
            {"file": name, "covered": int(covered), "lines": int(total)} for name, covered, total in _BELOW.findall(text)
        ],
    )


def _fuzzed(text: str) -> list[dict[str, Any]]:
    targets: dict[str, dict[str, Any]] = {}
    for target, runs, seconds, found, before in _FUZZED.findall(text):
        entry = targets.setdefault(target, {"target": target, "runs": 0, "seconds": 0, "found": 0})
        entry["runs"] += int(runs or before or 0)
        entry["seconds"] += int(seconds or 0)
        entry["found"] += bool(found)
    return list(targets.values())


def read_record(path: Path) -> tuple[list[StepRecord], list[str]]:
    """The steps of results/reliability/reference/record.json, and the names of those of ./check --full that it lacks."""
    content = read_json_object(path)
    steps, not_run = content.get("steps"), content.get("not_run")
    if not isinstance(steps, list) or not isinstance(not_run, list):
        steps = not_run = []
    if content.get("schema_version") != SCHEMA_VERSION or not steps:
        raise UnusableInput(f"{path}: is no record of ./check --full, version {SCHEMA_VERSION}; analysis/reliability.py writes one")
    try:
        return [StepRecord(**step) for step in steps], [str(name) for name in not_run]
    except TypeError:
        raise UnusableInput(f"{path}: a step has other fields than analysis/reliability.py writes") from None
