"""Parts of a run: run directories of one experiment that are joined into one (merge.py), and what forbids that.

A cell's id does not hold the number of nodes it ran on, which the plan does not know. Where the same cell ran on different
numbers of nodes, it becomes several: ID-nodes1, ID-nodes2. Rows of cells that were never completed are left out: they are of
no use to the analysis, and a cell begun in one directory may have been completed in another.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from analysis.read.csv_table import CHECK_COLUMN, UnusableInput, check_of, csv_line, read_table
from analysis.read.json_file import read_json_object
from analysis.read.read_run import LAUNCH_ID_STEP, require_rounds
from analysis.read.whole_file import make_directory, remove, write_whole

_REVISION_KEYS = ("git_revision", "git_dirty", "compiler", "flags")
_VARIANT_COLUMNS = ("strategy", "exchange", "sharding", "algorithm")
_HARDWARE_KEYS = ("cpu", "caches", "isa", "mpi")

Row = list[str]


@dataclass(frozen=True)
class Table:
    """A CSV file: header and rows, each row as long as the header."""

    header: Row
    rows: list[Row]


@dataclass(frozen=True)
class Part:
    """One run directory."""

    directory: Path
    manifest: dict[str, Any]
    samples: Table  # of complete cells only
    cases: Table
    complete: frozenset[tuple[str, str]]  # (launch, cell)
    dropped: int  # samples of cells that were never completed


def _table(path: Path) -> Table:
    read = read_table(path, ("launch", "cell", "case"), drop_cut_off_line=True)
    return Table(read.header, [list(row.values.values()) for row in read.rows])


def read_part(directory: Path) -> Part:
    """Reads one run directory."""
    path = directory / "manifest.json"
    manifest = read_json_object(path)
    launches = manifest.get("launches")
    if not isinstance(launches, list) or not all(isinstance(launch, dict) for launch in launches):
        raise UnusableInput(f"{path}: not the manifest of a run")
    cases, samples = _table(directory / "cases.csv"), _table(directory / "samples.csv")
    launch, cell = (cases.header.index(name) for name in ("launch", "cell"))
    complete = frozenset((row[launch], row[cell]) for row in cases.rows)
    launch, cell = (samples.header.index(name) for name in ("launch", "cell"))
    kept = [row for row in samples.rows if (row[launch], row[cell]) in complete]
    if not kept:
        raise UnusableInput(f"{directory}: no complete cell")
    part = Part(directory, manifest, Table(samples.header, kept), cases, complete, len(samples.rows) - len(kept))
    _require_all_rounds(part)
    return part


def _require_all_rounds(part: Part) -> None:
    """What was cut before joining cannot be told from what was never measured."""
    if not {"status", "rounds"} <= set(part.cases.header) or "round" not in part.samples.header:
        return
    launch, case, number = (part.samples.header.index(name) for name in ("launch", "case", "round"))
    found = Counter((row[launch], row[case]) for row in part.samples.rows if not row[number].startswith("-"))  # -1: the pilot
    launch, case, status, rounds = (part.cases.header.index(name) for name in ("launch", "case", "status", "rounds"))
    for row in part.cases.rows:
        if row[status] == "ok" and row[rounds].isdecimal():
            require_rounds(part.directory, row[launch], row[case], int(row[rounds]), found[row[launch], row[case]])


def _require_same(parts: Sequence[Part], what: str, values: Sequence[Any], option: str | None) -> None:
    for part, value in zip(parts, values):
        if value != values[0]:
            advice = f" ({option} joins them all the same)" if option else ""
            raise UnusableInput(
                f"{parts[0].directory} and {part.directory} differ in {what}: {_short(values[0])} and {_short(value)}{advice}"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_same_experiment(parts: Sequence[Part], mixed_revisions: bool, mixed_hardware: bool) -> None:
    """Refuses parts that should not be looked at together."""
    for key in ("schema_version", "config_sha256"):
        what = "the experiment file (SHA-256)" if key == "config_sha256" else key
        _require_same(parts, what, [part.manifest.get(key) for part in parts], None)
    for name in ("samples", "cases"):
        _require_same(parts, f"the columns of {name}.csv", [getattr(part, name).header for part in parts], None)
    if not mixed_revisions:
        for key in _REVISION_KEYS:
            _require_same(parts, key, [part.manifest.get(key) for part in parts], "--allow-mixed-revisions")
    if mixed_hardware:
        return
    for key in _HARDWARE_KEYS:
        launches = [(part, launch.get(key)) for part in parts for launch in part.manifest["launches"]]
        _require_same([part for part, _ in launches], key, [value for _, value in launches], "--allow-mixed-hardware")


def check_no_duplicates(parts: Sequence[Part]) -> None:
    """Refuses a cell that was completed twice in the same launch, continuations counted as that launch."""
    seen: dict[tuple[int, str], Part] = {}
    for part in parts:
        for launch, cell in sorted(part.complete):
            try:
                key = (int(launch) % LAUNCH_ID_STEP, cell)
            except ValueError:
                raise UnusableInput(f"{part.directory / 'cases.csv'}: launch '{launch}' is not a number") from None
            if key in seen:
                raise UnusableInput(f"cell {cell} of launch {key[0]} is in {seen[key].directory} and again in {part.directory}")
            seen[key] = part


def check_one_variant_per_case(parts: Sequence[Part]) -> None:
    """Refuses a case that is one variant here and another there: directories with `auto` choose each for themselves."""
    seen: dict[str, tuple[Part, Row]] = {}
    for part in parts:
        header = part.cases.header
        if not set(_VARIANT_COLUMNS) <= set(header):
            continue
        case = header.index("case")
        columns = [header.index(name) for name in _VARIANT_COLUMNS]
        for row in part.cases.rows:
            variant = [row[column] for column in columns]
            first, known = seen.setdefault(row[case], (part, variant))
            if variant != known:
                raise UnusableInput(
                    f"case {row[case]} is {' '.join(known)} in {first.directory} and {' '.join(variant)} in {part.directory}"
                )


def tell_node_counts_apart(parts: Sequence[Part]) -> list[Part]:
    """Renames cells that ran on different numbers of nodes; the parts as they are if there is none."""
    counts: dict[str, set[str]] = {}
    for part in parts:
        for (_, cell), nodes in _node_counts(part).items():
            counts.setdefault(cell, set()).add(nodes)
    ambiguous = {cell for cell, values in counts.items() if len(values) > 1}
    return [_with_node_counts(part, ambiguous) for part in parts] if ambiguous else list(parts)


def _node_counts(part: Part) -> dict[tuple[str, str], str]:
    """Nodes by (launch, cell); empty if the file does not say."""
    header = part.cases.header
    if "nodes" not in header:
        return {}
    launch, cell, nodes = (header.index(name) for name in ("launch", "cell", "nodes"))
    return {(row[launch], row[cell]): row[nodes] for row in part.cases.rows}


def _with_node_counts(part: Part, ambiguous: set[str]) -> Part:
    nodes = _node_counts(part)

    def renamed(table: Table) -> Table:
        launch, cell, case = (table.header.index(name) for name in ("launch", "cell", "case"))
        rows = []
        for row in table.rows:
            if row[cell] in ambiguous:
                new_cell = f"{row[cell]}-nodes{nodes[row[launch], row[cell]]}"
                row = list(row)
                row[case] = new_cell + row[case][len(row[cell]) :]  # "cell/variant"
                row[cell] = new_cell
            rows.append(row)
        return Table(table.header, rows)

    samples, cases = renamed(part.samples), renamed(part.cases)
    launch, cell = (cases.header.index(name) for name in ("launch", "cell"))
    complete = frozenset((row[launch], row[cell]) for row in cases.rows)
    choices: dict[str, Any] = {}
    for case, choice in _choices(part).items():
        old_cell, _, label = case.partition("/")
        counts = sorted({count for (_, known), count in nodes.items() if known == old_cell})
        names = [f"{old_cell}-nodes{count}/{label}" for count in counts] if old_cell in ambiguous else [case]
        choices |= dict.fromkeys(names, choice)
    manifest = part.manifest | ({"choices": choices} if choices else {})
    return Part(part.directory, manifest, samples, cases, complete, part.dropped)


def _choices(part: Part) -> dict[str, Any]:
    """What was chosen for automatic variants, by case."""
    choices = part.manifest.get("choices", {})
    if not isinstance(choices, dict):
        raise UnusableInput(f"{part.directory / 'manifest.json'}: 'choices' is no object")
    return choices


def _name(directory: Path) -> str:
    """As text that every reader of JSON takes, whatever bytes it has."""
    return str(directory).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def merged_manifest(parts: Sequence[Part]) -> dict[str, Any]:
    """The first part's manifest with the launches of all, each with the directory it is from."""
    manifest = dict(parts[0].manifest)
    manifest["launches"] = [
        launch | {"merged_from": _name(part.directory)} for part in parts for launch in part.manifest["launches"]
    ]
    choices: dict[str, Any] = {}
    for part in reversed(parts):
        choices |= _choices(part)
    if choices:
        manifest["choices"] = choices
    manifest["merged_from"] = [_name(part.directory) for part in parts]
    for key in _REVISION_KEYS:
        values = [part.manifest.get(key) for part in parts]
        if any(value != values[0] for value in values):
            manifest[f"mixed_{key}"] = values
    return manifest


def _csv_text(header: Row, tables: Sequence[Table]) -> str:
    """Rows may have been renamed, so each gets its check anew."""
    lines = [csv_line(header)]
    has_check = header[-1] == CHECK_COLUMN
    for row in (row for table in tables for row in table.rows):
        before = csv_line(row[:-1]) + ","
        lines.append(before + check_of(before) if has_check else csv_line(row))
    return "\n".join(lines) + "\n"


def write_merged(parts: Sequence[Part], output: Path) -> None:
    """Writes the three files, the manifest last: a directory without one is not a run."""
    manifest = json.dumps(merged_manifest(parts), indent=2) + "\n"
    make_directory(output)
    remove(output / "manifest.json")
    write_whole(output / "samples.csv", _csv_text(parts[0].samples.header, [part.samples for part in parts]))
    write_whole(output / "cases.csv", _csv_text(parts[0].cases.header, [part.cases for part in parts]))
    write_whole(output / "manifest.json", manifest)
