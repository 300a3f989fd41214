"""Reads a run directory (samples.csv, cases.csv, manifest.json) and refuses what cannot be trusted.

Whatever is wrong is reported as one UnusableInput whose message names file, line and column. An empty field means
"not measured" and is allowed only where a measurement may be missing; NaN, infinities and negative times never are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterator, Mapping

from analysis.read.csv_table import Row, UnusableInput, read_table
from analysis.read.json_file import read_json_object
from analysis.read.plan import LAUNCH_ID_STEP as LAUNCH_ID_STEP
from analysis.read.plan import Plan, launch_unit, read_plan
from analysis.read.whole_file import is_there

# Version 2 has the column `mask`; in version 1 `causal` says all of it. Version 3 has copies of variants (`duplicate_of`)
# and what disturbed each sample. Version 4 says which cells were measured by turns (`bundle`). Version 5 says what is rounded in
# a decoder (`activations`, `kv_cache`), version 6 what is cached before a prefill (`cached_tokens`).
SCHEMA_VERSIONS = ("1", "2", "3", "4", "5", "6")

# What a claim may be about. Times are measured every round; rates and the overlap follow from them round by round.
TIME_METRICS = ("time_s", "time_min_rank_s", "compute_s", "comm_total_s", "comm_exposed_s")
# What the hardware could do in the same round.
LIMITS = ("peak_gflops", "read_gb_per_s")
# What may have disturbed a sample; since version 3.
DISTURBANCES = ("steal_s", "involuntary_switches", "barrier_skew_s")
DERIVED_METRICS = ("gflops", "pct_peak", "overlap_fraction")
# Known once per case, without an interval.
COUNT_METRICS = ("comm_bytes_per_rank", "workspace_bytes", "peak_rss_bytes", "page_faults", "max_abs_err", "rel_l2_err")
METRICS = TIME_METRICS + DERIVED_METRICS + COUNT_METRICS
# The runner's own summary of a case, for tables that make no claim.
SUMMARY = (
    "time_median_s", "time_low_s", "time_high_s", "gflops", "peak_gflops", "read_gb_per_s", "minimum_bytes", "comm_exposed_s",
    "tolerance_rel_l2", "nonfinite",
)  # fmt: skip

SAMPLE_COLUMNS = (
    "schema_version", "launch", "cell", "case", "variant", "round", "order_in_round", "time_s", "time_min_rank_s",
    "compute_s", "comm_total_s", "comm_exposed_s", "peak_gflops", "read_gb_per_s", "page_faults", "status",
)  # fmt: skip

FACTOR_COLUMNS = (
    "variant", "strategy", "exchange", "sharding", "algorithm", "backend", "model", "scope", "phase", "contract",
    "dtype", "activations", "kv_cache", "isa", "batch", "heads", "kv_heads", "head_dim", "seq_len", "cached_tokens", "mask",
    "causal", "ranks", "threads", "nodes", "placement", "cache", "data", "seed", "q_block", "kv_block",
)  # fmt: skip
# These follow from the variant; the other factors are the same for all cases of a cell.
VARIANT_FACTORS = ("variant", "strategy", "exchange", "sharding", "algorithm", "backend", "q_block", "kv_block")
# Numbers from 1; the others are words, whatever they look like.
WHOLE_FACTORS = ("batch", "heads", "kv_heads", "head_dim", "seq_len", "ranks", "threads", "nodes")
CELL_FACTORS = tuple(name for name in FACTOR_COLUMNS if name not in VARIANT_FACTORS)

RESULT_COLUMNS = (
    "rounds", "time_median_s", "time_low_s", "time_high_s", "gflops", "pct_peak", "peak_gflops", "read_gb_per_s",
    "minimum_bytes", "compute_s", "comm_total_s", "comm_exposed_s", "overlap_fraction", "comm_bytes_per_rank",
    "workspace_bytes", "peak_rss_bytes", "page_faults", "max_abs_err", "rel_l2_err", "tolerance_rel_l2", "nonfinite",
    "oversubscribed", "drift", "status", "message",
)  # fmt: skip
_LATER_FACTORS = ("mask", "activations", "kv_cache", "cached_tokens")
# What every schema version has.
CASE_COLUMNS = (
    ("schema_version", "launch", "cell", "case")
    + tuple(name for name in FACTOR_COLUMNS if name not in _LATER_FACTORS)
    + RESULT_COLUMNS
)


def canonical(value: object) -> str:
    """One spelling for values that mean the same in YAML, JSON and CSV: true and True, 2 and 2.0."""
    text = str(value).strip()
    if text.lower() in ("true", "yes", "on"):
        return "true"
    if text.lower() in ("false", "no", "off"):
        return "false"
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if math.isfinite(number) and number == int(number) else text


def canonical_factor(column: str, value: object) -> str:
    """canonical(), and for the yes/no factor also 1 and 0."""
    text = canonical(value)
    return {"1": "true", "0": "false"}.get(text, text) if column == "causal" else text


@dataclass(frozen=True)
class Sample:
    launch: str
    cell: str
    case: str
    variant: str
    round: int
    order_in_round: int
    metrics: Mapping[str, float | None]  # by TIME_METRICS, the limits and the disturbances; None where not measured
    status: str


@dataclass(frozen=True)
class Case:
    launch: str
    cell: str
    case: str
    factors: Mapping[str, str]  # by FACTOR_COLUMNS, canonical spelling
    counts: Mapping[str, float | None]  # by COUNT_METRICS
    summary: Mapping[str, float | None]  # by SUMMARY
    work_gflop: float | None  # gflops x median time: the operations counted for this case
    efficiency: float | None  # per cent of the FMA peak
    peak_gflops: float | None
    # Ends of the 95 % interval of the median time within this launch, over the median.
    relative_interval: tuple[float, float]
    rounds: int
    oversubscribed: bool
    drift: float | None  # median of the second half of the samples over that of the first, minus 1
    drifted: bool  # drift beyond the width of the interval of the median
    status: str
    message: str
    duplicate_of: str = ""  # the label of the variant whose copy this is
    bundle: str = ""  # shared by the cells that were measured by turns with this one, round by round; "": alone

    @property
    def variant(self) -> str:
        return self.factors["variant"]

    @property
    def unit(self) -> int:
        """The launch, whatever number of attempts it took."""
        return launch_unit(self.launch)


@dataclass(frozen=True)
class Run:
    directory: Path
    experiment: str
    title: str
    expect: list[dict[str, Any]]
    manifest: Mapping[str, Any]
    cases: list[Case]
    # Samples of complete cells only, keyed by (launch, case); rounds in ascending order, pilots left out.
    samples: Mapping[tuple[str, str], list[Sample]]
    plan: Plan
    ignored_samples: int = field(default=0)  # rows of cells that were never completed
    discarded_pilots: int = field(default=0)


def _read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a file of this schema version."""
    for row in read_table(path, columns).rows:
        version = row.text("schema_version")
        if version not in SCHEMA_VERSIONS:
            known = ", ".join(SCHEMA_VERSIONS)
            raise row.error("schema_version", f"version {version} is unknown; this analysis reads {known}")
        yield row


def _read_case(row: Row) -> Case:
    factors = {name: canonical_factor(name, row.values.get(name, "")) for name in FACTOR_COLUMNS}
    factors["mask"] = row.values.get("mask", "").strip() or ("causal" if factors["causal"] == "true" else "full")
    for name in ("activations", "kv_cache"):
        factors[name] = row.values.get(name, "").strip() or "fp32"
    if row.values.get("cached_tokens", "").strip():
        row.integer("cached_tokens", minimum=0)
    else:
        factors["cached_tokens"] = "0"
    for name in ("variant", "strategy", "algorithm", "contract", "isa"):
        row.text(name)
    for name in WHOLE_FACTORS:
        row.integer(name, minimum=1)
    rate, median = row.number("gflops"), row.number("time_median_s")
    case = Case(
        launch=row.text("launch"),
        cell=row.text("cell"),
        case=row.text("case"),
        factors=factors,
        counts={name: row.number(name) for name in COUNT_METRICS},
        # Noise can make a difference of two times slightly negative.
        summary={name: row.number(name, negative=name == "comm_exposed_s") for name in SUMMARY},
        work_gflop=None if rate is None or median is None else rate * median,
        efficiency=row.number("pct_peak"),
        peak_gflops=row.number("peak_gflops"),
        relative_interval=_relative_interval(row),
        rounds=row.integer("rounds", minimum=0),
        oversubscribed=row.flag("oversubscribed"),
        drift=row.number("drift", negative=True),
        drifted=_has_drifted(row),
        status=row.text("status"),
        message=row.values["message"].strip(),
        duplicate_of=canonical(row.values.get("duplicate_of", "")),
        bundle=row.values.get("bundle", "").strip(),
    )
    row.integer("launch", minimum=0)
    _require_case_name(row, case.cell, case.case, row.text("variant"))
    return case


def _relative_interval(row: Row) -> tuple[float, float]:
    median, low, high = (row.number(name) for name in ("time_median_s", "time_low_s", "time_high_s"))
    return (low / median, high / median) if median and low and high else (1.0, 1.0)


def _has_drifted(row: Row) -> bool:
    """Whether the halves of the cell differ by more than the 95 % interval of the median is wide."""
    drift = row.number("drift", negative=True)
    low, high = _relative_interval(row)
    return drift is not None and low < high and abs(drift) > 2 * max(high - 1, 1 - low)


def _require_case_name(row: Row, cell: str, case: str, variant: str) -> None:
    if case != f"{cell}/{variant}":
        raise row.error("case", f"'{case}' is not cell/variant, here '{cell}/{variant}'")


def _read_sample(row: Row) -> Sample:
    status = row.text("status")
    # Exposed communication is a difference of two measured times: noise can make it slightly negative.
    names = (*TIME_METRICS, *LIMITS, *(name for name in DISTURBANCES if name in row.values))
    metrics: dict[str, float | None] = dict.fromkeys(DISTURBANCES)
    metrics |= {name: row.number(name, negative=name == "comm_exposed_s") for name in names}
    if status == "ok" and not metrics["time_s"]:
        raise row.error("time_s", "a sample that is ok needs a time above zero")
    sample = Sample(
        launch=row.text("launch"),
        cell=row.text("cell"),
        case=row.text("case"),
        variant=canonical(row.text("variant")),
        round=row.integer("round"),
        order_in_round=row.integer("order_in_round"),
        metrics=metrics,
        status=status,
    )
    _require_case_name(row, sample.cell, sample.case, row.text("variant"))
    return sample


def read_cases(directory: Path) -> list[Case]:
    """The cases of a run, without its samples; raises UnusableInput as read_run does."""
    path = directory / "cases.csv"
    cases: list[Case] = []
    seen: dict[tuple[str, str], int] = {}
    cell_factors: dict[str, tuple[int, Case]] = {}
    for row in _read_rows(path, CASE_COLUMNS):
        case = _read_case(row)
        key = (case.launch, case.case)
        if key in seen:
            raise row.error("case", f"'{case.case}' of launch {case.launch} is already on line {seen[key]}")
        seen[key] = row.line
        first_line, first = cell_factors.setdefault(case.cell, (row.line, case))
        for name in CELL_FACTORS:
            if case.factors[name] != first.factors[name]:
                raise row.error(name, f"differs from line {first_line} although both are of cell {case.cell}")
        cases.append(case)
    _require_originals(path, cases)
    if not cases:
        raise UnusableInput(f"{path}: no completed case")
    return cases


def _require_originals(path: Path, cases: list[Case]) -> None:
    """A copy stands beside what it is a copy of."""
    there = {(case.launch, case.cell, case.variant) for case in cases}
    for case in cases:
        if case.duplicate_of and (case.launch, case.cell, case.duplicate_of) not in there:
            raise UnusableInput(f"{path}: '{case.case}' is a copy of '{case.duplicate_of}', which its cell does not have")


def restrict(run: Run, units: set[int]) -> Run:
    """The run as if only these launches had been made."""
    cases = [case for case in run.cases if case.unit in units]
    samples = {key: rows for key, rows in run.samples.items() if launch_unit(key[0]) in units}
    return replace(run, cases=cases, samples=samples)


def _read_samples(path: Path, cases: list[Case]) -> tuple[dict[tuple[str, str], list[Sample]], int, int]:
    """Samples of complete cells by (launch, case), the number of ignored rows, and the number of pilot rows."""
    complete = {(case.launch, case.cell) for case in cases}
    known = {(case.launch, case.case) for case in cases}
    samples: dict[tuple[str, str], list[Sample]] = {}
    seen: dict[tuple[str, str, int], int] = {}
    ignored = pilots = 0
    for row in _read_rows(path, SAMPLE_COLUMNS):
        sample = _read_sample(row)
        key = (sample.launch, sample.case, sample.round)
        if key in seen:
            raise row.error(
                "round", f"round {sample.round} of '{sample.case}', launch {sample.launch}, is already on line {seen[key]}"
            )
        seen[key] = row.line
        if (sample.launch, sample.cell) not in complete:
            ignored += 1
        elif (sample.launch, sample.case) not in known:
            raise row.error("case", f"'{sample.case}' of launch {sample.launch} is not in cases.csv")
        elif sample.round < 0:
            pilots += 1
        else:
            samples.setdefault((sample.launch, sample.case), []).append(sample)
    for rows in samples.values():
        rows.sort(key=lambda sample: sample.round)
    return samples, ignored, pilots


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json_object(path)
    version = manifest.get("schema_version")
    if str(version) not in SCHEMA_VERSIONS:
        known = ", ".join(SCHEMA_VERSIONS)
        raise UnusableInput(f"{path}: schema_version {version} is unknown; this analysis reads {known}")
    for key, kind in (("experiment", str), ("title", str), ("expect", list)):
        if not isinstance(manifest.get(key), kind):
            raise UnusableInput(f"{path}: '{key}' is missing or is not a {kind.__name__}")
    if not all(isinstance(claim, dict) for claim in manifest["expect"]):
        raise UnusableInput(f"{path}: every entry of 'expect' must be an object")
    return manifest


def read_manifest(directory: Path) -> dict[str, Any]:
    """manifest.json alone; raises UnusableInput as read_run does."""
    if not is_there(directory) or not directory.is_dir():
        raise UnusableInput(f"{directory}: no such directory")
    return _read_manifest(directory / "manifest.json")


def require_rounds(directory: Path, launch: str, case: str, expected: int, found: int) -> None:
    """Refuses samples.csv that has lost rows of a completed case, or has rows too many."""
    if found != expected:
        raise UnusableInput(
            f"{directory / 'samples.csv'}: {found} rounds of case '{case}', launch {launch}, which has {expected} by cases.csv;"
            " the benchmark's --resume measures its cell again"
        )


def read_run(directory: Path) -> Run:
    """Reads and validates `directory`; raises UnusableInput with one line that says where the problem is."""
    manifest = read_manifest(directory)
    cases = read_cases(directory)
    plan = read_plan(manifest, directory / "manifest.json", len({case.unit for case in cases}))
    samples, ignored, pilots = _read_samples(directory / "samples.csv", cases)
    for case in cases:
        if case.status == "ok" and (case.launch, case.case) not in samples:
            raise UnusableInput(f"samples.csv: no sample of case '{case.case}', launch {case.launch}, which is ok")
        if case.status == "ok":
            require_rounds(directory, case.launch, case.case, case.rounds, len(samples.get((case.launch, case.case), ())))
    return Run(
        directory=directory,
        experiment=manifest["experiment"],
        title=manifest["title"],
        expect=manifest["expect"],
        manifest=manifest,
        cases=cases,
        samples=samples,
        plan=plan,
        ignored_samples=ignored,
        discarded_pilots=pilots,
    )
