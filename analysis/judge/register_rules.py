"""The kinds of rules of the register: what each takes, how it is checked, how it decides, and how it reads in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from analysis.judge import register_limits, register_ratios
from analysis.judge.register_entry import Entry, Outcome, RegisterWord, RunSource


@dataclass(frozen=True)
class Kind:
    """One row of the table below."""

    required: tuple[str, ...]  # keys of the rule, beside its kind
    optional: tuple[str, ...]
    check: Callable[[Entry], None]  # raises UnusableInput, without the claim's name
    decide: Callable[[Entry, RunSource], Outcome]
    text: Callable[[Entry], str]
    needs_runs: bool = True


def _check_nothing(entry: Entry) -> None:
    """The keys say it all."""


def _cannot(entry: Entry, source: RunSource) -> Outcome:
    return Outcome(RegisterWord.CANNOT, str(entry.rule["reason"]))


_PAIR = ("over", "reproduced_if")
_PLACE = ("where", "regime")
KINDS: dict[str, Kind] = {
    "ratio_of_times": Kind(
        ("slow", "fast", *_PAIR), (*_PLACE, "metric", "processors"),
        register_ratios.check_claims, register_ratios.decide_times, register_ratios.claim_text,
    ),
    "experiment_claim": Kind(
        ("claim",), ("where",), _check_nothing, register_ratios.decide_experiment_claim, register_ratios.claim_text
    ),
    "bytes_ratio": Kind(
        ("more", "less", *_PAIR), (*_PLACE, "metric"),
        register_ratios.check_claims, register_ratios.decide_bytes, register_ratios.claim_text,
    ),
    "memory": Kind(
        ("more", "less", "of", *_PAIR), _PLACE,
        register_ratios.check_claims, register_ratios.decide_memory, register_ratios.claim_text,
    ),
    "efficiency_growth": Kind(
        ("ranks", "seq_len"), ("where",),
        register_limits.check_growth, register_limits.decide_growth, register_limits.limits_text,
    ),
    "spread_below": Kind(
        ("over", "values", "at_most"), _PLACE,
        register_ratios.check_claims, register_ratios.decide_spread, register_ratios.claim_text,
    ),
    "memory_bound": Kind(
        (), _PLACE, register_limits.check_memory_bound, register_limits.decide_memory_bound, register_limits.limits_text
    ),
    "cannot_be_tested_here": Kind(("reason",), (), _check_nothing, _cannot, lambda entry: "none: it is not tested", False),
}  # fmt: skip
