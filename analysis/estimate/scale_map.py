"""What is fastest where on a simulated machine: from the run directories that src/simulate leaves.

A map is of one task: attention or a layer, prefill or decode. A *place* in it is model, contract, mask and length. At each number
of ranks the ways of doing it are compared:
`head-wise`, an exchange of a sequence strategy (`ring`), or a grid of both (`grid 4x4`). A simulation repeats to the last digit; what
is uncertain is the machine. So every way was simulated on machines drawn around it as well, the same ones for all ways (`--draws`). A
lead is an interval of the ratio of two ways' times: where 95 % of such machines lie, from the mean and the standard deviation of its
logarithm over the draws, and the platform itself. Without draws it is a point. Errors of the model are not in it.
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
    draws: Mapping[int, float] = field(default_factory=dict)  # on those drawn around it, by draw
    predicted: float | None = None  # seconds, by the cost model of `auto`; None where it was not asked

    @property
    def kind(self) -> str:
        """A grid, whatever its sides; else the name."""
        return self.name.partition(" ")[0]

    @property
    def departure(self) -> float | None:
        """Of the cost model from the simulation, as a part of the simulated time."""
        return None if self.predicted is None else self.predicted / self.seconds - 1


@dataclass(frozen=True)
class Lead:
    """By how much one way is slower than another: between `low` and `high`, as a part of the other's time."""

    low: float
    high: float

    @property
    def is_equal(self) -> bool:
        """Within the margin, either way."""
        return -MARGIN <= self.low and self.high <= MARGIN

    @property
    def is_decided(self) -> bool:
        """Above nothing, and not within the margin: the rule of measured runs (judge/decisions.py)."""
        return self.low > 0 and not self.is_equal


def lead_of(fast: Way, slow: Way) -> Lead:
    """Of the first over the second, over the draws that both have; two at least, or it is a point.

    The interval is Student's for one more draw: mean +- t(97.5 %, n - 1) sqrt(1 + 1 / n) standard deviations.
    """
    own = math.log(slow.seconds / fast.seconds)
    logarithms = [math.log(slow.draws[draw] / fast.draws[draw]) for draw in fast.draws.keys() & slow.draws.keys()]
    count = len(logarithms)
    if count < 2:
        return Lead(math.expm1(own), math.expm1(own))
    mean = statistics.fmean(logarithms)
    half_width = float(stats.t.ppf(0.975, count - 1)) * math.sqrt(1 + 1 / count) * statistics.stdev(logarithms)
    return Lead(math.expm1(min(own, mean - half_width)), math.expm1(max(own, mean + half_width)))


@dataclass(frozen=True)
class ScaleMap:
    platform: str
    failed: int  # cases, which are left out
    nodes: Mapping[int, int]  # by ranks: how many they lie on
    ways: Mapping[Place, Mapping[int, list[Way]]]  # by ranks, fastest first
    base: Mapping[tuple[str, str, int], float] = field(default_factory=dict)  # model, mask, length: one rank
    uncertainty: Mapping[str, float] = field(default_factory=dict)  # of the draws, as the platform says it
    scope: str = "attention"
    phase: str = "prefill"

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
        """Over the way that comes closest to it, which is one that equals it if any does; None if there is only one."""
        fastest, *others = self.ways[place][ranks]
        return min((lead_of(fastest, way) for way in others), key=lambda lead: (not lead.is_equal, lead.low)) if others else None

    def regret(self, place: Place, ranks: int) -> float | None:
        """By how much what the cost model would choose is slower than the fastest; None where it has nothing to choose from."""
        ways = [way for way in self.ways[place][ranks] if way.predicted is not None]
        if len(ways) < 2 or len(ways) < len(self.ways[place][ranks]):
            return None
        return min(ways, key=lambda way: way.predicted or 0.0).seconds / self.ways[place][ranks][0].seconds - 1

    @property
    def is_weak(self) -> bool:
        """Weak scaling: the tokens grow with the ranks, so that there is one length for each number of them."""
        cells = {(ranks, place.seq_len) for place, ranks in self.cells()}
        return len({ranks for ranks, _ in cells}) == len({seq_len for _, seq_len in cells}) == len(cells) > 1

    @property
    def draws(self) -> tuple[int, int]:
        """Of a way, the fewest and the most."""
        counts = [len(way.draws) for by_ranks in self.ways.values() for ways in by_ranks.values() for way in ways]
        return min(counts), max(counts)

    def cells(self) -> Iterator[tuple[Place, int]]:
        """Those of several ranks."""
        return ((place, ranks) for place in self.ways for ranks in self.ways[place] if ranks > 1)


def way_name(case: Case) -> str:
    """How the case divides the work."""
    if "grid" in case.factors["variant"]:
        return case.factors["variant"].partition("+")[0].partition("(")[0]
    return "head-wise" if case.factors["strategy"] == "headwise" else case.factors["exchange"]


def _launches(run: Run) -> list[dict[str, Any]]:
    """Records of the manifest; an empty one for what is none."""
    launches = run.manifest.get("launches", [])
    return [launch if isinstance(launch, dict) else {} for launch in launches] if isinstance(launches, list) else []


def platform_name(run: Run) -> str:
    """Of the manifest; refused unless the run is simulated, on one machine."""
    names = set()
    for launch in _launches(run):
        platform: Any = launch.get("platform")
        value = platform.get("name") if isinstance(platform, dict) else None
        names.add(value if isinstance(value, str) else None)
    name = names.pop() if len(names) == 1 else None
    if name is None:
        raise UnusableInput(f"{run.directory / 'manifest.json'}: 'launches' name no platform: the run was not simulated")
    return name


def drawn_uncertainty(run: Run) -> dict[str, float]:
    """Of the manifest; empty without draws."""
    found = next((launch.get("uncertainty") for launch in _launches(run)), None)
    if not isinstance(found, dict):
        return {}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}


def predictions_of(run: Run) -> dict[str, float]:
    """Seconds by case, of the manifest's launches."""
    found: dict[str, float] = {}
    for launch in _launches(run):
        predictions = launch.get("predictions")
        for case, prediction in predictions.items() if isinstance(predictions, dict) else ():
            seconds = prediction.get("predicted_s") if isinstance(prediction, dict) else None
            if not isinstance(seconds, (int, float)) or not seconds > 0:
                raise UnusableInput(f"{run.directory / 'manifest.json'}: 'predictions' of {case}: no time")
            found[case] = float(seconds)
    return found


def scale_maps(run: Run) -> list[ScaleMap]:
    """Of one simulated run, for each task. Raises UnusableInput if nothing is left of it, or if two of its cases are one way at one
    place."""
    tasks: dict[tuple[str, str], list[Case]] = {}
    for case in run.cases:
        tasks.setdefault((case.factors["scope"], case.factors["phase"]), []).append(case)
    platform, uncertainty = platform_name(run), drawn_uncertainty(run)
    in_order = sorted(tasks, key=lambda task: (task[0], task[1] != "prefill"))
    maps = [_map_of(run, tasks[task], platform, uncertainty) for task in in_order]
    if not any(found.ways for found in maps):
        raise UnusableInput(f"{run.directory / 'cases.csv'}: no case that is ok")
    return [found for found in maps if found.ways]


def _map_of(run: Run, cases: list[Case], platform: str, uncertainty: Mapping[str, float]) -> ScaleMap:
    """Of the cases of one task."""
    failed = 0
    predictions = predictions_of(run)
    ways: dict[Place, dict[int, list[Way]]] = {}
    nodes: dict[int, int] = {}
    base: dict[tuple[str, str, int], float] = {}
    for case in cases:
        # Round 0 is the platform itself.
        times = {sample.round: sample.metrics["time_s"] for sample in run.samples.get((case.launch, case.case), [])}
        draws = {draw: seconds for draw, seconds in times.items() if draw > 0 and seconds}
        seconds = times.get(0)
        if case.status != "ok" or not seconds:
            failed += 1
            continue
        factors = case.factors
        ranks = int(factors["ranks"])
        place = Place(factors["model"], factors["contract"], factors["mask"], int(factors["seq_len"]))
        known = ways.setdefault(place, {}).setdefault(ranks, [])
        if way_name(case) in (way.name for way in known):
            raise UnusableInput(
                f"{run.directory / 'cases.csv'}: two cases are {way_name(case)} of {place.model}, {place.contract}, {place.mask}, "
                f"{place.seq_len} tokens on {ranks} ranks; a map compares ways of dividing the work, and nothing else may differ"
            )
        known.append(Way(way_name(case), seconds, draws, predictions.get(case.case)))
        nodes[ranks] = int(factors["nodes"])
        if ranks == 1:
            key = (place.model, place.mask, place.seq_len)
            base[key] = min(seconds, base.get(key, seconds))
    for by_ranks in ways.values():
        for found in by_ranks.values():
            found.sort(key=lambda way: way.seconds)
    return ScaleMap(platform, failed, nodes, ways, base, uncertainty, cases[0].factors["scope"], cases[0].factors["phase"])
