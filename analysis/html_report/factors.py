"""Which factors tell the cells of a page apart, and their names as people say them."""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from analysis.judge.regimes import factor_label
from analysis.read.read_run import FACTOR_COLUMNS

# The axes of the map first; what the later ones say, the earlier ones may have said.
_FIRST = ("run", "contract", "ranks", "model", "mask", "variant", "seq_len")
_NAMES = {
    "run": "run", "seq_len": "length", "kv_heads": "KV heads", "head_dim": "head width", "isa": "instruction set",
    "dtype": "type", "causal": "mask",
}  # fmt: skip
_ORDER = (*_FIRST, *(name for name in FACTOR_COLUMNS if name not in (*_FIRST, "causal", "seed")))


def varying(cells: Iterable[Mapping[str, str]], leave_out: Sequence[str] = ()) -> list[str]:
    """The fewest factors, in the order of their weight, that tell the cells apart; 'run' may be one of them."""
    everything = list(cells)
    chosen: list[str] = []

    def kinds(*names: str) -> int:
        return len({tuple(cell.get(name, "") for name in (*leave_out, *names)) for cell in everything})

    for name in _ORDER:
        if name not in leave_out and kinds(*chosen, name) > kinds(*chosen):
            chosen.append(name)
    return chosen


def name_of(factor: str) -> str:
    return _NAMES.get(factor, factor.replace("_", " "))


def value_label(factor: str, value: str) -> str:
    """'2 ranks', '1 thread', '512 tokens', 'native'."""
    if factor in ("ranks", "threads", "nodes"):
        return f"{value} {factor if value != '1' else factor[:-1]}"
    return value if factor == "run" else factor_label(factor, value)


def label(cell: Mapping[str, str], factors: Sequence[str]) -> str:
    return ", ".join(value_label(name, cell[name]) for name in factors if cell.get(name)) or "all"


def sort_key(cell: Mapping[str, str], factors: Sequence[str]) -> list[tuple[float, str]]:
    """Numbers by value, before words."""
    values = [cell.get(name, "") for name in factors]
    return [(float(v), "") if v.replace(".", "", 1).isdigit() and v.isascii() else (float("inf"), v) for v in values]
