"""Run directories that were sound and then damaged in any way: strategies for property tests. For tests only.

A damage is a list of small steps, each of which says what it does: a failing one is printed so that it can be pasted into a test
as an example. A step that no longer applies after the ones before it (its row is gone, say) does nothing.

ANALYSIS_DAMAGES=N in the environment asks for N random damages a property instead of the few that every test run repeats.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence, Union

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from analysis.judge.verdicts import judge_run
from analysis.read.read_run import read_run
from analysis.show.json_report import report_as_json
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import COPY, HEADWISE, SEQUENCE, STANDARD, Cell

Files = Mapping[str, bytes]
JsonPath = tuple[Union[str, int], ...]

MANIFEST, CASES, SAMPLES, VERDICT = "manifest.json", "cases.csv", "samples.csv", "verdict.json"
RUN_FILES = (MANIFEST, CASES, SAMPLES)
EVERY_FILE = "*"
_LONG_MODE = "ANALYSIS_DAMAGES"
# Hypothesis keeps a table of Unicode, by default in the directory that the test was started in.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "hypothesis"))


def few(examples: int) -> settings:
    """Settings of a property: so many damages, the same ones each time; or as many random ones as the environment asks for."""
    asked = os.environ.get(_LONG_MODE)
    common: dict[str, Any] = {
        "deadline": None, "database": None, "print_blob": False, "suppress_health_check": list(HealthCheck),
    }  # fmt: skip
    if asked:
        return settings(max_examples=int(asked), **common)
    # Shrinking what a fixed list of damages finds takes longer than reading it.
    return settings(max_examples=examples, derandomize=True, phases=(Phase.explicit, Phase.generate), **common)


# --- sound runs -------------------------------------------------------------------------------------------------------------


def _write_one_launch(directory: Path) -> None:
    times = {SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}
    values = {"minimum_bytes": 1 << 24, "read_gb_per_s": 22.0}
    cells = [Cell(times, {"ranks": ranks, "seq_len": length}, values) for ranks in (1, 2) for length in (512, 1024)]
    synthetic_run.write_run(directory, cells, rounds=6)


def _write_looks(directory: Path) -> None:
    """Everything that a manifest may plan: looks, margin, control, regimes, bundles, ratios, decode, bytes."""
    times = {SEQUENCE: 1.0, SEQUENCE + COPY: 1.0, HEADWISE: 1.1}
    bundled = {"bundle": "b1", "minimum_bytes": 1 << 24, "read_gb_per_s": 22.0, "rel_l2_err": 1e-6}
    cells = [Cell(times, {"isa": isa, "ranks": ranks}, bundled) for isa in ("avx2", "avx512") for ranks in (1, 2)]
    cells.append(Cell(times, {"phase": "decode", "seq_len": 4096}, bundled))
    expect: list[dict[str, Any]] = [
        {"claim": "ordering", "metric": "time_s", "over": "variant", "order": [SEQUENCE, HEADWISE], "regime": ["phase", "isa"],
         "where": {"ranks": [2]}},
        {"claim": "isa", "metric": "gflops", "over": "isa", "ratio": {"slow": "avx2", "fast": "avx512", "min": 0.9, "max": 2}},
        {"claim": "bytes", "metric": "comm_bytes_per_rank", "over": "variant", "order": [HEADWISE, SEQUENCE]},
        {"claim": "overlap", "metric": "overlap_fraction", "over": "variant", "order": [HEADWISE, SEQUENCE]},
    ]  # fmt: skip
    plan: dict[str, Any] = {
        "margin": 0.02, "looks": [2, 4], "order_seed": 7, "control": {"duplicate": SEQUENCE, "every": 1},
        "compiler": "g++", "flags": "-O3",
        "launches": [
            {"launch": launch, "exit_status": 0, "cpu": "a CPU", "caches": {"l1d": 32768}, "isa": "avx512", "mpi": "an MPI",
             "git_revision": "0123456789abcdef", "pinning": {"2x1": "0 1"}}
            for launch in range(4)
        ],
    }  # fmt: skip
    synthetic_run.write_run(directory, cells, expect, launches=4, rounds=3, pilots=1, launch_effect=0.01, plan=plan)


def _write_kernels(directory: Path) -> None:
    settings_of: list[tuple[str, float, dict[str, Any]]] = [
        ("online_softmax", 0.33, {"seq_len": 2048}),
        ("online_softmax", 0.17, {"seq_len": 2048, "dtype": "bf16"}),
        ("online_softmax", 0.17, {"seq_len": 2048, "threads": 2}),
        ("standard", 1.6, {"seq_len": 4096}),
        ("online_softmax", 0.013, {"seq_len": 32768, "phase": "decode", "causal": "true"}),
    ]
    cells = [
        Cell({f"headwise(none)+{algorithm}": time}, {"ranks": 1, "causal": "false", **factors}, {"rel_l2_err": 3e-3})
        for algorithm, time, factors in settings_of
    ]
    synthetic_run.write_run(directory, cells, [], launches=3, rounds=3, pilots=0)


_WRITERS: Mapping[str, Callable[[Path], None]] = {
    "one_launch": _write_one_launch,
    "looks": _write_looks,
    "kernels": _write_kernels,
}
RUNS = tuple(_WRITERS)


@functools.lru_cache(maxsize=None)
def sound_run(name: str) -> Files:
    """The files of a run that every command accepts, the verdict on it included."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / name
        _WRITERS[name](directory)
        run = read_run(directory)
        (directory / VERDICT).write_text(report_as_json(run, judge_run(run)), encoding="utf-8")
        return {path: (directory / path).read_bytes() for path in (*RUN_FILES, VERDICT)}


# --- steps of a damage ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flip:
    """Changes bits of one byte."""

    file: str
    position: int
    bits: int

    def apply(self, content: bytes) -> bytes:
        if not content:
            return content
        at = self.position % len(content)
        return content[:at] + bytes([content[at] ^ self.bits]) + content[at + 1 :]


@dataclass(frozen=True)
class Cut:
    """Takes bytes out, to the end if length is None."""

    file: str
    position: int
    length: int | None

    def apply(self, content: bytes) -> bytes:
        at = self.position % (len(content) + 1)
        return content[:at] + (b"" if self.length is None else content[at + self.length :])


@dataclass(frozen=True)
class Insert:
    """Puts bytes in."""

    file: str
    position: int
    inserted: bytes

    def apply(self, content: bytes) -> bytes:
        at = self.position % (len(content) + 1)
        return content[:at] + self.inserted + content[at:]


@dataclass(frozen=True)
class SetJson:
    """Puts a value, given as the text that stands in the file, at a path; None takes the key away."""

    file: str
    path: JsonPath
    text: str | None

    def apply(self, content: bytes) -> bytes:
        try:
            document = json.loads(content)
            holder = document
            for key in self.path[:-1]:
                holder = holder[key]
            if self.text is None:
                del holder[self.path[-1]]
                return json.dumps(document).encode()
            holder[self.path[-1]] = mark = "\x01here\x01"
        except (ValueError, LookupError, TypeError, RecursionError):
            return content
        return json.dumps(document).replace(json.dumps(mark), self.text).encode("utf-8", "surrogatepass")


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


@dataclass(frozen=True)
class SetField:
    """Puts a field into a row (the header does not count), into all rows of that one's cell, or into all: 'one', 'cell', 'all'."""

    file: str
    row: int
    which: str
    column: str
    value: str

    def apply(self, content: bytes) -> bytes:
        header, *rows = [line.rstrip(b"\n").split(b",") for line in _lines(content)] or [[]]
        names = [name.decode("utf-8", "replace") for name in header]
        if not rows or self.column not in names:
            return content
        chosen = rows[self.row % len(rows)]
        cell = names.index("cell") if "cell" in names else 0
        for fields in rows:
            same = fields is chosen or (self.which == "cell" and fields[cell : cell + 1] == chosen[cell : cell + 1])
            if (self.which == "all" or same) and len(fields) == len(names):
                fields[names.index(self.column)] = self.value.encode("utf-8", "surrogatepass")
        return b"".join(b",".join(fields) + b"\n" for fields in [header, *rows])


@dataclass(frozen=True)
class Rename:
    """Puts other text wherever some stands, in all files: they still agree with each other."""

    old: str
    new: str
    file: str = EVERY_FILE

    def apply(self, content: bytes) -> bytes:
        return content.replace(self.old.encode(), self.new.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class MoveRow:
    """Drops, doubles or swaps rows, the header among them; how: 'drop', 'double' or 'swap'."""

    file: str
    row: int
    other: int
    how: str

    def apply(self, content: bytes) -> bytes:
        lines = _lines(content)
        if not lines:
            return content
        row, other = self.row % len(lines), self.other % len(lines)
        if self.how == "drop":
            del lines[row]
        elif self.how == "double":
            lines.insert(other, lines[row])
        else:
            lines[row], lines[other] = lines[other], lines[row]
        return b"".join(lines)


Step = Union[Flip, Cut, Insert, SetJson, SetField, Rename, MoveRow]


@dataclass(frozen=True)
class Damage:
    """Which run, and what is done to it."""

    run: str
    steps: tuple[Step, ...]

    def files(self) -> dict[str, bytes]:
        files = dict(sound_run(self.run))
        for step in self.steps:
            for name in files if step.file == EVERY_FILE else [step.file]:
                files[name] = step.apply(files[name])
        return files

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self.files().items():
            (directory / name).write_bytes(content)


# --- all damages ------------------------------------------------------------------------------------------------------------

_POSITIONS = st.integers(0, 1 << 20)
_ODD_JSON = (
    "null", "true", "false", "0", "1", "-1", "0.5", "1e308", "-1e308", "1e-320", "1e999", "NaN", "Infinity", "9" * 30,
    "9" * 400, "9" * 5000, '""', '"0"', '"true"', '"ordering"', r'"\ud800"', r'"\u0000"', r'"a\nb"', '"$x_{$"', '"../up"',
    '"' + "x" * 300 + '"', "[]", "{}", "[[]]", "[null]", "[1, 2]", "[2, 1]", '["ranks"]', '[{"ranks": 1}]', '{"ranks": []}',
    '{"ranks": {}}', "[" * 5000 + "]" * 5000, "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500, "1 2", "",
)  # fmt: skip
_JSON_KEYS = (
    "schema_version", "experiment", "title", "expect", "launches", "launch", "exit_status", "git_revision", "margin", "looks",
    "order_seed", "control", "duplicate", "every", "mixed_git_revision", "claim", "metric", "over", "order", "where", "regime",
    "ratio", "slow", "fast", "min", "max", "cpu", "caches", "mpi", "isa", "pinning", "compiler", "config_sha256", "claims",
    "cells", "factors", "word", "name", "pairs", "ranks",
)  # fmt: skip
_ODD_FIELDS = (
    "", " ", "0", "1", "2", "-1", "-0.0", "0.5", "1.5", "nan", "inf", "1e308", "1e-308", "5e-324", "1e25", "true", "TRUE", "x",
    "ok", "failed", "time_limited", "none", "standard", "prefill", "decode", "model", "9" * 30, "9" * 400, "9" * 5000, "\u0663",
    "\u00b2", "1_000", "0x10", '"', '""', '"a\nb"', "a,b", "\0", "\ud800", "$x_{$", "$\\frac$", "../up", "/", ".", "a/b", "1000",
    "2000", "\r", "x" * 300, "{0}", "%s", "cell000", "1e3", "\u2028",
)  # fmt: skip


def _json_paths(value: Any, path: JsonPath = ()) -> list[JsonPath]:
    keys: Sequence[str | int] = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [found for key in keys for found in ((*path, key), *_json_paths(value[key], (*path, key)))]


@functools.lru_cache(maxsize=None)
def _paths(run: str, file: str) -> list[JsonPath]:
    """Where something stands."""
    return _json_paths(json.loads(sound_run(run)[file]))


@functools.lru_cache(maxsize=None)
def _new_paths(run: str, file: str) -> list[JsonPath]:
    """Where something could stand: keys that some object of a run has, in any object."""
    objects = {path[:-1] for path in _paths(run, file) if isinstance(path[-1], str)}
    return [(*path, key) for path in sorted(objects, key=str) for key in _JSON_KEYS]


@functools.lru_cache(maxsize=None)
def _columns(run: str, file: str) -> Mapping[str, list[str]]:
    """What stands in each column."""
    header, *rows = [line.decode().rstrip("\n").split(",") for line in _lines(sound_run(run)[file])]
    return {name: sorted(set(values)) for name, values in zip(header, zip(*rows))}


# Almost any change of these is refused at once.
_IDENTITY = ("schema_version", "launch", "cell", "case", "variant", "round")


_NAMES = (
    SEQUENCE, HEADWISE, "+", "online_softmax", "headwise", "ordering", "synthetic", "native", "avx512", "qwen3-0.6b", "prefill",
    "decode", "fp32", "attention", "gaussian", "highway", "ring", "cell00", "cell000", "none", "2048", "512", "128", "true", ",ok,",
)  # fmt: skip


def _json_texts() -> st.SearchStrategy[str]:
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_JSON_KEYS), inner, max_size=3),
        max_leaves=5,
    )
    return st.sampled_from(_ODD_JSON) | values.map(json.dumps)


def _weighted(*choices: tuple[int, st.SearchStrategy[Step]]) -> st.SearchStrategy[Step]:
    """Raw damage is refused by whoever reads first; most steps should get further."""
    return st.sampled_from([choice for weight, choice in choices for _ in range(weight)]).flatmap(lambda choice: choice)


def _steps(run: str, file: str) -> st.SearchStrategy[Step]:
    name = st.just(file)
    raw: st.SearchStrategy[Step] = st.one_of(
        st.builds(Flip, name, _POSITIONS, st.integers(1, 255)),
        st.builds(Cut, name, _POSITIONS, st.none() | st.integers(1, 2000)),
        st.builds(Insert, name, _POSITIONS, st.binary(min_size=1, max_size=8)),
    )
    if file.endswith(".json"):
        edits: st.SearchStrategy[Step] = st.builds(SetJson, name, st.sampled_from(_paths(run, file)), st.none() | _json_texts())
        more: st.SearchStrategy[Step] = st.builds(SetJson, name, st.sampled_from(_new_paths(run, file)), _json_texts())
        return _weighted((14, edits), (5, more), (1, raw))
    columns = _columns(run, file)
    which = st.sampled_from(["one", "cell", "cell", "all"])

    def field_of(column: str) -> st.SearchStrategy[Step]:
        values = st.sampled_from(_ODD_FIELDS) | st.sampled_from(columns[column]) | st.text(max_size=4)
        return st.builds(SetField, name, _POSITIONS, which, st.just(column), values)

    others = [column for column in columns if column not in _IDENTITY]
    fields = st.sampled_from([*(column for column in columns if column in _IDENTITY), *others, *others]).flatmap(field_of)
    rows: st.SearchStrategy[Step] = st.builds(MoveRow, name, _POSITIONS, _POSITIONS, st.sampled_from(["drop", "double", "swap"]))
    renamed: st.SearchStrategy[Step] = st.builds(Rename, st.sampled_from(_NAMES), st.sampled_from(_ODD_FIELDS) | st.text(max_size=4))
    return _weighted((11, fields), (6, renamed), (2, rows), (1, raw))


def damages(runs: Sequence[str] = RUNS, files: Sequence[str] = RUN_FILES) -> st.SearchStrategy[Damage]:
    """Damages of one to three steps to these files of one of these runs."""

    def of_run(run: str) -> st.SearchStrategy[Damage]:
        steps = st.lists(st.sampled_from(files).flatmap(lambda file: _steps(run, file)), min_size=1, max_size=3)
        return st.builds(Damage, st.just(run), steps.map(tuple))

    return st.sampled_from(runs).flatmap(of_run)


# --- commands ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    status: int
    output: str
    errors: str


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> Outcome:
    """As from a shell: what cannot be encoded is an error, and every warning is a line on standard error."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            status = main(arguments)
        except SystemExit as leaving:  # argparse
            status = int(leaving.code or 0)
    texts = []
    for stream in (output, errors):
        stream.seek(0)
        texts.append(stream.read())
    return Outcome(status, *texts)
