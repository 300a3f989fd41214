#!/usr/bin/python3
"""How near a run came to the hardware's limits: one line per case, against the roofline measured beside it.

    analysis/roofline.py RUN_DIR [--markdown]

The roofline of a case is the larger of two times (Williams, Waterman and Patterson 2009):

    operations / FMA peak            both measured beside every sample with the same ranks, threads, ISA and type
    minimum bytes / read bandwidth   bytes that any implementation has to read: every weight, and the K/V cache, once

whatever the strategy does: weights that two ranks both read count once. Columns: the median time, tokens/s (prefill: tokens
of the prompt; decode: one per sequence), which limit binds, the roofline, the share of it that was reached (roofline /
time), the share of the FMA peak, and the share of the read bandwidth. A whole model's prefill of 128 tokens is shown beside
what the original study reports for its own model code on its own machines. Exit status: 0, or 2 for bad usage or unusable
input.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.read_run import Case, UnusableInput, read_cases
from analysis.text_table import format_columns, markdown_table, print_quietly

# Distributed Streaming Attention: Qwen3-0.6B, a prompt of 128 tokens, tokens/s.
ORIGINAL_TOKENS = 128
ORIGINAL_MODEL = "qwen3-0.6b"
ORIGINAL_TWO_RANKS = 12.2
ORIGINAL_EIGHT_NODES = 70.74  # 208 threads

_FACTORS = ("model", "scope", "phase", "dtype", "isa", "batch", "seq_len", "ranks", "threads", "contract", "causal", "cache")


@dataclass(frozen=True)
class Roofline:
    """One case that ran, with the limits measured beside it."""

    variant: str
    factors: Mapping[str, str]
    launch: str
    time_s: float
    tokens: float  # of the prompts in prefill, new ones in decode
    operations: float
    minimum_bytes: float
    peak_flops: float  # per second
    read_bytes: float  # per second

    @property
    def compute_bound_s(self) -> float:
        """No implementation multiplies faster."""
        return self.operations / self.peak_flops

    @property
    def memory_bound_s(self) -> float:
        """No implementation reads faster."""
        return self.minimum_bytes / self.read_bytes

    @property
    def roofline_s(self) -> float:
        """The larger bound."""
        return max(self.compute_bound_s, self.memory_bound_s)

    @property
    def bound(self) -> str:
        """Which one that is."""
        return "compute" if self.compute_bound_s >= self.memory_bound_s else "memory"

    @property
    def share(self) -> float:
        """Of the roofline, 1 being on it."""
        return self.roofline_s / self.time_s

    @property
    def share_of_peak(self) -> float:
        """Of the FMA peak."""
        return self.compute_bound_s / self.time_s

    @property
    def share_of_bandwidth(self) -> float:
        """Of the read bandwidth, over the minimum bytes."""
        return self.memory_bound_s / self.time_s

    @property
    def tokens_per_s(self) -> float:
        """Over all sequences of the batch."""
        return self.tokens / self.time_s

    @property
    def is_comparable_with_original(self) -> bool:
        """The original's end-to-end figures are about this and nothing else."""
        factors = self.factors
        return (factors["model"], factors["scope"], factors["phase"], factors["seq_len"], factors["batch"]) == (
            ORIGINAL_MODEL, "model", "prefill", str(ORIGINAL_TOKENS), "1",
        )  # fmt: skip


def read_rooflines(directory: Path) -> list[Roofline]:
    """The cases of a run that are ok, in the order of the file."""
    found = [_roofline(case, directory) for case in read_cases(directory) if case.status == "ok"]
    if not found:
        raise UnusableInput(f"{directory / 'cases.csv'}: no case that is ok")
    return found


def _roofline(case: Case, directory: Path) -> Roofline:
    def positive(column: str) -> float:
        value = case.summary[column]
        if not value:
            raise UnusableInput(f"{directory / 'cases.csv'}: case {case.case}, launch {case.launch}: no {column}")
        return value

    time_s = positive("time_median_s")
    new_tokens = 1 if case.factors["phase"] == "decode" else int(case.factors["seq_len"])
    return Roofline(
        variant=case.variant,
        factors=case.factors,
        launch=case.launch,
        time_s=time_s,
        operations=positive("gflops") * 1e9 * time_s,
        minimum_bytes=positive("minimum_bytes"),
        peak_flops=positive("peak_gflops") * 1e9,
        read_bytes=positive("read_gb_per_s") * 1e9,
        tokens=float(int(case.factors["batch"]) * new_tokens),
    )


def varying_factors(cases: Sequence[Roofline]) -> list[str]:
    """Those that tell the cases apart."""
    return [name for name in _FACTORS if len({case.factors[name] for case in cases}) > 1]


def table(cases: Sequence[Roofline]) -> list[list[str]]:
    """Header and one row per case."""
    names = varying_factors(cases)
    several = len({case.launch for case in cases}) > 1
    compare = any(case.is_comparable_with_original for case in cases)
    header = (["launch"] if several else []) + names + ["variant", "ms", "tokens/s", "bound", "roofline ms", "% roofline"]
    header += ["% FMA peak", "% read bandwidth"] + (["x original"] if compare else [])
    rows = [header]
    for case in cases:
        row = [case.launch] if several else []
        row += [case.factors[name] for name in names]
        row += [case.variant, f"{1e3 * case.time_s:.4g}", f"{case.tokens_per_s:.1f}", case.bound]
        row += [f"{1e3 * case.roofline_s:.4g}", f"{100 * case.share:.1f}"]
        row += [f"{100 * case.share_of_peak:.1f}", f"{100 * case.share_of_bandwidth:.1f}"]
        if compare:
            gain = f"{case.tokens_per_s / ORIGINAL_TWO_RANKS:.1f}" if case.is_comparable_with_original else ""
            row.append(gain)
        rows.append(row)
    return rows


def constant_line(cases: Sequence[Roofline]) -> str:
    """The factors that are the same everywhere."""
    varying = varying_factors(cases)
    return ", ".join(f"{name} {cases[0].factors[name]}" for name in _FACTORS if name not in varying)


def report(cases: Sequence[Roofline], as_markdown: bool) -> str:
    """All of it."""
    rows = table(cases)
    named = rows[0].index("variant") + 1  # columns of names; numbers follow
    lines = markdown_table(rows[0], rows[1:]) if as_markdown else format_columns(rows[0], rows[1:], left=named)
    text = f"{constant_line(cases)}\n\n" + "\n".join(lines) + "\n"
    if rows[0][-1] == "x original":
        text += (
            f"\nThe original reports {ORIGINAL_TWO_RANKS} tokens/s on 2 ranks and {ORIGINAL_EIGHT_NODES} on 208 threads of "
            f"8 nodes at {ORIGINAL_TOKENS} tokens (its model code, its machines); 'x original' is over the former.\n"
        )
    return text


def main(arguments: Sequence[str]) -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--markdown", action="store_true", help="a Markdown table")
    options = parser.parse_args(arguments)
    try:
        print_quietly(report(read_rooflines(options.run_dir), options.markdown).rstrip("\n"))
    except UnusableInput as problem:
        print(f"roofline: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
