"""Tables as lines of text: aligned for a terminal, or Markdown."""

from __future__ import annotations

from typing import Sequence


def format_columns(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """Aligned columns, the first `left` of them to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        fields = [value.ljust(w) if i < left else value.rjust(w) for i, (value, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(fields).rstrip())
    return lines


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
