"""The words of a verdict, and how the words of parts make the word of the whole."""

from __future__ import annotations

from enum import Enum
from typing import Sequence


class Word(str, Enum):
    """On a comparison, a cell or a regime. A comparison has a claimed faster side; `faster` speaks for the claim."""

    FASTER = "faster"  # as claimed, and not shown to be within the margin
    SLOWER = "slower"  # the other way round, and not shown to be within the margin
    EQUAL = "equal"  # shown to be within the margin, whatever the direction
    INSIDE = "inside the bounds"  # claims about a ratio
    OUTSIDE = "outside the bounds"
    DIFFERS = "differs"  # regimes only: some cells are faster, others slower
    NOT_RESOLVED = "not resolved"
    ESTIMATE_ONLY = "estimate only"  # one launch on several ranks: what differs between launches was not measured
    NO_VOTE = "no vote"

    def __str__(self) -> str:
        return self.value


class ClaimWord(str, Enum):
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    DEPENDS = "depends on the regime"
    OPEN = "open"

    def __str__(self) -> str:
        return self.value


IN_FAVOUR = frozenset({Word.FASTER, Word.INSIDE})
AGAINST = frozenset({Word.SLOWER, Word.EQUAL, Word.OUTSIDE})
DECIDED = IN_FAVOUR | AGAINST | {Word.DIFFERS}
# A strict order fails where one of its pairs does; what is known to fail is said before what is not known.
_PRECEDENCE = (
    Word.SLOWER, Word.OUTSIDE, Word.DIFFERS, Word.EQUAL, Word.NOT_RESOLVED, Word.ESTIMATE_ONLY, Word.FASTER, Word.INSIDE,
)  # fmt: skip


def combine_pairs(words: Sequence[Word]) -> Word:
    """Of a cell or regime whose pairs have these words; pairs without a vote do not count."""
    for word in _PRECEDENCE:
        if word in words:
            return word
    return Word.NO_VOTE


def combine_cells(words: Sequence[Word], pooled: Word) -> Word:
    """Of a regime and one pair, from the words of its cells and of their pooled estimate.

    All alike: that word. Decided both ways: the regime is not one. Otherwise what the cells say together.
    """
    votes = {word for word in words if word is not Word.NO_VOTE}
    if not votes:
        return Word.NO_VOTE
    if len(votes) == 1:
        (only,) = votes
        # Cells that are not resolved alone may be together.
        return only if only in DECIDED or only is Word.ESTIMATE_ONLY else pooled
    seen = votes | {pooled}
    if (Word.FASTER in seen and Word.SLOWER in seen) or (Word.INSIDE in seen and Word.OUTSIDE in seen):
        return Word.DIFFERS
    return pooled


def combine_regimes(words: Sequence[Word]) -> ClaimWord:
    """Of a claim, from the words of its regimes; those without a vote do not count."""
    votes = [word for word in words if word is not Word.NO_VOTE]
    in_favour = any(word in IN_FAVOUR for word in votes)
    against = any(word in AGAINST for word in votes)
    if Word.DIFFERS in votes or (in_favour and against):
        return ClaimWord.DEPENDS
    if against:
        return ClaimWord.REFUTED
    if votes and all(word in IN_FAVOUR for word in votes):
        return ClaimWord.CONFIRMED
    return ClaimWord.OPEN
