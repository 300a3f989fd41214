"""How near each case came to the hardware's limits: its time against the roofline measured beside it.

The roofline of a case is the larger of two times (Williams, Waterman and Patterson 2009):

    operations / FMA peak            both measured beside every sample with the same ranks, threads, ISA and type
    minimum bytes / read bandwidth   bytes that any implementation has to read: every weight, and the K/V cache, once

whatever the strategy does: weights that two ranks both read count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, read_cases

# Distributed Streaming Attention: Qwen3-0.6B, a prompt of 128 tokens, tokens/s.
ORIGINAL_TOKENS = 128
ORIGINAL_MODEL = "qwen3-0.6b"
ORIGINAL_TWO_RANKS = 12.2
ORIGINAL_EIGHT_NODES = 70.74  # 208 threads

FACTORS = ("model", "scope", "phase", "dtype", "isa", "batch", "seq_len", "ranks", "threads", "contract", "causal", "cache")


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


def is_shown(case: Case) -> bool:
    """A copy of a variant is a control and no result."""
    return case.status == "ok" and not case.duplicate_of


def read_rooflines(directory: Path) -> list[Roofline]:
    """The cases of a run that are ok, in the order of the file."""
    return rooflines_of(read_cases(directory), directory)


def rooflines_of(cases: Sequence[Case], directory: Path) -> list[Roofline]:
    """The same of cases that are read."""
    found = [_roofline(case, directory) for case in cases if is_shown(case)]
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
