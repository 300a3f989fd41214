"""What is fastest where on a simulated machine: from the run directories that src/simulate leaves.

A *place* is what is to be computed: model, contract, mask, length. At each number of ranks the ways of doing it are compared:
`head-wise`, an exchange of a sequence strategy (`ring`), or a grid of both (`grid 4x4`). A simulation repeats to the last digit; what
is uncertain is the machine. So every way was simulated on machines drawn around it as well, the same ones for all ways (`--draws`),
and a lead's interval is that of the ratio of two ways' times: its logarithm is the platform's own, plus and minus Student's 97.5 %
quantile of the deviation over the draws. Without draws it is a point.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

from scipy import stats

from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run

MARGIN = 0.02


@dataclass(frozen=True, order=True)
class Place:
    model: str
    contract: str
    mask: str
    seq_len: int


@dataclass(frozen=True)
class Way:
    """A variant at one place and number of ranks."""

    name: str
    seconds: float  # on the platform itself
    draws: tuple[float, ...] = ()  # on those drawn around it


@dataclass(frozen=True)
class Lead:
    """By how much one way is slower than another: between `low` and `high`, as a part of the other's time."""

    low: float
    high: float

    @property
    def is_equal(self) -> bool:
        """Within the margin."""
        return self.high <= MARGIN

    @property
    def is_decided(self) -> bool:
        """Beyond it."""
        return self.low > MARGIN


def lead_of(fast: Way, slow: Way) -> Lead:
    """Of the faster over the slower. Draws count if both have the same number of them, two at least."""
    centre = math.log(slow.seconds / fast.seconds)
    count = len(fast.draws)
    if count < 2 or len(slow.draws) != count:
        return Lead(math.expm1(centre), math.expm1(centre))
    deviation = statistics.stdev(math.log(b / a) for a, b in zip(fast.draws, slow.draws))
    half_width = float(stats.t.ppf(0.975, count - 1)) * deviation
    return Lead(math.expm1(centre - half_width), math.expm1(centre + half_width))


@dataclass(frozen=True)
class ScaleMap:
    platform: str
    failed: int  # cases, which are left out
    nodes: Mapping[int, int]  # by ranks: how many they lie on
    ways: Mapping[Place, Mapping[int, list[Way]]]  # by ranks, fastest first
    base: Mapping[tuple[str, str, int], float] = field(default_factory=dict)  # model, mask, length: one rank

    def efficiency(self, place: Place, ranks: int) -> float | None:
        """Of the fastest way: time of one rank over ranks times theirs. None if one rank was not simulated."""
        base = self.base.get((place.model, place.mask, place.seq_len))
        return None if base is None else base / (ranks * self.ways[place][ranks][0].seconds)

    def winners(self, place: Place, ranks: int) -> list[Way]:
        """The fastest, and those that are equal to it."""
        ways = self.ways[place][ranks]
        return [way for way in ways if lead_of(ways[0], way).is_equal]

    def perhaps(self, place: Place, ranks: int) -> list[Way]:
        """Those of which it is not resolved whether they are slower than the fastest."""
        ways = self.ways[place][ranks]
        leads = [(way, lead_of(ways[0], way)) for way in ways[1:]]
        return [way for way, lead in leads if not lead.is_equal and not lead.is_decided]

    def lead(self, place: Place, ranks: int) -> Lead | None:
        """Over the next way; None if there is only one."""
        ways = self.ways[place][ranks]
        return lead_of(ways[0], ways[1]) if len(ways) > 1 else None

    @property
    def draws(self) -> int:
        """Of each way; 0 if they differ."""
        counts = {len(way.draws) for by_ranks in self.ways.values() for ways in by_ranks.values() for way in ways}
        return counts.pop() if len(counts) == 1 else 0

    def cells(self) -> Iterator[tuple[Place, int]]:
        """Those of several ranks."""
        return ((place, ranks) for place in self.ways for ranks in self.ways[place] if ranks > 1)


def way_name(case: Case) -> str:
    """How the case divides the work."""
    if "grid" in case.factors["variant"]:
        return case.factors["variant"].partition("+")[0].partition("(")[0]
    return "head-wise" if case.factors["strategy"] == "headwise" else case.factors["exchange"]


def platform_name(run: Run) -> str:
    """Of the manifest; refused unless the run is simulated, on one machine."""
    where = run.directory / "manifest.json"
    launches = run.manifest.get("launches", [])
    names = set()
    for launch in launches if isinstance(launches, list) else []:
        platform: Any = launch.get("platform") if isinstance(launch, dict) else None
        value = platform.get("name") if isinstance(platform, dict) else None
        names.add(value if isinstance(value, str) else None)
    name = names.pop() if len(names) == 1 else None
    if name is None:
        raise UnusableInput(f"{where}: 'launches' name no platform: the run was not simulated")
    return name


def scale_map(run: Run) -> ScaleMap:
    """Of one simulated run. Raises UnusableInput if nothing is left of it, or if two of its cases are one way at one place."""
    where = run.directory / "cases.csv"
    failed = 0
    ways: dict[Place, dict[int, list[Way]]] = {}
    nodes: dict[int, int] = {}
    base: dict[tuple[str, str, int], float] = {}
    for case in run.cases:
        # Round 0 is the platform itself.
        times = [sample.metrics["time_s"] for sample in sorted(run.samples.get((case.launch, case.case), []), key=lambda sample: sample.round)]
        found_times = [time for time in times if time]
        if case.status != "ok" or not found_times:
            failed += 1
            continue
        seconds = found_times[0]
        factors = case.factors
        ranks = int(factors["ranks"])
        place = Place(factors["model"], factors["contract"], factors["mask"], int(factors["seq_len"]))
        known = ways.setdefault(place, {}).setdefault(ranks, [])
        if way_name(case) in (way.name for way in known):
            raise UnusableInput(
                f"{where}: two cases are {way_name(case)} of {place.model}, {place.contract}, {place.mask}, {place.seq_len} tokens on "
                f"{ranks} ranks; a map compares ways of dividing the work, and nothing else may differ"
            )
        known.append(Way(way_name(case), seconds, tuple(found_times[1:])))
        nodes[ranks] = int(factors["nodes"])
        if ranks == 1:
            key = (place.model, place.mask, place.seq_len)
            base[key] = min(seconds, base.get(key, seconds))
    if not ways:
        raise UnusableInput(f"{where}: no case that is ok")
    for by_ranks in ways.values():
        for found in by_ranks.values():
            found.sort(key=lambda way: way.seconds)
    return ScaleMap(platform_name(run), failed, nodes, ways, base)
