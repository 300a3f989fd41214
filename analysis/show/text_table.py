"""Tables as lines of text, aligned for a terminal or Markdown, and how they are printed."""

from __future__ import annotations

import os
import sys
from typing import Sequence

_WIDEST_COLUMN = 90  # characters


def format_columns(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """Aligned columns, the first `left` of them to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        fields = [value.ljust(w) if i < left else value.rjust(w) for i, (value, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(fields).rstrip())
    return lines


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table. The dashes say how wide a column is, up to a limit, to those who make paper of it (pandoc)."""
    longest = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    dashes = ["-" * (6 + min(length, _WIDEST_COLUMN)) for length in longest]
    return ["| " + " | ".join(row) + " |" for row in [header, dashes, *rows]]


def print_quietly(text: str) -> None:
    """Prints; a reader that stops early (head, a closed pager) is no error, and a full disk is one line and status 2."""
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # a name of a file that is no text, or a terminal of few letters
            encoding = sys.stdout.encoding or "utf-8"
            print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as problem:
        # Python flushes stdout once more at exit and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(problem, BrokenPipeError):
            print(f"standard output: cannot be written: {problem.strerror}", file=sys.stderr)
            raise SystemExit(2) from None
