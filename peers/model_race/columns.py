"""What is raced: columns, and ways in which llama.cpp can run one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

DTYPES = ("fp32", "bf16")
PREFILLS = (128, 1024, 4096)
DECODES = (128, 1024, 4096, 16384)
_UBATCH = 512
_TRIED_IN_FULL = 1024
_LONGEST_TRIED = 4096
_KEPT = 3


@dataclass(frozen=True, order=True)
class Column:
    dtype: str  # of the weights
    phase: str
    tokens: int  # of the prompt

    @property
    def name(self) -> str:
        return f"{self.dtype}_{self.phase}_{self.tokens}"


COLUMNS = tuple(
    Column(dtype, phase, tokens)
    for dtype in DTYPES
    for phase, lengths in (("prefill", PREFILLS), ("decode", DECODES))
    for tokens in lengths
)


def columns_named(text: str) -> list[Column]:
    """Names by commas, or `all`. Raises ValueError."""
    by_name = {column.name: column for column in COLUMNS}
    if text == "all":
        return list(COLUMNS)
    unknown = [name for name in text.split(",") if name not in by_name]
    if unknown:
        raise ValueError(f"no column '{unknown[0]}'; there are all and {', '.join(by_name)}")
    return [column for column in COLUMNS if column.name in text.split(",")]


@dataclass(frozen=True, order=True)
class Way:
    build: str  # of ggml's CPU code; empty: what it likes best
    flash: bool
    kv: str  # type of the K/V cache
    ubatch: int

    @property
    def name(self) -> str:
        return f"{self.build or 'default'},flash={'on' if self.flash else 'off'},kv={self.kv},ubatch={self.ubatch}"


def way_named(text: str) -> Way:
    build, flash, kv, ubatch = text.split(",")
    return Way("" if build == "default" else build, flash == "flash=on", kv.removeprefix("kv="), int(ubatch.removeprefix("ubatch=")))


def _ubatches(column: Column) -> list[int]:
    """The whole prompt is tried as well; to a single token it means nothing."""
    return sorted({_UBATCH, column.tokens}) if column.phase == "prefill" and column.tokens > _UBATCH else [_UBATCH]


def ways_of(column: Column, builds: Iterable[str], of_shorter: Sequence[Way]) -> list[Way]:
    """What is tried: everything, or of a long column, which takes minutes each time, the fastest three of a shorter one."""
    if column.tokens <= _TRIED_IN_FULL:
        forms = [(build, flash, kv) for build in builds for flash in (True, False) for kv in ("f32", "f16", "bf16")]
    else:
        forms = list(dict.fromkeys((way.build, way.flash, way.kv) for way in of_shorter))[:_KEPT]
    return [Way(build, flash, kv, ubatch) for build, flash, kv in forms for ubatch in _ubatches(column)]


def tried_for(column: Column) -> Column:
    """The column whose fastest way this one takes: itself, or 4096 tokens if filling its cache takes longer still."""
    return Column(column.dtype, column.phase, min(column.tokens, _LONGEST_TRIED))


def shorter(column: Column) -> Column:
    """In which everything is tried before this one."""
    return Column(column.dtype, column.phase, min(column.tokens, _TRIED_IN_FULL))
