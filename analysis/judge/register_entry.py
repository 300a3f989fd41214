"""An entry of the register of the original study's claims, where its runs are, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Mapping, Protocol

from analysis.judge.published import Published
from analysis.judge.verdicts import RunVerdict
from analysis.read.read_run import Run


class RegisterWord(str, Enum):
    """The verdict on a claim of the original study."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    ONLY_WHERE = "only where"  # shown for it in some places and against it in others; the reason says where
    NOT_RESOLVED = "not resolved"  # measured in several launches, and the data allow either answer
    ESTIMATE_ONLY = "estimate only"  # one launch: a figure, and no word
    NOT_MEASURED = "not measured yet"
    CANNOT = "cannot be tested here"

    def __str__(self) -> str:
        return self.value


# Those that settle the claim for this machine.
SETTLED = (RegisterWord.REPRODUCED, RegisterWord.NOT_REPRODUCED, RegisterWord.ONLY_WHERE)


@dataclass(frozen=True)
class Entry:
    """One claim as analysis/claims.yaml states it."""

    name: str
    statement: str
    published: Published
    experiment: str  # the name of a file in experiments/, or "" where none can test it
    runs: tuple[str, ...]  # 'kernels', 'network/10gbit': under results/*/reference
    kind: str
    rule: Mapping[str, Any]  # without its kind


@dataclass(frozen=True)
class Outcome:
    """What the runs say of an entry. low and high are None where one launch gives no interval; of what is counted they are
    the smallest and the largest cell."""

    verdict: RegisterWord
    reason: str
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    counted: bool = False


@dataclass(frozen=True)
class Decided:
    entry: Entry
    outcome: Outcome
    rule_text: str  # the rule in words
    run_text: str  # directories of the runs that decided, "" if there are none


class RunSource(Protocol):
    """The checked-in runs."""

    def has(self, name: str) -> bool: ...

    def run(self, name: str) -> Run: ...

    def judged(self, name: str) -> RunVerdict:
        """By the claims of the run's own experiment file."""

    def path(self, name: str) -> Path: ...


def run_directory(name: str) -> str:
    """From results/: 'network/reference/10gbit' of 'network/10gbit'."""
    experiment, _, link = name.partition("/")
    return f"{experiment}/reference/{link}".rstrip("/")
