"""Maps of simulated machines as sentences and Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from analysis.estimate.scale_map import MARGIN, Lead, Place, ScaleMap, Way, lead_of
from analysis.show.text_table import markdown_table


# A departure of the cost model that is worth a word.
FAR = 0.1


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.095 else f"{100 * value:.1f} %"


def _spread(leads: Sequence[Lead]) -> str:
    """ "by 3 to 40 %", or "by 3 %": from the lowest end of any to the highest."""
    low, high = f"{100 * min(lead.low for lead in leads):.0f}", f"{100 * max(lead.high for lead in leads):.0f}"
    return f"by {low} to {high} %" if low != high else f"by {low} %"


def _interval(lead: Lead) -> str:
    low, high = _percent(lead.low), _percent(lead.high)
    return f"+{high}" if low == high else f"+{low.removesuffix(' %')} to {high}"


def _entry(found: ScaleMap, place: Place, ranks: int) -> str:
    if ranks not in found.ways[place]:
        return "-"
    text = " or ".join(way.name for way in found.winners(place, ranks))
    perhaps = [way.name for way in found.perhaps(place, ranks)]
    if perhaps:
        text += f", perhaps {' or '.join(perhaps)}"
    efficiency = found.efficiency(place, ranks)
    if efficiency is not None:
        text += f", {_percent(efficiency)}"
    lead = found.lead(place, ranks)
    return f"{text} ({_interval(lead)})" if lead is not None and lead.is_decided else text


def _kind(way: Way) -> str:
    return "a grid of both" if way.kind == "grid" else way.kind


@dataclass
class _Cells:
    """Those in which there is a choice. Each is decided (the fastest leads all others), or equal (it has an equal), or open."""

    leads: dict[str, list[Lead]] = field(default_factory=dict)  # by kind of the fastest way, where it is decided
    equal: int = 0
    open: int = 0  # not resolved

    @property
    def total(self) -> int:
        """All of them."""
        return self.equal + self.open + sum(map(len, self.leads.values()))

    @property
    def kinds(self) -> list[str]:
        """Fastest most often first."""
        return sorted(self.leads, key=lambda name: -len(self.leads[name]))


def _cells(found: ScaleMap, contract: str) -> _Cells:
    """Of a contract."""
    cells = _Cells()
    for place, ranks in found.cells():
        lead = found.lead(place, ranks)
        if lead is None or contract != place.contract:
            continue
        if lead.is_decided:
            cells.leads.setdefault(_kind(found.ways[place][ranks][0]), []).append(lead)
        elif len(found.winners(place, ranks)) > 1:
            cells.equal += 1
        else:
            cells.open += 1
    return cells


def _who_wins(found: ScaleMap, contract: str) -> str:
    """One sentence about the cells of a contract in which there is a choice."""
    cells = _cells(found, contract)
    parts = [f"{name} is fastest in {len(cells.leads[name])}, {_spread(cells.leads[name])}" for name in cells.kinds]
    if cells.equal:
        parts.append(f"the best two are equal within {100 * MARGIN:.0f} % in {cells.equal}")
    if cells.open:
        parts.append(f"which of the best is faster is not resolved in {cells.open}")
    return f"`{contract}`: of {cells.total} cells with a choice, {'; '.join(parts)}." if cells.total else ""


def _farthest(found: ScaleMap, contract: str) -> list[str]:
    """For each length: the most ranks at which half of the cores is kept, of the model that is better there."""
    lines = []
    for seq_len in sorted({place.seq_len for place in found.ways if place.contract == contract}):
        kept: tuple[int, float, str] | None = None
        most = 0
        is_known = False
        for place, ranks in found.cells():
            if place.contract != contract or place.seq_len != seq_len:
                continue
            most = max(most, ranks)
            efficiency = found.efficiency(place, ranks)
            is_known |= efficiency is not None
            if efficiency is not None and efficiency >= 0.5:
                this = (ranks, efficiency, found.ways[place][ranks][0].name)
                kept = this if kept is None else max(kept, this)
        if not is_known:
            continue  # nothing to compare with
        if kept is None:
            lines.append(f"{seq_len} tokens keep half of the cores busy at no number of ranks")
        else:
            more = " (the most simulated)" if kept[0] == most else ""
            lines.append(f"{seq_len} tokens keep half of the cores busy up to {kept[0]} ranks{more}: {kept[2]}")
    return lines


@dataclass
class _Standing:
    """Of a kind of way, over the cells that it can do and that have another way."""

    cells: int = 0
    best: int = 0  # of them: it is the fastest, or equal to it
    worst: float = 0.0  # by how much it is slower than the fastest, at most

    def add(self, way: Way, fastest: Way) -> None:
        self.cells += 1
        self.best += way is fastest or lead_of(fastest, way).is_equal
        self.worst = max(self.worst, way.seconds / fastest.seconds - 1)


def _times(slower: float) -> str:
    return f"{100 * slower:.0f} % longer" if slower < 1 else f"{1 + slower:.1f} times as long"


def standings(maps: Sequence[ScaleMap]) -> list[str]:
    """How often each way is the fastest, or equal to it, in all cells of the maps, and how bad it is where it is worst; that which
    is it most often comes first."""
    found: dict[str, _Standing] = {}
    for scale_map in maps:
        for place, ranks in scale_map.cells():
            fastest, *others = scale_map.ways[place][ranks]
            for way in (fastest, *others) if others else ():
                found.setdefault(way.kind, _Standing()).add(way, fastest)
    ordered = sorted(found.items(), key=lambda item: (-item[1].best / item[1].cells, item[1].worst))
    return [f"{name} in {kind.best} of {kind.cells} cells (at worst {_times(kind.worst)})" for name, kind in ordered]


def task_suffix(found: ScaleMap) -> str:
    """Behind the platform's name; nothing for a prefill of attention."""
    if found.is_weak:
        return ", tokens growing with the ranks"
    names = {"prefill": {"attention": "", "layer": ", a layer", "block": ", an attention block"}, "decode": {"attention": ", decoding"}}
    return names.get(found.phase, {}).get(found.scope, f", decoding a {found.scope}")


def model_table(maps: Sequence[ScaleMap]) -> list[str]:
    """How far the cost model departs from the simulation, and what its choice costs, by map; nothing if it was not asked."""
    rows = []
    for found in maps:
        ways = [way for place, ranks in found.cells() for way in found.ways[place][ranks]]
        departures = sorted(abs(way.departure) for way in ways if way.departure is not None)
        regrets = [regret for place, ranks in found.cells() if (regret := found.regret(place, ranks)) is not None]
        if not departures or not regrets:
            continue
        far = sum(departure > FAR for departure in departures)
        right = sum(regret <= MARGIN for regret in regrets)
        rows.append(
            [
                f"{found.platform}{task_suffix(found)}",
                str(len(departures)),
                _percent(departures[len(departures) // 2]),
                _percent(departures[9 * len(departures) // 10]),
                str(far),
                f"{right} of {len(regrets)}",
                _percent(max(regrets)),
            ]
        )
    header = ["machine", "cases", "median departure", "90th percentile", f"beyond {_percent(FAR)}", "right choices", "worst choice"]
    return markdown_table(header, rows) if rows else []


def departure_table(maps: Sequence[ScaleMap]) -> list[str]:
    """Where the cost model departs from the simulation: by way and number of ranks, over all maps."""
    groups: dict[tuple[str, int], list[float]] = {}
    for found in maps:
        for place, ranks in found.cells():
            for way in found.ways[place][ranks]:
                if way.departure is not None:
                    groups.setdefault((way.kind, ranks), []).append(way.departure)
    rows = [
        [name, str(ranks), str(len(found)), f"{100 * sorted(found)[len(found) // 2]:+.1f} %", f"{100 * min(found):+.0f} to {100 * max(found):+.0f} %"]
        for (name, ranks), found in sorted(groups.items())
        if any(abs(departure) > FAR for departure in found)
    ]
    return markdown_table(["way", "ranks", "cases", "median", "from, to"], rows) if rows else []


def platform_section(found: ScaleMap) -> list[str]:
    """A heading, sentences, a table."""
    contracts = sorted({place.contract for place in found.ways})
    ranks = sorted({count for by_ranks in found.ways.values() for count in by_ranks if count > 1})
    lines = [f"### {found.platform}{task_suffix(found)}", ""]
    for contract in contracts:
        sentence = _who_wins(found, contract)
        farthest = [] if found.is_weak else _farthest(found, contract)
        if sentence:
            lines += [sentence + "".join(f" {part[0].upper()}{part[1:]}." for part in farthest), ""]
    if found.failed:
        lines += [f"{found.failed} cases failed and are left out.", ""]
    return lines + (_weak_table(found, ranks) if found.is_weak else _table(found, ranks))


def _weak_table(found: ScaleMap, ranks: Sequence[int]) -> list[str]:
    """A row for each model, contract and mask; the number of ranks goes with the length."""
    length = {count: place.seq_len for place, count in found.cells()}
    places: dict[tuple[str, str, str], dict[int, Place]] = {}
    for place, count in found.cells():
        places.setdefault((place.model, place.contract, place.mask), {})[count] = place
    header = ["model", "contract", "mask"] + [f"{count} ranks, {length[count]} tokens" for count in ranks]
    rows = [[*names, *(_entry(found, by_ranks[count], count) if count in by_ranks else "-" for count in ranks)] for names, by_ranks in sorted(places.items())]
    return markdown_table(header, rows)


def _table(found: ScaleMap, ranks: Sequence[int]) -> list[str]:
    header = ["model", "contract", "mask", "tokens"]
    header += [f"{count} ranks, {found.nodes[count]} node{'s' if found.nodes[count] > 1 else ''}" for count in ranks]
    rows = [
        [place.model, place.contract, place.mask, str(place.seq_len)] + [_entry(found, place, count) for count in ranks]
        for place in sorted(found.ways)
        if any(count > 1 for count in found.ways[place])
    ]
    return markdown_table(header, rows)
