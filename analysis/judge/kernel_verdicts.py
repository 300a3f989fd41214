"""What the kernels are asked for, and whether the measurements meet it.

A target is met when the lower end of the 95 % interval of the per-round fractions is within 0.01 of it in every launch
that is there, and there are at least three. `standard` at 4096 and 8192 tokens is measured against what the roofline
predicts (kernel_measurements.py derives it). Other lines of the same kind have no target and are reported.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Callable, Iterator, Sequence

import numpy as np

from analysis.estimate.kernel_measurements import (
    LaunchRounds,
    Measurements,
    Setting,
    mean_limit_ratio,
    ratio_of_medians,
)
from analysis.estimate.paired_statistics import Interval

SLACK = 0.01
LAUNCHES = 3
ISAS = ("avx2", "avx512")
LARGEST_ISA_GAP = 0.05
HEAD_DIM_64_ALLOWANCE = 0.08
TWO_THREADS = 0.95
DECODE_FRACTION, DECODE_KEYS = 0.90, 32768
BF16_PREFILL, BF16_DECODE = 1.85, 1.8
GROWTH = 1.10
GROWTH_FROM, GROWTH_TO = 1024, 16384

LENGTHS = (512, 1024, 2048, 4096, 8192)
ROOFLINE = None  # in place of a target
# (algorithm, causal) -> targets by LENGTHS: fp32, head_dim 128, one thread, the better ISA
PREFILL_TARGETS: dict[tuple[str, bool], tuple[float | None, ...]] = {
    ("online_softmax", False): (0.90, 0.92, 0.92, 0.92, 0.92),
    ("online_softmax", True): (0.84, 0.88, 0.90, 0.90, 0.90),
    ("standard", False): (0.78, 0.76, 0.74, ROOFLINE, ROOFLINE),
    ("row_blocked", False): (0.88, 0.89, 0.89, 0.86, 0.86),
}


class Outcome(enum.Enum):
    MET = "met"
    MISSED = "NOT MET"
    FEW_LAUNCHES = f"met, but in fewer than {LAUNCHES} launches"
    NOT_MEASURED = "not measured"
    REPORTED = ""  # no target


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    what: str
    target: str
    values: str
    outcome: Outcome


@dataclass(frozen=True)
class Table:
    title: str
    lines: list[Line]


def outcome_of(met: Sequence[bool]) -> Outcome:
    """From one answer per launch."""
    if not met:
        return Outcome.NOT_MEASURED
    if not all(met):
        return Outcome.MISSED
    return Outcome.MET if len(met) >= LAUNCHES else Outcome.FEW_LAUNCHES


def join_launches(values: Sequence[str]) -> str:
    return "  ".join(values) if values else "-"


def describe(setting: Setting) -> str:
    if setting.phase == "decode":
        return f"decode {setting.seq_len} keys"
    mask = "causal" if setting.causal else "full"
    return f"{setting.algorithm:14s} {mask:6s} S={setting.seq_len}"


def prefill(algorithm: str, causal: bool, seq_len: int, isa: str) -> Setting:
    return Setting("prefill", algorithm, "fp32", isa, 128, causal, seq_len, 1)


def better_isa(measured: Measurements, setting: Setting) -> str | None:
    """The ISA whose worst launch is the best; None if neither was measured."""
    worst = {
        isa: min(rounds.fraction().low for rounds in measured[replace(setting, isa=isa)])
        for isa in ISAS
        if replace(setting, isa=isa) in measured
    }
    return max(worst, key=lambda isa: worst[isa]) if worst else None


def against_target(rounds: LaunchRounds, target: float | None) -> bool:
    if target is not ROOFLINE:
        return rounds.fraction().low >= target - SLACK
    assert rounds.predicted is not None
    return rounds.fraction().low >= float(np.median(rounds.predicted)) - SLACK


def beside(rounds: LaunchRounds, target: float | None) -> float:
    """What two ISAs are compared by: the fraction, or how far it is from what the roofline predicts of that ISA."""
    fraction = rounds.fraction().centre
    if target is not ROOFLINE:
        return fraction
    assert rounds.predicted is not None
    return fraction - float(np.median(rounds.predicted))


def format_target(target: float | None, rounds: Sequence[LaunchRounds]) -> str:
    if target is not ROOFLINE:
        return f"{target:.2f}"
    bounds = [
        float(np.median(values))
        for one in rounds
        for values in (one.predicted, one.predicted_overlap)
        if values is not None
    ]
    return f"roofline {min(bounds):.2f}, overlapped {max(bounds):.2f}" if bounds else "roofline"


def prefill_line(measured: Measurements, setting: Setting, target: float | None) -> Line:
    """The better ISA against its target, and how far behind the other one is."""
    best = better_isa(measured, setting)
    if best is None:
        return Line(describe(setting), format_target(target, []), "-", Outcome.NOT_MEASURED)
    rounds = measured[replace(setting, isa=best)]
    values = f"{best:6s} " + join_launches([str(one.fraction()) for one in rounds])
    outcome = outcome_of([against_target(one, target) for one in rounds])
    other = ISAS[1 - ISAS.index(best)]
    others = {one.launch: one for one in measured.get(replace(setting, isa=other), [])}
    gaps = [beside(one, target) - beside(others[one.launch], target) for one in rounds if one.launch in others]
    if not gaps:
        values += f"  {other} not measured"
        if outcome in (Outcome.MET, Outcome.FEW_LAUNCHES):
            outcome = Outcome.NOT_MEASURED
    else:
        values += f"  {other} {-max(gaps):+.3f}"
        if max(gaps) > LARGEST_ISA_GAP:
            outcome = Outcome.MISSED
    return Line(describe(setting), format_target(target, rounds), values, outcome)


def prefill_table(measured: Measurements, head_dim: int, allowance: float) -> Table:
    lines = []
    for (algorithm, causal), targets in PREFILL_TARGETS.items():
        for seq_len, target in zip(LENGTHS, targets):
            setting = replace(prefill(algorithm, causal, seq_len, ISAS[0]), head_dim=head_dim)
            lowered = target if target is ROOFLINE else target - allowance
            # Another head_dim is asked for where it was measured.
            if head_dim == 128 or better_isa(measured, setting) is not None:
                lines.append(prefill_line(measured, setting, lowered))
    if not lines:
        lines.append(Line("any", "", "-", Outcome.NOT_MEASURED))
    return Table(
        f"Prefill, fp32, head_dim {head_dim}, one thread: fraction of the FMA peak beside it, per launch; the other ISA at"
        f" most {LARGEST_ISA_GAP} behind",
        lines,
    )


def ratio_lines(
    measured: Measurements,
    settings: Iterator[Setting],
    counterpart: Callable[[Setting], Setting],
    ratio: Callable[[LaunchRounds, LaunchRounds], Interval],
    target: Callable[[Setting], float | None],
    also: str = "",
) -> list[Line]:
    """Each setting against its counterpart of the same launch. With `also`, the plain ratio of the times, under that name."""
    lines = []
    for setting in settings:
        others = {one.launch: one for one in measured.get(counterpart(setting), [])}
        pairs = [(one, others[one.launch]) for one in measured[setting] if one.launch in others]
        if not pairs:
            continue
        intervals = [ratio(one, other) for one, other in pairs]
        asked = target(setting)
        outcome = Outcome.REPORTED
        if asked is not None:
            outcome = outcome_of([interval.low >= asked - SLACK for interval in intervals])
        threads = "" if setting.threads == 1 else f" {setting.threads} threads"
        values = [str(interval) for interval in intervals]
        if also:
            values.append(also)
            values += [f"{ratio_of_medians(other.seconds, one.seconds).centre:.3f}" for one, other in pairs]
        values.append(f"error {max(one.relative_error or 0 for one, _ in pairs):.1e}")
        what = f"{describe(setting)} {setting.isa}{threads}"
        lines.append(Line(what, "" if asked is None else f"{asked:.2f}", join_launches(values), outcome))
    return lines or [Line("any", "", "-", Outcome.NOT_MEASURED)]


@dataclass(frozen=True)
class RatioOfFractions:
    """How much faster one kernel is than another that was measured minutes apart, when the machine was another one: ratio
    of the fractions of the limits beside them, times that of the limits."""

    limits: float

    def __call__(self, one: LaunchRounds, other: LaunchRounds) -> Interval:
        ratio = ratio_of_medians(one.fractions, other.fractions)
        return Interval(ratio.low * self.limits, ratio.centre * self.limits, ratio.high * self.limits)


def two_threads_table(measured: Measurements) -> Table:
    settings = (s for s in sorted(measured) if s.threads == 2 and s.phase == "prefill" and s.dtype == "fp32")
    lines = ratio_lines(
        measured,
        settings,
        lambda setting: replace(setting, threads=1),
        lambda two, one: ratio_of_medians(two.fractions, one.fractions),
        lambda _: TWO_THREADS,
    )
    return Table("Two threads: their fraction of the two-thread peak over one thread's of its own", lines)


def bf16_table(measured: Measurements) -> Table:
    def target(setting: Setting) -> float | None:
        if setting.isa != ISAS[1]:
            return None  # widened, not multiplied
        if setting.phase == "decode":
            return BF16_DECODE if setting.seq_len >= DECODE_KEYS else None
        return BF16_PREFILL if setting.seq_len >= 2048 else None

    def in_fp32(setting: Setting) -> Setting:
        return replace(setting, dtype="fp32")

    settings = [setting for setting in sorted(measured) if setting.dtype == "bf16" and in_fp32(setting) in measured]
    title = "bf16: how many times as fast as fp32; relative L2 error against float64 on the rounded inputs"
    lines: list[Line] = []
    for isa in ISAS:
        prefills = [setting for setting in settings if setting.phase == "prefill" and setting.isa == isa]
        pairs = [
            (one, other)
            for setting in prefills
            for one in measured[setting]
            for other in measured[in_fp32(setting)]
            if one.launch == other.launch
        ]
        if pairs:
            ratio = RatioOfFractions(mean_limit_ratio(pairs))
            title += (
                f".\nPrefill, {isa}: ratio of the fractions of the peak, times that of the peaks over all cells,"
                f" {ratio.limits:.3f}: cells lie minutes apart, and the clock moves between them; the plain ratio of times"
                " beside it"
            )
            lines += ratio_lines(measured, iter(prefills), in_fp32, ratio, target, "by time")
    decodes = [setting for setting in settings if setting.phase == "decode"]
    from_cache = [setting for setting in decodes if setting.seq_len < DECODE_KEYS]
    from_memory = [setting for setting in decodes if setting.seq_len >= DECODE_KEYS]
    if from_cache:
        lines += ratio_lines(
            measured, iter(from_cache), in_fp32, lambda bf16, fp32: ratio_of_medians(fp32.seconds, bf16.seconds), target
        )
    if from_memory:
        ratio = RatioOfFractions(in_fp32(from_memory[0]).key_value_bytes() / from_memory[0].key_value_bytes())
        title += (
            f".\nDecode over {DECODE_KEYS} keys: ratio of the fractions of the read bandwidth, times that of the bytes: the"
            " bandwidth of a rented machine doubles and halves between cells; the plain ratio of times beside it"
        )
        lines += ratio_lines(measured, iter(from_memory), in_fp32, ratio, target, "by time")
    return Table(title, lines or [Line("any", "", "-", Outcome.NOT_MEASURED)])


def decode_table(measured: Measurements) -> Table:
    lines = []
    lengths = sorted({s.seq_len for s in measured if s.phase == "decode"} | {DECODE_KEYS})
    for threads in (1, 2):
        for keys in lengths:
            setting = Setting("decode", "online_softmax", "fp32", ISAS[0], 128, True, keys, threads)
            best = better_isa(measured, setting)
            what = f"{keys} keys, {threads} thread{'s' if threads > 1 else ''}"
            asked = keys == DECODE_KEYS
            target = f"{DECODE_FRACTION:.2f}" if asked else ""
            if best is None:
                lines.append(Line(what, target, "-", Outcome.NOT_MEASURED if asked else Outcome.REPORTED))
                continue
            rounds = measured[replace(setting, isa=best)]
            rates = [setting.key_value_bytes() / float(np.median(one.seconds)) * 1e-9 for one in rounds]
            values = [
                f"{str(one.fraction())} {rate:.1f} GB/s" for one, rate in zip(rounds, rates)
            ]
            outcome = outcome_of([against_target(one, DECODE_FRACTION) for one in rounds])
            lines.append(
                Line(what, target, f"{best:6s} " + join_launches(values), outcome if asked else Outcome.REPORTED)
            )
    return Table("Decode, fp32: K and V bytes per second as a fraction of the read bandwidth beside it", lines)


def growth_table(measured: Measurements) -> Table:
    """Time per FLOP, relative to GROWTH_FROM tokens, in the launches that measured the longest."""
    lines = []
    longest = [s for s in sorted(measured) if s.phase == "prefill" and s.seq_len == GROWTH_TO and s.dtype == "fp32"]
    for setting in longest:
        steps = [s for s in sorted(measured) if s == replace(setting, seq_len=s.seq_len) and s.seq_len >= GROWTH_FROM]
        launches = {one.launch for one in measured[setting]}
        met, texts = [], []
        for launch in sorted(launches):
            costs = {
                s.seq_len: float(np.median(one.seconds)) / s.flops()
                for s in steps
                for one in measured[s]
                if one.launch == launch
            }
            if GROWTH_FROM not in costs:
                continue
            first = costs[GROWTH_FROM]
            met.append(max(costs.values()) / min(costs.values()) <= GROWTH)
            texts.append(" ".join(f"{length}: {cost / first:.3f}" for length, cost in sorted(costs.items())))
        what = f"{setting.algorithm} {'causal' if setting.causal else 'full'} {setting.isa}"
        lines.append(Line(what, f"{GROWTH:.2f}", join_launches([f"[{text}]" for text in texts]), outcome_of(met)))
    if not lines:
        lines.append(Line(f"S={GROWTH_FROM} to {GROWTH_TO}", f"{GROWTH:.2f}", "-", Outcome.NOT_MEASURED))
    return Table(f"Cost growth: time per FLOP over that at {GROWTH_FROM} tokens; largest over smallest", lines)


def make_tables(measured: Measurements) -> list[Table]:
    return [
        prefill_table(measured, 128, 0.0),
        prefill_table(measured, 64, HEAD_DIM_64_ALLOWANCE),
        two_threads_table(measured),
        bf16_table(measured),
        decode_table(measured),
        growth_table(measured),
    ]


def exit_status(tables: Sequence[Table]) -> int:
    outcomes = {line.outcome for table in tables for line in table.lines}
    if Outcome.MISSED in outcomes:
        return 1
    return 3 if outcomes & {Outcome.NOT_MEASURED, Outcome.FEW_LAUNCHES} else 0
