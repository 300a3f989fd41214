"""Writes run directories with known answers, in the runner's file format. For tests only."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from analysis.read.read_run import CASE_COLUMNS, CELL_FACTORS, DISTURBANCES, SAMPLE_COLUMNS

FACTORS: dict[str, Any] = {
    "exchange": "ring", "sharding": "zigzag", "backend": "highway", "model": "qwen3-0.6b", "scope": "attention",
    "phase": "prefill", "contract": "native", "dtype": "fp32", "isa": "avx512", "batch": 1, "heads": 16, "kv_heads": 8,
    "head_dim": 128, "seq_len": 1024, "causal": "true", "ranks": 2, "threads": 1, "nodes": 1, "placement": "packed",
    "cache": "warm", "data": "gaussian", "seed": 1, "q_block": 96, "kv_block": 256,
}  # fmt: skip

SEQUENCE = "sequence+online_softmax"
HEADWISE = "headwise+online_softmax"
STANDARD = "headwise+standard"
ORDER = [SEQUENCE, HEADWISE, STANDARD]
COPY = " (copy)"  # ends the label of a copy of the variant before it
ORDER_CLAIM: dict[str, Any] = {"claim": "ordering", "metric": "time_s", "over": "variant", "order": ORDER}


@dataclass
class Cell:
    """A cell: median time of each variant, and how it differs from FACTORS."""

    times: Mapping[str, float]
    factors: Mapping[str, Any] = field(default_factory=dict)
    case_values: Mapping[str, Any] = field(default_factory=dict)  # results, same for all variants
    status: Mapping[str, str] = field(default_factory=dict)  # by variant; ok if absent
    sample_values: Mapping[str, Any] = field(default_factory=dict)  # as case_values, of every sample
    launch_effect: float | None = None  # of this cell alone, see write_run


def open_cell(**factors: Any) -> Cell:
    """HEADWISE as fast as SEQUENCE, with too much between launches for any word."""
    return Cell({SEQUENCE: 1.0, HEADWISE: 1.0}, factors, launch_effect=0.03)


Noise = Callable[[np.random.Generator, int], float]  # log noise of one sample of variant number n


def quiet_noise(generator: np.random.Generator, variant: int) -> float:
    return float(generator.normal(0.0, 0.004))


def write_run(
    directory: Path,
    cells: Sequence[Cell],
    expect: Sequence[Mapping[str, Any]] = (ORDER_CLAIM,),
    *,
    launches: int = 1,
    rounds: int = 30,
    pilots: int = 2,
    noise: Noise = quiet_noise,
    seed: int = 1,
    launch_effect: float = 0.0,
    plan: Mapping[str, Any] | None = None,
    dropped: Mapping[int, int] | None = None,
) -> None:
    """`launch_effect`: standard deviation, per variant, of what stays the same within a launch. `plan`: further keys of the
    manifest. `dropped`: by number of a cell, the launch from which on it is not measured.
    """
    directory.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    samples: list[dict[str, Any]] = []
    cases: list[dict[str, Any]] = []
    for launch in range(launches):
        for number, cell in enumerate(cells):
            if dropped and launch >= dropped.get(number, launches):
                continue
            effect = launch_effect if cell.launch_effect is None else cell.launch_effect
            shifts = generator.normal(0.0, effect, len(cell.times)) if effect else np.zeros(len(cell.times))
            shifted = _shifted(noise, shifts)
            rows = _cell_samples(f"cell{number:03d}", launch, cell, rounds, pilots, shifted, generator)
            samples += rows
            cases += _cell_cases(f"cell{number:03d}", launch, cell, rounds, rows)
    new = any(variant.endswith(COPY) for cell in cells for variant in cell.times)
    write_csv(directory / "samples.csv", (*SAMPLE_COLUMNS, *(DISTURBANCES if new else ())), samples)
    bundled = any("bundle" in case for case in cases)
    extra = (*(("duplicate_of",) if new else ()), *(("bundle",) if bundled else ()))
    write_csv(directory / "cases.csv", (*CASE_COLUMNS, *extra), cases)
    manifest = {
        "schema_version": 1, "experiment": "synthetic", "title": "Does the analysis see what was planted?",
        "config": "", "config_sha256": "0" * 64, "expect": list(expect), "git_revision": "0123456789abcdef",
        "git_dirty": False, "launches": [{"launch": launch, "exit_status": 0} for launch in range(launches)],
        **(plan or {}),
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _shifted(noise: Noise, shifts: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> Noise:
    return lambda generator, variant: noise(generator, variant) + float(shifts[variant])


def write_cases(directory: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = CASE_COLUMNS) -> None:
    """cases.csv alone, of rows that differ from a usual case as given; rows of the same factors are one cell."""
    usual: dict[str, Any] = {
        "schema_version": 1, "launch": 0, "strategy": "sequence", "algorithm": "online_softmax", **FACTORS, "rounds": 30,
        "oversubscribed": "false", "status": "ok",
    }  # fmt: skip
    complete = []
    for row in rows:
        case = usual | row
        cell = "cell" + "-".join(str(case.get(name, "")) for name in CELL_FACTORS)
        complete.append({"cell": cell, "case": f"{cell}/{case['variant']}"} | case)
    write_csv(directory / "cases.csv", columns, [{name: case.get(name, "") for name in columns} for case in complete])


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cell_samples(
    name: str, launch: int, cell: Cell, rounds: int, pilots: int, noise: Noise, generator: np.random.Generator
) -> list[dict[str, Any]]:
    rows = []
    for number in range(-pilots, rounds):
        for order, index in enumerate(generator.permutation(len(cell.times))):
            variant = list(cell.times)[index]
            status = cell.status.get(variant, "ok")
            time = cell.times[variant] * math.exp(noise(generator, int(index)))
            rows.append({
                "schema_version": 1, "launch": launch, "cell": name, "case": f"{name}/{variant}", "variant": variant,
                "round": number, "order_in_round": order, "time_s": time if status == "ok" else "",
                "time_min_rank_s": 0.98 * time, "compute_s": 0.9 * time, "comm_total_s": 0.2 * time,
                "comm_exposed_s": 0.1 * time, "peak_gflops": 115.0, "read_gb_per_s": 22.0,
                "page_faults": 0, "status": status, **cell.sample_values,
            })  # fmt: skip
    return rows


def _cell_cases(
    name: str, launch: int, cell: Cell, rounds: int, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    cases = []
    for variant in cell.times:
        original = variant.removesuffix(COPY)
        strategy, algorithm = original.split("+")[0], original.split("+")[1].split("@")[0]
        times = [row["time_s"] for row in rows if row["variant"] == variant and row["round"] >= 0 and row["time_s"]]
        median = float(np.median(times)) if times else None
        cases.append({
            "schema_version": 1, "launch": launch, "cell": name, "case": f"{name}/{variant}", "variant": variant,
            "strategy": strategy.split("(")[0], "algorithm": algorithm, **FACTORS, **cell.factors, "rounds": rounds,
            "time_median_s": median or "", "time_low_s": 0.99 * (median or 1), "time_high_s": 1.01 * (median or 1), "gflops": 1.0 / median if median else "", "comm_bytes_per_rank": 1 << 20,
            "workspace_bytes": 1 << 22, "pct_peak": 60.0 / (median or 1), "peak_gflops": 115.0, "oversubscribed": "false", "drift": 0.001,
            "status": cell.status.get(variant, "ok"), "message": "", **cell.case_values,
            **({"duplicate_of": original} if original != variant else {}),
        })  # fmt: skip
    return cases
