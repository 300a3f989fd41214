"""The table of roofline.py."""

from __future__ import annotations

from typing import Sequence

from analysis.estimate.rooflines import (
    FACTORS,
    ORIGINAL_EIGHT_NODES,
    ORIGINAL_TOKENS,
    ORIGINAL_TWO_RANKS,
    Roofline,
)
from analysis.show.text_table import format_columns, markdown_table


def varying_factors(cases: Sequence[Roofline]) -> list[str]:
    """Those that tell the cases apart."""
    return [name for name in FACTORS if len({case.factors[name] for case in cases}) > 1]


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
    return ", ".join(f"{name} {cases[0].factors[name]}" for name in FACTORS if name not in varying)


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
