"""What is fastest where on simulated machines, and how far simulated times are from measured ones."""

from __future__ import annotations

from analysis.estimate.scale_map import MARGIN, ScaleMap, scale_map
from analysis.estimate.validation import compared, errors
from analysis.page.records import Record, Results
from analysis.read.csv_table import UnusableInput
from analysis.show.scale_tables import platform_section, summary
from analysis.show.validation_tables import error_table

PLATFORMS = ("home_1gbit", "ethernet_10gbit", "fat_tree_100gbit", "original")
HERE = "this_machine"
# No measurements, so not among the records that verdicts are made of.
SIMULATED = "scale/simulated"


def _simulated(results: Results, name: str) -> Record:
    return Record(results.directory / SIMULATED / name)


def _maps(results: Results) -> list[ScaleMap]:
    return [scale_map(_simulated(results, name).run) for name in PLATFORMS]


def _errors(results: Results) -> dict[str, str]:
    found = compared(results.record("ordering").run, _simulated(results, HERE).run)
    several = [case for case in found if case.factors["ranks"] != "1"]
    if not several:
        raise UnusableInput(f"{results.directory / SIMULATED / HERE}: shares no case of several ranks with the measured run of ordering")
    both = errors(several)
    return {
        "scale.error_table": "\n".join(error_table(found)),
        "scale.median_error": f"{100 * both.median:.0f} %",
        "scale.error_at_90_percent": f"{100 * both.at_90_percent:.0f} %",
        "scale.compared_cases": str(both.cases),
    }


def _uncertainty(maps: list[ScaleMap]) -> str:
    """What leads are over."""
    counts = {found.draws for found in maps}
    if counts == {0}:
        return "simulations repeat to the last digit and have no intervals; what is uncertain is the machine"
    low, high = min(counts), max(counts)
    number = str(low) if low == high else f"{low} to {high}"
    return (
        f"a simulation repeats to the last digit, and what is uncertain is the machine, so every way was simulated on {number} machines "
        "drawn around it as well, and leads are intervals over these"
    )


def values(results: Results) -> dict[str, str]:
    maps = _maps(results)
    sections = ["\n".join(platform_section(found)) for found in maps]
    return {
        "scale.margin": f"{100 * MARGIN:.0f} %",
        "scale.summary": summary(maps),
        "scale.uncertainty": _uncertainty(maps),
        "scale.maps": "\n\n".join(sections),
        "scale.most_ranks": str(max(max(found.nodes) for found in maps)),
        **_errors(results),
    }
