"""Simulated and measured times as Markdown."""

from __future__ import annotations

from typing import Sequence

from analysis.estimate.validation import Compared, errors
from analysis.show.text_table import markdown_table

_FACTORS = ("ranks", "model", "contract", "seq_len", "mask", "variant")


def _row(name: Sequence[str], cases: Sequence[Compared]) -> list[str]:
    found = errors(cases)
    figures = [f"{100 * found.median:.1f} %", f"{100 * found.at_90_percent:.1f} %", f"{100 * found.bias:+.1f} %"]
    return [*name, str(found.cases), *figures]


def error_table(cases: Sequence[Compared]) -> list[str]:
    """By number of ranks and variant, then all."""
    groups: dict[tuple[str, str], list[Compared]] = {}
    for case in cases:
        groups.setdefault((case.factors["ranks"], case.factors["variant"]), []).append(case)
    rows = [_row(key, groups[key]) for key in sorted(groups, key=lambda key: (int(key[0]), key[1]))]
    header = ["ranks", "variant", "cases", "median error", "90th percentile", "median, signed"]
    return markdown_table(header, [*rows, _row(("all", ""), cases)])


def case_table(cases: Sequence[Compared]) -> list[str]:
    """Every case, the worst first."""
    rows = [
        [
            *(case.factors[name] for name in _FACTORS),
            f"{1e3 * case.measured_s:.3g}",
            f"{1e3 * case.simulated_s:.3g}",
            f"{100 * case.error:+.1f}",
        ]
        for case in sorted(cases, key=lambda case: -abs(case.error))
    ]
    return markdown_table([*_FACTORS, "measured ms", "simulated ms", "error %"], rows)
