"""CSV files of a run: header and rows that know where they stand, with typed fields. All reading of CSV goes through here.

Whatever is wrong is reported as one UnusableInput whose message names file, line and column.
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from analysis.read.unusable_input import UnusableInput as UnusableInput
from analysis.read.whole_file import read_whole

# The last column of both files from schema version 3 on.
CHECK_COLUMN = "check"
# What fits into the 64 bits of the one who writes it.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
# Of what is measured nothing comes near these; within them products and quotients of a few stay numbers.
_SMALLEST, _LARGEST = 1e-60, 1e60
WORDS_FOR_TRUE = ("1", "true")
WORDS_FOR_FALSE = ("0", "false")


@dataclass(frozen=True)
class Row:
    """One row: its fields by column, in the order of the file."""

    file: str
    line: int
    values: Mapping[str, str]

    def error(self, column: str, problem: str) -> UnusableInput:
        return UnusableInput(f"{self.file} line {self.line}, column {column}: {problem}")

    def text(self, column: str) -> str:
        value = self.values[column].strip()
        if not value:
            raise self.error(column, "empty")
        return value

    def integer(self, column: str, minimum: int | None = None) -> int:
        value = self.text(column)
        # int() also takes digits of other scripts and underscores, and no limit.
        if _WHOLE_NUMBER.fullmatch(value) is None:
            raise self.error(column, f"'{value}' is not a whole number")
        number = int(value)
        if minimum is not None and number < minimum:
            raise self.error(column, f"{number} is below {minimum}")
        return number

    def number(self, column: str, *, negative: bool = False) -> float | None:
        """A finite number, or None for an empty field."""
        value = self.values[column].strip()
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            raise self.error(column, f"'{value}' is not a number") from None
        if not math.isfinite(number):
            raise self.error(column, f"'{value}' is not finite")
        if number != 0 and not _SMALLEST <= abs(number) <= _LARGEST:
            raise self.error(column, f"{value} is not a number that anything here can be")
        if number < 0 and not negative:
            raise self.error(column, f"{value} is negative")
        return number

    def flag(self, column: str) -> bool:
        value = self.text(column).lower()
        if value in WORDS_FOR_TRUE:
            return True
        if value in WORDS_FOR_FALSE:
            return False
        raise self.error(column, f"'{value}' is neither true nor false")


@dataclass(frozen=True)
class CsvTable:
    """A whole file; every row has a field for every column of the header."""

    header: list[str]
    rows: list[Row]


def _stored_bytes(path: Path) -> bytes:
    """The bytes of a file, or of the compressed one (path.xz) that stands in its place."""
    packed = path.with_name(path.name + ".xz")
    if path.exists() or not packed.exists():
        return read_whole(path)
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        content = stream.decompress(read_whole(packed))
    except lzma.LZMAError:
        raise UnusableInput(f"{packed}: cannot be read: not an xz file, or damaged") from None
    if not stream.eof or stream.unused_data:
        raise UnusableInput(f"{packed}: cannot be read: not an xz file, or damaged")
    return content


def read_text(path: Path) -> str:
    """The text of a file of a run, which may be stored as path.xz."""
    try:
        return _stored_bytes(path).decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise UnusableInput(f"{path}: no such file (is this the directory of a run?)") from None
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8 text"
        raise UnusableInput(f"{path}: cannot be read: {reason}") from None


def csv_line(fields: Sequence[str]) -> str:
    """A row as it is written, without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def check_of(line: str) -> str:
    """What stands in the last field, `check`, of a row that begins with `line` (the last comma included)."""
    return hashlib.sha256(line.encode("utf-8")).hexdigest()[:8]


def _require_checks(path: Path, lines: Sequence[str]) -> None:
    """A row that was cut or changed since it was written is known by its check. Each row is one line."""
    for number, line in enumerate(lines[1:], start=2):
        before, comma, check = line[:-1].rpartition(",")
        if check != check_of(before + comma):
            raise UnusableInput(
                f"{path} line {number}: its check is wrong, so the row was changed or cut; the benchmark's --resume drops such"
                " rows and measures their cells again"
            )


def read_table(path: Path, columns: Sequence[str], *, drop_cut_off_line: bool = False) -> CsvTable:
    """Reads a CSV file that has at least `columns`.

    A last line without its end was cut off by a crash: refused, or left out as when a run is resumed.
    """
    text = read_text(path)
    if drop_cut_off_line:
        text = text[: text.rfind("\n") + 1]
    if not text.strip():
        raise UnusableInput(f"{path}: empty file")
    if not text.endswith("\n"):
        raise UnusableInput(f"{path} line {text.count(chr(10)) + 1}: the last line is truncated")
    lines = [line + "\n" for line in text.split("\n")[:-1]]
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader)
        if not header:
            raise UnusableInput(f"{path} line 1: empty, where the names of the columns should be")
        if header[-1] == CHECK_COLUMN:
            _require_checks(path, lines)
        missing = [name for name in columns if name not in header]
        if missing:
            raise UnusableInput(f"{path} line 1: missing column {', '.join(missing)}")
        if len(set(header)) != len(header):
            raise UnusableInput(f"{path} line 1: a column appears twice")
        rows = []
        for fields in reader:
            if len(fields) != len(header):
                raise UnusableInput(f"{path} line {reader.line_num}: {len(fields)} fields where the header has {len(header)}")
            rows.append(Row(str(path), reader.line_num, dict(zip(header, fields))))
    except csv.Error as problem:
        raise UnusableInput(f"{path} line {reader.line_num}: {problem}") from None
    return CsvTable(header, rows)
