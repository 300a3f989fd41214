"""What is fastest on simulated machines, as fields of winner_figure.py: a panel per machine, a column per number of ranks.

One contract: the one that says the same of all ways, where inputs start and outputs end.
"""

from __future__ import annotations

from typing import Sequence

from analysis.estimate.scale_map import Place, ScaleMap
from analysis.show.verdict_phrases import percent
from analysis.show.winner_figure import Field, WinnerMap

CONTRACT = "token_sharded"


def _field(found: ScaleMap, place: Place, ranks: int) -> Field:
    """By how much the next way is slower, at least."""
    kind = found.ways[place][ranks][0].kind
    way = "grid of both" if kind == "grid" else kind
    lead = found.lead(place, ranks)
    if lead is None:
        return Field(way, "alone", True, None)
    if lead.is_decided:
        return Field(way, f"{percent(lead.low)} %", True, None)
    return Field(way, "=" if len(found.winners(place, ranks)) > 1 else "?", False, None)


def _row(place: Place) -> str:
    return f"{place.model.removeprefix('qwen3-').upper()}, {place.seq_len} tokens"


def scale_winners(maps: Sequence[ScaleMap]) -> WinnerMap:
    """Of maps of one task, each of another machine."""
    panels: dict[str, dict[tuple[str, str], Field]] = {}
    ranks: set[int] = set()
    places: set[Place] = set()
    for found in maps:
        fields = panels.setdefault(found.platform, {})
        for place, count in found.cells():
            if place.contract == CONTRACT:
                fields[_row(place), str(count)] = _field(found, place, count)
                ranks.add(count)
                places.add(place)
    ways = dict.fromkeys(field.way for panel in panels.values() for field in panel.values())
    return WinnerMap([str(count) for count in sorted(ranks)], [_row(place) for place in sorted(places)], panels, sorted(ways), "ranks")
