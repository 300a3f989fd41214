"""What the manifest says of how a run was planned: margin, looks, seed of the orders, control, and which launches are done.

Runs made before these keys existed are read with defaults that judge them by the same rule: one look, when they ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Mapping, Sequence

from analysis.read.csv_table import UnusableInput

# Continuation n of launch K has the id K + 1000 n (src/experiment/record/run_directory.h).
LAUNCH_ID_STEP = 1000
# Differences below two per cent are called equal: nobody chooses a strategy for less.
DEFAULT_MARGIN = 0.02
LARGEST_MARGIN = 0.5


@dataclass(frozen=True)
class Control:
    """A variant of which every so many cells hold a copy: same code, buffers of its own."""

    duplicate: str
    every: int


@dataclass(frozen=True)
class Plan:
    margin: float
    looks: tuple[int, ...]  # numbers of launches after which the run is judged, increasing
    order_seed: int | None  # of the orders of cells, of making the variants, and of rounds
    control: Control | None


def launch_unit(launch: str) -> int:
    """The launch that an attempt belongs to: what was replicated, whatever number of attempts it took."""
    return int(launch) % LAUNCH_ID_STEP


def _require(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise UnusableInput(f"{path}: {problem}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _margin(manifest: Mapping[str, Any], path: Path) -> float:
    value = manifest.get("margin", DEFAULT_MARGIN)
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    _require(numeric and 0 < value < LARGEST_MARGIN, path, f"'margin' must be a number above 0 and below 0.5, not {value!r}")
    return float(value)


def parse_looks(manifest: Mapping[str, Any], path: Path) -> tuple[int, ...] | None:
    """None if the manifest does not say."""
    looks = manifest.get("looks")
    if looks is None:
        return None
    sound = isinstance(looks, list) and len(looks) > 0 and all(_is_whole(look) and look > 0 for look in looks)
    _require(sound, path, f"'looks' must be a list of positive whole numbers, not {looks!r}")
    rising = all(first < second for first, second in zip(looks, looks[1:]))
    _require(rising, path, f"'looks' must increase, unlike {looks!r}")
    return tuple(looks)


def _control(manifest: Mapping[str, Any], path: Path) -> Control | None:
    control = manifest.get("control")
    if control is None:
        return None
    _require(isinstance(control, dict), path, f"'control' must be an object, not {control!r}")
    duplicate, every = control.get("duplicate"), control.get("every", 1)
    _require(isinstance(duplicate, str) and bool(duplicate), path, "'control' needs 'duplicate', the label of a variant")
    _require(_is_whole(every) and every > 0, path, f"'control': 'every' must be a positive whole number, not {every!r}")
    return Control(duplicate, every)


def _refuse_mixed_revisions(manifest: Mapping[str, Any], path: Path) -> None:
    """Launches of different code are different experiments, unless somebody joined them knowing that (merge.py)."""
    if "mixed_git_revision" in manifest:
        return
    first: str | None = None
    for entry in launch_entries(manifest, path):
        revision = entry.get("git_revision")
        if revision is None:
            continue
        first = first or str(revision)
        _require(
            str(revision) == first, path,
            f"launches of different revisions in one run: {first[:12]} and {str(revision)[:12]} (launch {entry.get('launch')})",
        )  # fmt: skip


def launch_entries(manifest: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """The attempts that the manifest lists, in its order; an entry that is no object says nothing and is left out."""
    launches = manifest.get("launches") or []
    _require(isinstance(launches, list), path, "'launches' must be a list")
    return [entry for entry in launches if isinstance(entry, dict)]


def launch_seconds(manifest: Mapping[str, Any]) -> dict[int, float]:
    """Wall time by id of launch (a number, plus a thousand for each time that it was gone on with), where both ends are recorded."""
    found = {}
    for launch in manifest.get("launches") or []:
        try:
            begin, end = (datetime.strptime(launch[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("started", "ended"))
            found[int(launch["launch"])] = (end - begin).total_seconds()
        except (KeyError, TypeError, ValueError):
            continue
    return found


def read_plan(manifest: Mapping[str, Any], path: Path, launches: int) -> Plan:
    """`launches`: how many the run has, which is the only look of a run that does not say. Raises UnusableInput."""
    _refuse_mixed_revisions(manifest, path)
    seed = manifest.get("order_seed")
    _require(seed is None or _is_whole(seed), path, f"'order_seed' must be a whole number, not {seed!r}")
    looks = parse_looks(manifest, path)
    return Plan(_margin(manifest, path), looks or (max(launches, 1),), seed, _control(manifest, path))


def done_launches(manifest: Mapping[str, Any], path: Path) -> set[int]:
    """Launches whose last attempt has ended by itself, with every case right (0) or not (1)."""
    last: dict[int, tuple[int, Any]] = {}
    for entry in launch_entries(manifest, path):
        attempt: Any = entry.get("launch")
        _require(_is_whole(attempt) and attempt >= 0, path, f"a launch has the id {attempt!r}, which is no whole number")
        unit = attempt % LAUNCH_ID_STEP
        if unit not in last or attempt >= last[unit][0]:
            last[unit] = (attempt, entry.get("exit_status"))
    return {unit for unit, (_, status) in last.items() if _is_whole(status) and status in (0, 1)}


def first_missing(done: Sequence[int] | set[int]) -> int:
    """The first launch that is not done."""
    launch = 0
    while launch in done:
        launch += 1
    return launch
