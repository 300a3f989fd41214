"""One colour and mark per variant on the whole page."""

from __future__ import annotations

from typing import Iterable, Sequence

from analysis.html_report.blocks import clip

COLOURS = 8  # in templates/style.css


class Palette:
    """Numbers in the order of first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def legend(self, names: Iterable[str]) -> Sequence[tuple[int, str]]:
        return sorted({(self.number(name), clip(name)) for name in names})
