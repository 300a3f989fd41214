"""What a line of a file needs: a program, a Python module or a header."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Use:
    """What a line needs. A doubtful one counts only if it is known: the word may mean something else."""

    line: int
    kind: str
    name: str
    doubtful: bool = False
