#!/usr/bin/python3
"""Joins run directories of one experiment into one: those of the tasks of a job array, or of several node counts.

usage: merge.py --output DIR RUN_DIR...

Refused unless told otherwise: run directories of different experiment files (always), the same cell measured twice in the
same launch (always), different revisions of the code (--allow-mixed-revisions), different CPUs or MPI libraries
(--allow-mixed-hardware), and run directories that are not there or hold no complete cell (--allow-missing).

A cell's id does not hold the number of nodes it ran on, which the plan does not know. Where the same cell ran on different
numbers of nodes, it becomes several: ID-nodes1, ID-nodes2.

Rows of cells that were never completed are left out: they are of no use to the analysis, and a cell begun in one
directory may have been completed in another. Exit status: 0 joined, 2 refused, with one line that says why.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

# Continuation n of launch K has the id K + 1000 n (src/experiment/record/run_directory.h).
LAUNCH_ID_STEP = 1000

_REVISION_KEYS = ("git_revision", "git_dirty", "compiler", "flags")
_HARDWARE_KEYS = ("cpu", "caches", "isa", "mpi")

Row = list[str]


class Refused(Exception):
    """The message is one line for the user."""


@dataclass(frozen=True)
class Table:
    """A CSV file: header and rows, each row as long as the header."""

    header: Row
    rows: list[Row]

    def column(self, name: str, path: Path) -> int:
        """Index of a column; refuses a file that lacks it."""
        if name not in self.header:
            raise Refused(f"{path}: column '{name}' is missing")
        return self.header.index(name)


@dataclass(frozen=True)
class Part:
    """One run directory."""

    directory: Path
    manifest: dict[str, Any]
    samples: Table  # of complete cells only
    cases: Table
    complete: frozenset[tuple[str, str]]  # (launch, cell)
    dropped: int  # samples of cells that were never completed


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refused(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(f"{path}: cannot be read: {problem}") from None


def read_table(path: Path) -> Table:
    """Reads a CSV file. A last line without its end was cut off by a crash and is left out, as when resuming."""
    text = _read_text(path)
    reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]), strict=True)
    try:
        lines = list(reader)
    except csv.Error as problem:
        raise Refused(f"{path} line {reader.line_num}: {problem}") from None
    if not lines:
        raise Refused(f"{path}: empty file")
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(lines[0]):
            raise Refused(f"{path} line {number}: {len(row)} fields where the header has {len(lines[0])}")
    return Table(lines[0], lines[1:])


def read_part(directory: Path) -> Part:
    """Reads one run directory."""
    path = directory / "manifest.json"
    try:
        manifest = json.loads(_read_text(path))
    except json.JSONDecodeError as problem:
        raise Refused(f"{path} line {problem.lineno}: {problem.msg}") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("launches"), list):
        raise Refused(f"{path}: not the manifest of a run")
    cases, samples = read_table(directory / "cases.csv"), read_table(directory / "samples.csv")
    launch, cell, _ = (cases.column(name, directory / "cases.csv") for name in ("launch", "cell", "case"))
    complete = frozenset((row[launch], row[cell]) for row in cases.rows)
    launch, cell, _ = (samples.column(name, directory / "samples.csv") for name in ("launch", "cell", "case"))
    kept = [row for row in samples.rows if (row[launch], row[cell]) in complete]
    if not kept:
        raise Refused(f"{directory}: no complete cell")
    return Part(directory, manifest, Table(samples.header, kept), cases, complete, len(samples.rows) - len(kept))


def _require_same(parts: Sequence[Part], what: str, values: Sequence[Any], option: str | None) -> None:
    for part, value in zip(parts, values):
        if value != values[0]:
            advice = f" ({option} joins them all the same)" if option else ""
            raise Refused(
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
                raise Refused(f"{part.directory / 'cases.csv'}: launch '{launch}' is not a number") from None
            if key in seen:
                raise Refused(f"cell {cell} of launch {key[0]} is in {seen[key].directory} and again in {part.directory}")
            seen[key] = part


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
    return Part(part.directory, part.manifest, samples, cases, complete, part.dropped)


def merged_manifest(parts: Sequence[Part]) -> dict[str, Any]:
    """The first part's manifest with the launches of all, each with the directory it is from."""
    manifest = dict(parts[0].manifest)
    manifest["launches"] = [
        launch | {"merged_from": str(part.directory)} for part in parts for launch in part.manifest["launches"]
    ]
    manifest["merged_from"] = [str(part.directory) for part in parts]
    for key in _REVISION_KEYS:
        values = [part.manifest.get(key) for part in parts]
        if any(value != values[0] for value in values):
            manifest[f"mixed_{key}"] = values
    return manifest


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".new")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as problem:
        raise Refused(f"{path}: cannot be written: {problem.strerror}") from None


def _csv_text(header: Row, tables: Sequence[Table]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for table in tables:
        writer.writerows(table.rows)
    return text.getvalue()


def write_merged(parts: Sequence[Part], output: Path) -> None:
    """Writes the three files, the manifest last: a directory without one is not a run."""
    manifest = json.dumps(merged_manifest(parts), indent=2) + "\n"
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / "manifest.json").unlink(missing_ok=True)
    except OSError as problem:
        raise Refused(f"{output}: cannot be written: {problem.strerror}") from None
    _write(output / "samples.csv", _csv_text(parts[0].samples.header, [part.samples for part in parts]))
    _write(output / "cases.csv", _csv_text(parts[0].cases.header, [part.cases for part in parts]))
    _write(output / "manifest.json", manifest)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\nusage: merge.py --output DIR RUN_DIR...\n\n")
    parser = argparse.ArgumentParser(
        prog="merge.py", description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="made, or its files replaced")
    parser.add_argument("--allow-mixed-revisions", action="store_true")
    parser.add_argument("--allow-mixed-hardware", action="store_true")
    parser.add_argument("--allow-missing", action="store_true", help="name what is missing and join the rest")
    return parser.parse_args(arguments)


def _read_parts(directories: Sequence[Path], allow_missing: bool) -> list[Part]:
    parts = []
    for directory in directories:
        try:
            parts.append(read_part(directory))
        except Refused as problem:
            if not allow_missing:
                raise
            print(f"merge.py: left out: {problem}", file=sys.stderr)
    if not parts:
        raise Refused("nothing to join")
    return parts


def main(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    options = _parse(arguments)
    try:
        if options.output.resolve() in [directory.resolve() for directory in options.run_dirs]:
            raise Refused(f"--output {options.output} is one of the directories to join")
        parts = _read_parts(options.run_dirs, options.allow_missing)
        check_same_experiment(parts, options.allow_mixed_revisions, options.allow_mixed_hardware)
        parts = tell_node_counts_apart(parts)
        check_no_duplicates(parts)
        write_merged(parts, options.output)
    except Refused as problem:
        print(f"merge.py: {problem}", file=sys.stderr)
        return 2
    for part in parts:
        dropped = f", {part.dropped} samples of incomplete cells left out" if part.dropped else ""
        print(f"{part.directory}: {len(part.complete)} cells, {len(part.samples.rows)} samples{dropped}")
    print(f"{options.output}: {sum(len(part.samples.rows) for part in parts)} samples")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
