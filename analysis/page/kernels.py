"""Figures about one rank's kernels: the runs of experiments/kernels*.yaml."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Sequence

import numpy as np

from analysis.estimate.kernel_measurements import LaunchRounds, Measurements, Setting, read_measurements
from analysis.estimate.paired_statistics import Interval
from analysis.judge.kernel_verdicts import DECODE_KEYS, GROWTH_FROM, GROWTH_TO, Outcome, make_tables
from analysis.page.records import NOT_MEASURED, Results, over_launches, percent, precise, span, table
from analysis.read.csv_table import UnusableInput

RECORDS = (
    "kernels", "kernels_long", "kernels_shapes", "kernels_threads", "kernels_bf16", "kernels_decode", "kernels_growth",
)  # fmt: skip
_ALGORITHMS = ("online_softmax", "row_blocked", "standard")
_ISA_NAMES = {"avx2": "AVX2", "avx512": "AVX-512"}


def fraction(rounds: Sequence[LaunchRounds]) -> Interval:
    """Of the limit beside it: over the launches' medians."""
    medians = [float(np.median(np.log(one.fractions))) for one in rounds]
    return over_launches(medians, sum(len(one.fractions) for one in rounds))


def pairs_of(measured: Measurements, one: Setting, other: Setting) -> list[tuple[LaunchRounds, LaunchRounds]]:
    """Launches that measured both."""
    others = {rounds.launch: rounds for rounds in measured.get(other, [])}
    return [(rounds, others[rounds.launch]) for rounds in measured.get(one, []) if rounds.launch in others]


def ratio(pairs: Sequence[tuple[LaunchRounds, LaunchRounds]], value: Callable[[LaunchRounds], np.ndarray[tuple[int], np.dtype[np.float64]]]) -> Interval:
    """Of the first ones' medians over the second ones', launch by launch."""
    medians = [float(np.median(np.log(value(one))) - np.median(np.log(value(other)))) for one, other in pairs]
    return over_launches(medians, sum(min(len(one.seconds), len(other.seconds)) for one, other in pairs))


def _is_prefill(setting: Setting, head_dim: int) -> bool:
    return setting.phase == "prefill" and setting.dtype == "fp32" and setting.threads == 1 and setting.head_dim == head_dim


def prefill_table(measured: Measurements, head_dim: int) -> str:
    """Per cent of the FMA peak: a row per algorithm, mask and ISA, a column per length."""
    settings = [s for s in measured if _is_prefill(s, head_dim) and len(measured[s]) > 1 and s.seq_len != GROWTH_TO]
    lengths = sorted({setting.seq_len for setting in settings})
    rows = []
    for algorithm in _ALGORITHMS:
        for causal in (False, True):
            for isa, name in _ISA_NAMES.items():
                found = [replace(settings[0], algorithm=algorithm, causal=causal, isa=isa, seq_len=n) for n in lengths]
                if any(setting in settings for setting in found):
                    cells = [percent(fraction(measured[s])) if s in settings else NOT_MEASURED for s in found]
                    rows.append([f"`{algorithm}`", "causal" if causal else "full", name, *cells])
    return table(["algorithm", "mask", "ISA", *map(str, lengths)], rows)


def prefill_span(measured: Measurements, algorithm: str, causal: bool) -> str:
    """The smallest and the largest of a row and its intervals."""
    found = [fraction(measured[s]) for s in measured
             if _is_prefill(s, 128) and s.algorithm == algorithm and s.causal == causal and s.isa == "avx512" and s.seq_len != GROWTH_TO]  # fmt: skip
    if not found:
        raise UnusableInput(f"no prefill of {algorithm} was measured")
    found.sort(key=lambda interval: interval.centre)
    return f"{percent(found[0])} to {percent(found[-1])} %"


def threads_table(measured: Measurements) -> str:
    settings = sorted(s for s in measured if s.threads == 2 and s.phase == "prefill" and s.dtype == "fp32")
    lengths = sorted({setting.seq_len for setting in settings})
    rows = []
    for algorithm in _ALGORITHMS:
        for causal in (False, True):
            cells = []
            for length in lengths:
                two = [s for s in settings if (s.algorithm, s.causal, s.seq_len) == (algorithm, causal, length)]
                pairs = [pair for s in two for pair in pairs_of(measured, s, replace(s, threads=1))]
                cells.append(percent(ratio(pairs, lambda rounds: rounds.fractions)) if pairs else NOT_MEASURED)
            if any(cells):
                rows.append([f"`{algorithm}`", "causal" if causal else "full", *cells])
    return table(["algorithm", "mask", *map(str, lengths)], rows)


def bf16_table(measured: Measurements) -> str:
    rows = []
    for setting in sorted(s for s in measured if s.phase == "prefill" and s.dtype == "bf16"):
        pairs = pairs_of(measured, setting, replace(setting, dtype="fp32"))
        if len(pairs) < 2:
            continue
        faster = ratio([(fp32, bf16) for bf16, fp32 in pairs], lambda rounds: rounds.seconds)
        peaks = ratio(pairs, lambda rounds: rounds.limits)
        error = max(bf16.relative_error or 0.0 for bf16, _ in pairs)
        name = "causal" if setting.causal else "full"
        rows.append([name, str(setting.seq_len), precise(faster), precise(peaks), f"{error:.1e}"])
    return table(["mask", "tokens", "fp32 time / bf16 time", "bf16 peak / fp32 peak", "relative error"], rows)


def decode_table(measured: Measurements) -> str:
    rows = []
    for setting in sorted(s for s in measured if s.phase == "decode" and s.seq_len == DECODE_KEYS):
        name = _ISA_NAMES[setting.isa]
        rows.append([setting.dtype, str(setting.threads), name, percent(fraction(measured[setting]))])
    return table(["type", "threads", "ISA", "% of the read bandwidth"], rows)


def growth_table(measured: Measurements) -> str:
    rows = []
    for setting in sorted(s for s in measured if s.phase == "prefill" and s.seq_len == GROWTH_TO and s.dtype == "fp32"):
        lengths = sorted({s.seq_len for s in measured if s == replace(setting, seq_len=s.seq_len)})
        for length in lengths:
            longer = replace(setting, seq_len=length)
            launches = {one.launch for one in measured[setting]}
            pairs = [p for p in pairs_of(measured, longer, replace(setting, seq_len=GROWTH_FROM)) if p[0].launch in launches]
            if length == GROWTH_FROM or not pairs:
                continue
            work = longer.flops() / replace(setting, seq_len=GROWTH_FROM).flops()
            cost = ratio(pairs, lambda rounds: rounds.seconds)
            scaled = Interval(cost.low / work, cost.centre / work, cost.high / work)
            rows.append(["causal" if setting.causal else "full", str(length), precise(scaled)])
    return table(["mask", "tokens", f"time per FLOP over that at {GROWTH_FROM} tokens"], rows)


def values(results: Results) -> dict[str, str]:
    records = [results.record(name) for name in RECORDS]
    measured = read_measurements(record.run for record in records)
    lines = [line.outcome for found in make_tables(measured) for line in found.lines if line.outcome is not Outcome.REPORTED]
    return {
        "kernels.launches": span(record.launches for record in records),
        "kernels.prefill_table": prefill_table(measured, 128),
        "kernels.prefill_64_table": prefill_table(measured, 64),
        "kernels.online_full": prefill_span(measured, "online_softmax", False),
        "kernels.lengths": span(sorted({s.seq_len for s in measured if _is_prefill(s, 128) and s.seq_len != GROWTH_TO})),
        "kernels.threads_table": threads_table(measured),
        "kernels.bf16_table": bf16_table(measured),
        "kernels.decode_table": decode_table(measured),
        "kernels.decode_keys": str(DECODE_KEYS),
        "kernels.growth_table": growth_table(measured),
        "kernels.targets": f"{lines.count(Outcome.MET)} of {len(lines)}",
    }
