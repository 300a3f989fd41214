"""What is fastest where on simulated machines, and how far simulated times are from measured ones."""

from __future__ import annotations

from analysis.estimate.scale_map import MARGIN, ScaleMap, scale_maps
from analysis.estimate.validation import compared, errors
from analysis.judge.published import read_published
from analysis.page.records import Record, Results
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case
from analysis.show.scale_tables import FAR, departure_table, model_table, platform_section, standings
from analysis.show.text_table import markdown_table
from analysis.show.validation_tables import error_table

PLATFORMS = ("home_1gbit", "ethernet_10gbit", "fat_tree_100gbit", "original")
# Of a platform's run directories, beside that of the map.
TASKS = ("", "_decode", "_layer", "_weak")
HERE = "this_machine"
PUBLISHED = "published"
ORIGINAL = "published_original"
# Facts to cite.
META = (
    "Meta reports a parallelization efficiency of 93 % for a prefill of a million tokens by a whole model on 128 GPUs of "
    "16 nodes ([Yang et al.](https://arxiv.org/abs/2411.01783))"
)
MESH = (
    "For 16 query heads, 8 KV heads and 16 ranks the formula of [Mesh-Attention](https://arxiv.org/abs/2512.20968) has its tiles send "
    "x0.60 of a ring's bytes"
)
# Tasks by how they are called: scope and phase.
_TASKS = {
    "attention, a prompt": ("attention", "prefill"),
    "attention, a token": ("attention", "decode"),
    "a layer, a prompt": ("layer", "prefill"),
    "a layer, a token": ("layer", "decode"),
}
NOT_ASKED = "(The runs above are older than this comparison.)"
WHY_IT_DEPARTS = (
    "It departs mostly for two reasons. A probe measures steps that stand alone; the short steps of a ring of many ranks go on from a "
    "state, which takes longer. And the link within a node counts as shared by all of its ranks, also where one of them sends to the "
    "next node."
)
# No measurements, so not among the records that verdicts are made of.
SIMULATED = "scale/simulated"


def _simulated(results: Results, name: str) -> Record:
    return Record(results.directory / SIMULATED / name)


def _maps(results: Results) -> list[ScaleMap]:
    """Platform by platform; of a prefill of attention first."""
    directory = results.directory / SIMULATED
    names = [f"{name}{task}" for name in PLATFORMS for task in TASKS if task == "" or (directory / f"{name}{task}").is_dir()]
    return [found for name in names for found in scale_maps(_simulated(results, name).run)]


def prefill_maps(results: Results) -> list[ScaleMap]:
    """Those of attention's prefill, a platform each."""
    return _of_task(_maps(results), "attention", "prefill")


def _of_task(maps: list[ScaleMap], scope: str, phase: str) -> list[ScaleMap]:
    return [found for found in maps if (found.scope, found.phase) == (scope, phase) and not found.is_weak]


def _standings(maps: list[ScaleMap]) -> dict[str, list[str]]:
    """Of those tasks that were simulated."""
    found = {name: standings(_of_task(maps, *task)) for name, task in _TASKS.items()}
    return {name: ways for name, ways in found.items() if ways}


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


def _case_of(results: Results, directory: str, **factors: str) -> Case:
    """The one with these factors."""
    record = _simulated(results, directory)
    found = [case for case in record.run.cases if all(case.factors[name] == value for name, value in factors.items())]
    if len(found) != 1 or not found[0].summary["time_median_s"]:
        raise UnusableInput(f"{record.directory / 'cases.csv'}: {len(found)} cases with {factors}")
    return found[0]


def _efficiency(one: Case, several: Case) -> float:
    """Of several ranks over one."""
    slow, fast = one.summary["time_median_s"], several.summary["time_median_s"]
    assert slow and fast
    return slow / (int(several.factors["ranks"]) * fast)


def _published_original(results: Results) -> str:
    """The earlier study's efficiencies of eight nodes, and those that its cluster has here."""
    rows = read_published(results.directory / "original" / "published.csv")
    prefill, decode = {"phase": "prefill"}, {"phase": "decode"}
    ways: tuple[tuple[str, dict[str, str]], ...] = (
        ("prefill: ring", {"strategy": "sequence", "contract": "native", **prefill}),
        ("head-wise, `native`", {"strategy": "headwise", "contract": "native", **prefill}),
        ("head-wise, `token_sharded`", {"strategy": "headwise", "contract": "token_sharded", **prefill}),
        ("one token: by tokens", {"strategy": "sequence", "contract": "native", **decode}),
        ("head-wise", {"strategy": "headwise", "contract": "native", **decode}),
    )
    table = []
    for tokens in ("1024", "8192", "65536"):
        line = [tokens, f"{rows[f'table7 | efficiency at 8 nodes | T={tokens}'].value:.0f} %"]
        for _, way in ways:
            one = _case_of(results, ORIGINAL, **{**way, "contract": "native"}, ranks="1", seq_len=tokens)
            several = _case_of(results, ORIGINAL, **way, ranks="8", seq_len=tokens)
            line.append(f"{100 * _efficiency(one, several):.0f} %")
        table.append(line)
    return "\n".join(markdown_table(["tokens", "published", *(name for name, _ in ways)], table))


def _published(results: Results) -> dict[str, str]:
    """Figures of others beside what is simulated."""
    one, ring_16, ring_128 = (_case_of(results, PUBLISHED, exchange="ring", ranks=ranks) for ranks in ("1", "16", "128"))
    mesh = _case_of(results, PUBLISHED, exchange="mesh", ranks="16")
    sent, of_ring = mesh.counts["comm_bytes_per_rank"], ring_16.counts["comm_bytes_per_rank"]
    assert sent and of_ring
    return {
        "scale.meta_published": META,
        "scale.mesh_published": MESH,
        "scale.original_threads": _case_of(results, ORIGINAL, strategy="sequence", phase="decode", ranks="1", seq_len="1024").factors["threads"],
        "scale.ring_128": f"{100 * _efficiency(one, ring_128):.0f} %",
        "scale.mesh_bytes": f"x{sent / of_ring:.2f}",
        "scale.original_table": _published_original(results),
    }


def _model(maps: list[ScaleMap]) -> dict[str, str]:
    """The cost model beside the simulation: of those maps that were asked for it."""
    departures = departure_table(maps)
    why = "\n".join([*departures, "", WHY_IT_DEPARTS]) if departures else f"No case departs by more than {100 * FAR:.0f} %."
    table = model_table(maps)
    return {"scale.model_table": "\n".join(table) or NOT_ASKED, "scale.departures": why if table else ""}


def _left_out(maps: list[ScaleMap]) -> str:
    """What the tables do not have, of what experiments/scale asks for."""
    names = {way.name for found in maps for place, ranks in found.cells() for way in found.ways[place][ranks]}
    if "mesh" not in names:
        return "The tables are older than *mesh*, *shared* and weak scaling in [experiments/scale](../experiments/scale)."
    text = "Left out, because they take hours to simulate: *mesh* and *shared* of the longest prompts and on the most ranks."
    return text + (" Where tokens grow with the ranks, machines were not drawn: a lead is a point." if any(found.is_weak for found in maps) else "")


_DEVIATIONS = {"core_speed": "speeds of cores", "kernels": "steps of kernels", "gb_per_s": "bandwidths", "latency_us": "latencies"}


def _uncertainty(maps: list[ScaleMap]) -> str:
    """What leads are over."""
    drawn = [found.draws for found in maps if not found.is_weak]
    fewest, most = min(draws[0] for draws in drawn), max(draws[1] for draws in drawn)
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
        "scale.best": "; ".join(f"*{name}*: {found[0]}" for name, found in _standings(maps).items()),
        "scale.standings": "\n".join(f"- {name}: {', '.join(found)}." for name, found in _standings(maps).items()),
        "scale.uncertainty": _uncertainty(maps),
        "scale.maps": "\n\n".join(sections),
        **_model(maps),
        "scale.most_ranks": str(max(max(found.nodes) for found in maps if not found.is_weak)),
        "scale.left_out": _left_out(maps),
        **_errors(results),
        **_published(results),
    }
