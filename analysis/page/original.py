"""Figures about the original study's own code: results/original/, facts to cite."""

from __future__ import annotations

from typing import Mapping

from analysis.judge.published import read_published
from analysis.page.records import Results
from analysis.read.csv_table import UnusableInput, read_table

PEAK_GFLOPS = 115  # fp32, of the core that measured.csv was measured on; results/original/README.md
# The three variants of the order, fastest first as claimed, in the notes of its repository.
_ORDER = ("sequence+online total", "headwise+online total", "headwise+standard total")
_SETTINGS = ("T=128 2 ranks", "T=128 4 ranks", "T=64 2 ranks")


def _measured(results: Results) -> Mapping[tuple[str, str], str]:
    rows = read_table(results.directory / "original" / "measured.csv", ("what", "setting", "value", "unit")).rows
    return {(row.text("what"), row.text("setting")): row.text("value") for row in rows}


def _of(measured: Mapping[tuple[str, str], str], what: str, setting: str) -> str:
    if (what, setting) not in measured:
        raise UnusableInput(f"results/original/measured.csv has no row '{what}', '{setting}'")
    return measured[what, setting]


def _in_order(results: Results) -> int:
    """In how many settings the three published times are in the claimed order."""
    rows = read_published(results.directory / "original" / "published.csv")
    found = 0
    for setting in _SETTINGS:
        times = [rows[f"repo | {name} | {setting}"].value for name in _ORDER]
        found += times == sorted(times)
    return found


def values(results: Results) -> dict[str, str]:
    measured = _measured(results)
    standard = _of(measured, "headwise_standard", "full S=1024 1 thread")
    online = _of(measured, "headwise_online", "causal S=1024 1 thread")
    error = "sequence_online_softmax relative L2 error vs causal"
    return {
        "original.error_one_rank": _of(measured, error, "1 rank"),
        "original.error_two_ranks": _of(measured, error, "2 ranks"),
        "original.standard_rate": f"{standard} GFLOP/s",
        "original.online_rate": f"{online} GFLOP/s",
        "original.peak": f"{PEAK_GFLOPS} GFLOP/s",
        "original.standard_share": f"{100 * float(standard) / PEAK_GFLOPS:.1f} %",
        "original.online_share": f"{100 * float(online) / PEAK_GFLOPS:.1f} %",
        "original.settings": str(len(_SETTINGS)),
        "original.in_order": str(_in_order(results) or "none"),
    }
