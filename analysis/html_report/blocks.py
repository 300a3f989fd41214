"""What a page is made of: sections of tables, drawings and lists. templates/ turns them into HTML; nothing here is markup."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Mapping, Sequence

from analysis.html_report.geometry import Tick

_LONGEST = 160  # of a name on the page; ten thousand letters would hide everything else


def clip(text: str, longest: int = _LONGEST) -> str:
    """A name that a person can still read."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def said(text: str, longest: int = 1000) -> str:
    """A sentence, with the sign for 'plus or minus' that a terminal may not have."""
    return clip(re.sub(r"\+-(?=\d)", "\u00b1", text), longest)


@dataclass(frozen=True)
class Field:
    """One field of a table. `sort`: what it is sorted by, where that is not its text."""

    text: str
    sort: float | None = None
    style: str = ""  # the class of a word, coloured as everywhere
    link: str = ""


@dataclass(frozen=True)
class Column:
    title: str
    numeric: bool = False
    wide: bool = False  # holds sentences


@dataclass(frozen=True)
class Table:
    kind: ClassVar[str] = "table"
    name: str  # in the page's addresses
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Field]]
    folded: bool = True  # the data of a drawing, behind a line to click
    filtered: bool = False


@dataclass(frozen=True)
class Mark:
    """A point of a drawing with its interval; positions in per cent, None where there is no end."""

    x: float
    y: float
    low: float | None
    high: float | None
    tip: str
    style: str = ""
    hollow: bool = False


@dataclass(frozen=True)
class Segment:
    """A straight line with a meaning: 'limit', 'ideal', 'cores' or 'roof'."""

    style: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Series:
    number: int  # of its colour and mark
    name: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Panel:
    title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    segments: Sequence[Segment]
    series: Sequence[Series]


@dataclass(frozen=True)
class Panels:
    """Drawings that share a legend; beyond `shown` they are behind a line to click."""

    kind: ClassVar[str] = "panels"
    title: str
    x_title: str
    y_title: str
    legend: Sequence[tuple[int, str]]
    panels: Sequence[Panel]
    lines: Sequence[tuple[str, str]] = ()  # (style, meaning) of the segments
    joined: bool = True  # whether what lies between two points has a meaning
    shown: int = 6


@dataclass(frozen=True)
class StripRow:
    """One line of a strip: a label, a point with its interval, and the same in words. x None: nothing to draw."""

    label: str
    text: str
    tip: str
    style: str
    mark: str = ""
    x: float | None = None
    low: float | None = None
    high: float | None = None
    low_cut: bool = False  # the interval goes on beyond the axis
    high_cut: bool = False
    dots: Sequence[float] = ()  # instead of a point: many


@dataclass(frozen=True)
class Strips:
    """Rows under one horizontal axis."""

    kind: ClassVar[str] = "strips"
    title: str
    left: str  # what the two ends of the axis mean
    right: str
    ticks: Sequence[Tick]
    rows: Sequence[StripRow]
    band: tuple[float, float] | None = None
    centre: float | None = None
    shown: int = 18


@dataclass(frozen=True)
class MapCell:
    style: str
    mark: str
    text: str
    tip: str


@dataclass(frozen=True)
class MapFacet:
    title: str
    rows: Sequence[tuple[str, Sequence[MapCell | None]]]


@dataclass(frozen=True)
class RegimeMaps:
    kind: ClassVar[str] = "maps"
    title: str
    explained: str
    row_title: str
    columns: Sequence[str]
    facets: Sequence[MapFacet]


@dataclass(frozen=True)
class Words:
    """Paragraphs."""

    kind: ClassVar[str] = "words"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """What is said of one claim. `shown`: so many sentences of each pair; the others are behind a line to click."""

    name: str
    word: str
    style: str
    summary: str
    pairs: Sequence[tuple[str, Sequence[str]]]  # (names of the pair, sentences)
    shown: int


@dataclass(frozen=True)
class RunCard:
    """A run in the headline: its question, the answers, how it was made."""

    kind: ClassVar[str] = "card"
    label: str
    question: str  # empty where it is the title of the page
    answers: Sequence[Answer]
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]


@dataclass(frozen=True)
class Chooser:
    """What the panel 'which strategy' works with; the table beneath says the same without a script."""

    kind: ClassVar[str] = "chooser"
    data: Mapping[str, Any]


@dataclass(frozen=True)
class SampleCell:
    label: str
    series: Sequence[tuple[str, str]]  # variant, times in ms: launches apart by ';'


@dataclass(frozen=True)
class Samples:
    kind: ClassVar[str] = "samples"
    label: str
    links: Sequence[tuple[str, str]]  # file name, address
    cells: Sequence[SampleCell]
    note: str


Block = Table | Panels | Strips | RegimeMaps | Words | RunCard | Chooser | Samples


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    intro: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    missing: Sequence[str] = ()  # what is not here, and the command that makes it
