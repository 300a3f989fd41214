"""What is fastest where on simulated machines, and how far simulated times are from measured ones."""

from __future__ import annotations

from analysis.estimate.scale_map import MARGIN, ScaleMap, scale_maps
from analysis.estimate.validation import compared, errors
from analysis.page.records import Record, Results
from analysis.read.csv_table import UnusableInput
from analysis.show.scale_tables import platform_section, summary
from analysis.show.validation_tables import error_table

PLATFORMS = ("home_1gbit", "ethernet_10gbit", "fat_tree_100gbit", "original")
# Of a platform's run directories, beside that of the map.
TASKS = ("", "_decode", "_layer")
HERE = "this_machine"
# No measurements, so not among the records that verdicts are made of.
SIMULATED = "scale/simulated"


def _simulated(results: Results, name: str) -> Record:
    return Record(results.directory / SIMULATED / name)


def _maps(results: Results) -> list[ScaleMap]:
    """Platform by platform; of a prefill of attention first."""
    directory = results.directory / SIMULATED
    names = [f"{name}{task}" for name in PLATFORMS for task in TASKS if task == "" or (directory / f"{name}{task}").is_dir()]
    return [found for name in names for found in scale_maps(_simulated(results, name).run)]


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


_DEVIATIONS = {"core_speed": "speeds of cores", "kernels": "steps of kernels", "gb_per_s": "bandwidths", "latency_us": "latencies"}


def _uncertainty(maps: list[ScaleMap]) -> str:
    """What leads are over."""
    fewest, most = min(found.draws[0] for found in maps), max(found.draws[1] for found in maps)
    if most == 0:
        return "simulations repeat to the last digit and have no intervals; what is uncertain is the machine"
    number = str(most) if fewest == most else f"{fewest} to {most}"
    deviations = {name: sorted({found.uncertainty[name] for found in maps if name in found.uncertainty}) for name in _DEVIATIONS}
    spreads = [f"{what} by {' or '.join(f'{100 * value:.0f}' for value in deviations[name])} %" for name, what in _DEVIATIONS.items() if deviations[name]]
    return (
        f"a simulation repeats to the last digit, and what is uncertain is the machine. So every way was simulated on {number} more machines "
        f"drawn around it, the same ones for all ways ({', '.join(spreads)}: standard deviations, assumed), and a lead is the interval in "
        "which 95 % of such machines lie. Errors of the model itself are not in it"
    )


def values(results: Results) -> dict[str, str]:
    maps = _maps(results)
    sections = ["\n".join(platform_section(found)) for found in maps]
    return {
        "scale.margin": f"{100 * MARGIN:.0f} %",
        "scale.summary": summary([found for found in maps if (found.scope, found.phase) == ("attention", "prefill")]),
        "scale.uncertainty": _uncertainty(maps),
        "scale.maps": "\n\n".join(sections),
        "scale.most_ranks": str(max(max(found.nodes) for found in maps)),
        **_errors(results),
    }
