"""The map of a claim: regimes in rows, lengths in columns, and the same as sentences that can be acted on."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Sequence

from analysis.judge.claims import Claim
from analysis.judge.decisions import PairResult
from analysis.judge.regimes import RegimeResult, factor_label, regime_label, voting_pairs
from analysis.judge.verdicts import ClaimResult
from analysis.judge.words import DECIDED, Word
from analysis.show.text_table import format_columns
from analysis.show.verdict_phrases import MARKS, Ends, bounded, half_width_text, percent, phrase, ranks_label, short_names

_COLUMN_AXES = ("seq_len", "batch")


@dataclass(frozen=True)
class Entry:
    """What is known of one pair at one place of the map."""

    word: Word
    ratio: float | None
    ends: Ends | None
    marks: str = ""  # of several cells without an estimate together
    mixed: bool = False  # some of its cells are decided otherwise


@dataclass(frozen=True)
class MapRow:
    label: str
    entries: dict[str, Entry]  # by value of the column axis, in order
    whole: Entry | None  # of the regime, where its columns are cells


@dataclass(frozen=True)
class RegimeMap:
    """Of one pair of a claim."""

    column: str  # the axis; empty if there is one column only
    columns: list[str]
    rows: list[MapRow]


def _entry(result: RegimeResult, pair: int) -> Entry | None:
    found = result.pairs.get(pair)
    if found is None:
        return None
    words = {one.word for one in voting_pairs(result.cells, pair)}
    return Entry(found.word, found.ratio, found.interval, mixed=any(word in DECIDED and word is not found.word for word in words))


def _cells_entry(results: Sequence[PairResult]) -> Entry | None:
    if not results:
        return None
    if len(results) == 1:
        return Entry(results[0].word, results[0].ratio, results[0].interval)
    marks = [MARKS[result.word] for result in results]
    text = " ".join(f"{marks.count(mark)}{mark}" for mark in dict.fromkeys(marks))
    words = {result.word for result in results}
    return Entry(words.pop() if len(words) == 1 else Word.DIFFERS, None, None, text)


def _in_order(values: Sequence[str]) -> list[str]:
    try:
        return sorted(set(values), key=float)
    except ValueError:
        return list(dict.fromkeys(values))


def make_map(result: ClaimResult, pair: int) -> RegimeMap:
    """Regimes that differ in the column axis only share a row; where it makes no regimes, columns are cells."""
    axes = list(result.axes)
    regimes = [regime for regime in result.regimes if pair in regime.pairs]
    column = next((name for name in _COLUMN_AXES if name in axes), "")
    rows: list[MapRow] = []
    if column:
        rest = [name for name in axes if name != column]
        groups: dict[str, dict[str, Entry]] = {}
        for regime in regimes:
            entry = _entry(regime, pair)
            if entry is not None:
                groups.setdefault(regime_label(regime.factors, rest), {})[regime.factors[column]] = entry
        columns = _in_order([value for entries in groups.values() for value in entries])
        rows = [MapRow(label, {c: entries[c] for c in columns if c in entries}, None) for label, entries in groups.items()]
        return RegimeMap(column, columns, rows)
    column = next((name for name in (*_COLUMN_AXES, *result.rows[-1:]) if name in result.rows), "")
    values = [cell.factors.get(column, "") for regime in regimes for cell in regime.cells if pair in cell.pairs]
    columns = _in_order(values) if column else []
    for regime in regimes:
        entries = {}
        for value in columns:
            entry = _cells_entry(voting_pairs([c for c in regime.cells if c.factors.get(column) == value], pair))
            if entry is not None:
                entries[value] = entry
        rows.append(MapRow(regime.label, entries, _entry(regime, pair)))
    return RegimeMap(column, columns, rows)


def _place(values: Sequence[str], columns: Sequence[str], axis: str) -> str:
    """'at 512 tokens', 'from 2048 tokens on', 'up to 1024 tokens', 'from 512 to 2048 tokens'."""
    first, last = values[0], values[-1]
    if axis not in _COLUMN_AXES:
        return f"with {' and '.join(factor_label(axis, value) for value in values)}"
    if len(values) == 1:
        return f"at {factor_label(axis, first)}"
    if len(values) == len(columns):
        return f"from {first} to {factor_label(axis, last)}"
    if last == columns[-1]:
        return f"from {factor_label(axis, first)} on"
    if first == columns[0]:
        return f"up to {factor_label(axis, last)}"
    return f"from {first} to {factor_label(axis, last)}"


def _union(entries: Sequence[Entry]) -> Ends | None:
    ends = [entry.ends for entry in entries if entry.ends is not None]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def _runs(row: MapRow) -> list[tuple[Word, list[str]]]:
    """Neighbouring columns of one word."""
    runs: list[tuple[Word, list[str]]] = []
    for column, entry in row.entries.items():
        # Estimates are told one by one: nothing says that neighbours agree.
        if runs and runs[-1][0] is entry.word and entry.word is not Word.ESTIMATE_ONLY:
            runs[-1][1].append(column)
        else:
            runs.append((entry.word, [column]))
    return runs


def _row_phrases(row: MapRow, shown: RegimeMap, names: tuple[str, str], margin: float) -> str:
    whole = row.whole
    alone = not row.entries or any(entry.marks for entry in row.entries.values())
    # What the cells say together is said where they do not say it one by one.
    if alone or (whole is not None and whole.word in DECIDED and {e.word for e in row.entries.values()} != {whole.word}):
        if whole is None:
            return ""
        text = phrase(whole.word, names, whole.ratio, whole.ends, margin) + (" in the mean of its cells" if row.entries else "")
        return f"estimate of one launch, {text}" if whole.word is Word.ESTIMATE_ONLY else text
    only = all(entry.word is Word.ESTIMATE_ONLY for entry in row.entries.values())
    parts = ["estimate of one launch"] if only else []
    for word, columns in _runs(row):
        entries = [row.entries[column] for column in columns]
        ratio = entries[0].ratio if len(entries) == 1 else None
        widest = max((e.ends for e in entries if e.ends), key=lambda ends: ends[1] / max(ends[0], 1e-300), default=None)
        ends = widest if word is Word.NOT_RESOLVED else _union(entries)
        text = phrase(word, names, ratio, ends, margin)
        parts.append(text + (f" {_place(columns, list(row.entries), shown.column)}" if shown.column else ""))
    return ", ".join(parts)


def sentences(result: ClaimResult, pair: int, margin: float) -> list[str]:
    """A sentence per row of the map: 'Two ranks, native: head-wise faster by 5 to 9 % at 512 tokens, equal ...'."""
    shown = make_map(result, pair)
    ranks = ranks_label([c.factors.get("ranks", "") for c in result.voting]) if "ranks" not in result.axes else ""
    found = []
    silent = [row for row in shown.rows if _is_silent(row)]
    for row in shown.rows:
        if row in silent and len(shown.rows) > 1:
            continue
        text = _row_phrases(row, shown, short_names(result.claim, pair), margin)
        where = ", ".join(part for part in (ranks, "" if row.label == "all cells" else row.label) if part)
        if text:
            found.append(f"{where}: {text}." if where else f"{text[0].upper()}{text[1:]}.")
    if silent and len(shown.rows) > 1:
        found.append(_silence(silent, shown, ranks))
    return found


def _known(row: MapRow) -> list[Entry]:
    return [*row.entries.values(), *([row.whole] if row.whole is not None else [])]


def _is_silent(row: MapRow) -> bool:
    """Whether nothing in it is resolved."""
    entries = _known(row)
    return bool(entries) and all(entry.word is Word.NOT_RESOLVED or set(entry.marks) == {"?"} for entry in entries)


def _silence(rows: Sequence[MapRow], shown: RegimeMap, ranks: str) -> str:
    """One sentence for all rows in which nothing is resolved."""
    ends = [entry.ends for row in rows for entry in _known(row) if bounded(entry.ends) and entry.ends is not None]
    widths = sorted(ends, key=lambda pair: pair[1] / pair[0])
    best = f"; the best known ratio is known to {half_width_text(widths[0])}" if widths else ""
    which = ": " + "; ".join(row.label for row in rows) if len(rows) <= 3 else ""
    where = "in any regime" if len(rows) == len(shown.rows) else f"in {len(rows)} of {len(shown.rows)} regimes{which}"
    return f"{ranks}: not resolved {where}{best}." if ranks else f"Not resolved {where}{best}."


def format_entry(entry: Entry | None) -> str:
    """'+7.1 [+5.1, +9.2] +': per cent by which the side claimed to be slower takes longer; a factor from two on."""
    if entry is None:
        return ""
    mark = MARKS[entry.word]
    if entry.marks:
        return entry.marks
    if entry.ratio is None or entry.ends is None:
        return mark
    if not bounded(entry.ends):
        return f"[no interval] {mark}"
    if entry.ratio >= 2:
        return f"x{entry.ratio:.2f} [{entry.ends[0]:.2f}, {entry.ends[1]:.2f}] {mark}"
    low, high = (_signed(end - 1) for end in entry.ends)
    return f"{_signed(entry.ratio - 1)} [{low}, {high}] {mark}"


def _signed(fraction: float) -> str:
    text = percent(fraction)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def format_map(result: ClaimResult, pair: int, width: int) -> list[str]:
    """The map as lines of at most `width`: as many columns side by side as fit, the others below."""
    shown = make_map(result, pair)
    labels = [textwrap.shorten(row.label, 44, placeholder="...") for row in shown.rows]
    columns: list[tuple[str, list[str]]] = []
    if any(row.whole is not None for row in shown.rows):
        columns.append(("together", [format_entry(row.whole) for row in shown.rows]))
    for value in shown.columns:
        columns.append((factor_label(shown.column, value), [format_entry(row.entries.get(value)) for row in shown.rows]))
    lines: list[str] = []
    first = max(map(len, ["regime", *labels]))
    while columns:
        taken, used = 0, first
        while taken < len(columns):
            title, entries = columns[taken]
            used += 2 + max(map(len, [title, *entries]))
            if used > width and taken:
                break
            taken += 1
        block, columns = columns[:taken], columns[taken:]
        rows = [[label, *[entries[index] for _, entries in block]] for index, label in enumerate(labels)]
        lines += ["" for _ in lines[:1]] + format_columns(["regime", *[title for title, _ in block]], rows, left=1)
    return lines


def claim_pairs_said(claim: Claim) -> set[tuple[str, ...]]:
    """What tells which pairs of a claim another one has already told: metric, axis, both sides, where."""
    where = tuple(f"{column}={','.join(values)}" for column, values in sorted(claim.where.items()))
    return {(claim.metric, claim.over, fast, slow, *where) for fast, slow in claim.pairs}
