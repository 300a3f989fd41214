"""Raw data one click away: links to the files, and every sample of a cell where the size of the page allows."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Sequence
from urllib.parse import quote

from analysis.html_report.blocks import Block, SampleCell, Samples, Section, clip
from analysis.html_report.factors import label, sort_key, varying
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.read.read_run import Case

_FILES = ("samples.csv", "samples.csv.xz", "cases.csv", "manifest.json", "verdict.json", "verdict.txt", "summary.csv")
_LETTERS = 7  # that one sample takes on the page


def links_to(directory: Path, page: Path) -> list[tuple[str, str]]:
    """(name, address) of what is there, relative to the page: a run directory can be moved as a whole."""
    beside = os.path.relpath(directory.resolve(), page.resolve().parent)
    there = [name for name in _FILES if (directory / name).exists()]
    return [(name, quote(f"./{beside}/{name}" if beside != "." else f"./{name}")) for name in there]


def keep_one_in(samples: int, letters: int) -> int:
    """So that `samples` fit into `letters`."""
    return max(1, math.ceil(samples * _LETTERS / max(letters, 1)))


def _times(loaded: LoadedRun, cases: Sequence[Case], step: int) -> str:
    """Milliseconds; a launch ends with ';'."""
    launches = []
    for case in sorted(cases, key=lambda case: int(case.launch)):
        samples = loaded.run.samples.get((case.launch, case.case), [])
        times = [time for sample in samples if sample.status == "ok" and (time := sample.metrics["time_s"])]
        launches.append(" ".join(f"{1e3 * time:.4g}" for time in times[::step]))
    return "; ".join(launch for launch in launches if launch)


def _cells(loaded: LoadedRun, step: int) -> list[SampleCell]:
    groups: dict[str, dict[str, list[Case]]] = {}
    for case in loaded.run.cases:
        groups.setdefault(case.cell, {}).setdefault(case.variant, []).append(case)
    first = {cell: next(iter(variants.values()))[0].factors for cell, variants in groups.items()}
    names = varying(first.values(), leave_out=("variant",))
    cells = []
    for cell in sorted(groups, key=lambda one: sort_key(first[one], names)):
        series = [(clip(variant), _times(loaded, cases, step)) for variant, cases in groups[cell].items()]
        cells.append(SampleCell(clip(label(first[cell], names)), [pair for pair in series if pair[1]]))
    return [cell for cell in cells if cell.series]


def _note(samples: int, step: int) -> str:
    if step == 1:
        return f"All {samples} samples are on this page."
    return f"Thinned to keep the page small: one in {step} of each launch's samples is here; all {samples} are in samples.csv."


def section(inputs: Inputs, page: Path, letters: int) -> Section:
    """`letters`: what the samples of all runs may take."""
    counts = [sum(map(len, loaded.run.samples.values())) for loaded in inputs.runs]
    step = keep_one_in(sum(counts), letters)
    blocks: list[Block] = []
    for loaded, count in zip(inputs.runs, counts):
        cells = _cells(loaded, step) if letters > 0 else []
        note = _note(count, step) if letters > 0 else f"No room on this page for the {count} samples; they are in samples.csv."
        blocks.append(Samples(loaded.label, links_to(loaded.directory, page), cells, note))
    blocks += [Samples("other libraries", links_to(peers.directory, page), [], "") for peers in inputs.peers]
    intro = "The files that everything above is made from, and the time of every sample in milliseconds, cell by cell."
    missing = () if blocks else ("No run was given.",)
    return Section("samples", "Raw samples", intro, tuple(blocks), missing)
