"""The runs of a page: each read and judged once, with a name that tells it from the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from analysis.html_report.blocks import clip
from analysis.judge.verdicts import RunVerdict, judge_run
from analysis.read.csv_table import Row, UnusableInput, read_table
from analysis.read.json_file import read_json, read_json_object
from analysis.read.read_run import Run, read_run

CLAIMS_FILE = "claims.json"
_PEER_COLUMNS = ("column", "contestant", "limit", "pct_of_limit", "pct_of_limit_low", "pct_of_limit_high")


@dataclass(frozen=True)
class LoadedRun:
    label: str
    run: Run
    verdict: RunVerdict

    @property
    def broken(self) -> str:
        """Why no word of this run stands; empty where they do."""
        controls = self.verdict.controls
        if not controls.failed:
            return ""
        return f"the A/A control fails: {len(controls.failed)} of {controls.count} pairs of equal code differ"

    @property
    def directory(self) -> Path:
        return self.run.directory


@dataclass(frozen=True)
class Peers:
    """A run of peers/compare: other libraries at the same work, in the same rounds."""

    directory: Path
    rows: Sequence[Row]
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Inputs:
    runs: Sequence[LoadedRun]
    peers: Sequence[Peers]
    claims: Sequence[Mapping[str, Any]] | None  # None: there is no file
    claims_file: Path | None


def is_peers(directory: Path) -> bool:
    return (directory / "summary.csv").exists() and not (directory / "cases.csv").exists()


def expand(directory: Path) -> list[Path]:
    """A run, or the runs right beneath a directory that is none (results/network/reference: one per link)."""
    if not directory.is_dir():
        raise UnusableInput(f"{directory}: no such directory")
    if is_peers(directory) or (directory / "manifest.json").exists():
        return [directory]
    found = sorted(path.parent for path in directory.glob("*/manifest.json"))
    if not found:
        raise UnusableInput(f"{directory}: holds no run (no manifest.json)")
    return found


def _label(directory: Path, experiment: str) -> str:
    """'ordering', 'network 1gbit', 'ordering 20261123T071608Z'."""
    name, known = directory.resolve().name, clip(experiment, 60)
    return known if name in ("reference", experiment) else f"{known} {clip(name, 60)}"


def _distinct(labels: Sequence[str]) -> list[str]:
    found: list[str] = []
    for label in labels:
        before = sum(1 for other in labels[: len(found)] if other == label)
        found.append(f"{label} ({before + 1})" if before else label)
    return found


def _read_peers(directory: Path) -> Peers:
    manifest = directory / "manifest.json"
    known = read_json_object(manifest) if manifest.exists() else {}
    return Peers(directory, read_table(directory / "summary.csv", _PEER_COLUMNS).rows, known)


def find_claims(directories: Sequence[Path], given: Path | None) -> Path | None:
    """The file of the claim register: as given, else results/claims.json above a run in results/."""
    if given is not None:
        return given
    for directory in directories:
        for above in list(directory.resolve().parents)[1:3]:
            if above.name == "results" and (above / CLAIMS_FILE).exists():
                return above / CLAIMS_FILE
    return None


def _read_claims(path: Path) -> list[Mapping[str, Any]]:
    found = read_json(path)
    entries = found.get("claims") if isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnusableInput(f"{path}: must be a JSON list of objects, one per claim")
    return entries


def read_inputs(arguments: Sequence[Path], claims_file: Path | None) -> Inputs:
    """Reads and judges everything; raises UnusableInput with one line."""
    directories = list(dict.fromkeys(path for argument in arguments for path in expand(argument)))
    runs = [read_run(path) for path in directories if not is_peers(path)]
    labels = _distinct([_label(run.directory, run.experiment) for run in runs])
    loaded = [LoadedRun(label, run, judge_run(run)) for label, run in zip(labels, runs)]
    peers = [_read_peers(path) for path in directories if is_peers(path)]
    path = find_claims(directories, claims_file)
    return Inputs(loaded, peers, None if path is None else _read_claims(path), path)
