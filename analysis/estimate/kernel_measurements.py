"""What runs of experiments/kernels*.yaml say about one rank's kernels: rates as fractions of the limit beside them.

A fraction is formed round by round, from a sample and the limit that was measured in the same round, so that a clock
that moves between rounds cancels.

    prefill   fraction = 4 B H D pairs / time / FMA peak; pairs = S^2, or S (S + 1) / 2 under a causal mask
    decode    fraction = 2 B H_kv S D bytes / time / read bandwidth: K and V once, one query token

The roofline of `standard`. It keeps the whole score matrix of a head, 4 S^2 bytes, and goes over it in three phases:
scores are written, the softmax reads and writes them, the weighted sum reads them: 16 S^2 bytes.
From 4096 tokens on the matrix (64 MiB) is larger than the last cache of the machines this runs on, so these bytes are
memory traffic, and the bandwidth beside it is one of memory too: it is measured over the footprint of Q, K and V (64
MiB). Beneath the limit of the arithmetic, then:

    nothing overlaps   time = FLOPs / peak + 16 S^2 bytes / bandwidth
    all overlaps       time = each phase's larger part: both products stay bound by the peak (8 S^2 bytes at most
                       against 2 S^2 D FLOPs), the softmax by memory: FLOPs / peak + 8 S^2 bytes / bandwidth

Written lines are counted once: that they are read before they are written, and that memory often takes writes more
slowly than it gives reads, only lowers what can be reached. The first line is what the roofline predicts of a kernel
that does not overlap, and the target: less means that something else is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import numpy as np

from analysis.estimate.paired_statistics import BlocksEstimate, FloatArray, Interval, RoundsEstimate, interval_of
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run, Sample

# The issue of these targets is about this many heads.
QUERY_HEADS, KV_HEADS = 16, 8
BYTES_OF = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True, order=True)
class Setting:
    """Which kernel does which work."""

    phase: str
    algorithm: str
    dtype: str
    isa: str
    head_dim: int
    causal: bool
    seq_len: int
    threads: int

    def pairs(self) -> float:
        """Visible pairs of query and key, of one head."""
        return self.seq_len * (self.seq_len + 1) / 2 if self.causal else float(self.seq_len) ** 2

    def flops(self) -> float:
        return 4.0 * QUERY_HEADS * self.head_dim * self.pairs()

    def key_value_bytes(self) -> float:
        return 2.0 * KV_HEADS * self.seq_len * self.head_dim * BYTES_OF[self.dtype]

    def score_bytes(self) -> float:
        """What `standard` moves of its score matrices if nothing stays in a cache."""
        return 16.0 * QUERY_HEADS * self.pairs()


@dataclass(frozen=True)
class LaunchRounds:
    """The rounds of one setting in one launch, in the order they were measured."""

    launch: str  # experiment, run directory, number
    seconds: FloatArray
    limits: FloatArray  # beside each round: FLOPs per second, for decode bytes per second
    fractions: FloatArray  # of the limit
    # standard only: fraction of the peak that the roofline predicts, nothing overlapping and everything
    predicted: FloatArray | None = None
    predicted_overlap: FloatArray | None = None
    relative_error: float | None = None  # L2, against float64 on the inputs as the kernel got them

    def fraction(self) -> Interval:
        return interval_of(RoundsEstimate(np.log(self.fractions)))

    def log_seconds(self) -> FloatArray:
        return np.log(self.seconds)


Measurements = Mapping[Setting, list[LaunchRounds]]


def ratio_of_medians(numerator: FloatArray, denominator: FloatArray) -> Interval:
    """Of two blocks of rounds that nothing pairs."""
    return interval_of(BlocksEstimate(np.log(numerator), np.log(denominator)))


def mean_limit_ratio(pairs: Sequence[tuple[LaunchRounds, LaunchRounds]]) -> float:
    """What the first ones' limits are of the second ones', over all pairs: one measured in a single pair of blocks has
    whatever the clock did between the two in it."""
    return float(np.exp(np.mean([np.log(np.median(one.limits) / np.median(other.limits)) for one, other in pairs])))


def read_measurements(runs: Iterable[Run]) -> dict[Setting, list[LaunchRounds]]:
    """All cases of the 16/8 heads on one rank with tiles chosen by the kernel; others are left out.

    Raises UnusableInput if a case failed, shared its cores, is of an unknown type, or was measured twice in one launch.
    """
    found: dict[Setting, list[LaunchRounds]] = {}
    for run in runs:
        for case in run.cases:
            if not _is_wanted(case):
                continue
            if case.status not in ("ok", "time_limited"):
                raise UnusableInput(f"{run.directory}: case {case.case} of launch {case.launch} {case.status}: {case.message}")
            if case.oversubscribed:
                raise UnusableInput(f"{run.directory}: case {case.case} had more threads than cores")
            launch = f"{run.experiment}/{run.directory.name}/{case.launch}"
            setting = _setting_of(case, run.directory)
            rounds = found.setdefault(setting, [])
            if any(other.launch == launch for other in rounds):
                raise UnusableInput(f"{run.directory}: launch {case.launch} measured {setting} twice")
            rounds.append(_rounds_of(launch, setting, case, run.samples[(case.launch, case.case)]))
    return found


def _is_wanted(case: Case) -> bool:
    wanted = {
        "scope": "attention", "ranks": "1", "batch": "1", "heads": str(QUERY_HEADS), "kv_heads": str(KV_HEADS),
        "data": "gaussian", "cache": "warm", "strategy": "headwise",
    }  # fmt: skip
    # Tiles chosen by hand are named in brackets behind the variant.
    return all(case.factors[name] == value for name, value in wanted.items()) and "[" not in case.variant


def _setting_of(case: Case, directory: Path) -> Setting:
    factors = case.factors
    if factors["dtype"] not in BYTES_OF:
        known = ", ".join(BYTES_OF)
        raise UnusableInput(f"{directory}: case {case.case} is of dtype '{factors['dtype']}', whose size is unknown; known are {known}")
    return Setting(
        phase=factors["phase"],
        algorithm=factors["algorithm"],
        dtype=factors["dtype"],
        isa=factors["isa"],
        head_dim=int(factors["head_dim"]),
        causal=factors["causal"] == "true",
        seq_len=int(factors["seq_len"]),
        threads=int(factors["threads"]),
    )


def _rounds_of(launch: str, setting: Setting, case: Case, samples: list[Sample]) -> LaunchRounds:
    good = [sample for sample in samples if sample.status == "ok"]
    if not good:
        raise UnusableInput(f"{launch}: no sample of {case.case} is ok")
    seconds = _column(good, "time_s")
    if setting.phase == "decode":
        bandwidth = 1e9 * _column(good, "read_gb_per_s")
        fractions = setting.key_value_bytes() / seconds / bandwidth
        return LaunchRounds(launch, seconds, bandwidth, fractions, None, None, case.counts["rel_l2_err"])
    peak = 1e9 * _column(good, "peak_gflops")
    predicted = predicted_overlap = None
    if setting.algorithm == "standard":
        compute = setting.flops() / peak
        moving = setting.score_bytes() / (1e9 * _column(good, "read_gb_per_s"))
        predicted, predicted_overlap = compute / (compute + moving), compute / (compute + moving / 2)
    fractions = setting.flops() / seconds / peak
    return LaunchRounds(launch, seconds, peak, fractions, predicted, predicted_overlap, case.counts["rel_l2_err"])


def _column(samples: list[Sample], name: str) -> FloatArray:
    values = [sample.metrics[name] for sample in samples]
    if any(not value for value in values):
        raise UnusableInput(f"samples.csv: {name} is missing in a sample of {samples[0].case}, launch {samples[0].launch}")
    return np.asarray(values, dtype=np.float64)
