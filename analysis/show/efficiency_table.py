"""The table of parallel_efficiency.py."""

from __future__ import annotations

from typing import Mapping, Sequence

from analysis.estimate.rank_efficiency import Efficiency
from analysis.show.text_table import markdown_table

_SHOWN = ("model", "phase", "contract", "dtype", "isa", "batch", "seq_len", "causal", "ranks", "threads", "nodes")
_MISSING = "-"
NOT_RESOLVED = "not resolved"


def _row(found: Efficiency, shown: Sequence[str]) -> list[str]:
    numbers = (found.efficiency, found.cores, found.quotient, found.hidden, found.exchange_per_compute, found.imbalance)
    words = [_MISSING if number is None else str(number) for number in numbers]
    if found.hidden is not None and not found.hidden_resolved:
        words[3] = NOT_RESOLVED
    return [*(found.factors[name] for name in shown), found.factors["variant"], *words[:2], found.limit, *words[2:]]


def table(runs: Mapping[str, Sequence[Efficiency]]) -> list[str]:
    """Lines of Markdown; runs by name, which is a column if there are several."""
    everything = [found for compared in runs.values() for found in compared]
    shown = [name for name in _SHOWN if len({found.factors[name] for found in everything}) > 1]
    header = [*(["run"] if len(runs) > 1 else []), *shown, "variant", "efficiency", "cores", "of", "quotient", "hidden"]
    header += ["exchange/compute", "slowest/fastest"]
    rows = [
        [*([name] if len(runs) > 1 else []), *_row(found, shown)] for name, compared in runs.items() for found in compared
    ]
    return markdown_table(header, rows)
