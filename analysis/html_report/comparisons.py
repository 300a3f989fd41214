"""The pairs of variants that the runs' claims compare, each with all its cells: what the map and the ratios show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence

from analysis.html_report.blocks import clip, said
from analysis.html_report.inputs import LoadedRun
from analysis.judge.claims import Claim
from analysis.judge.decisions import PairResult
from analysis.judge.words import DECIDED, ClaimWord, Word
from analysis.show.verdict_phrases import MARKS, format_interval, phrase, short_names

STYLES = {
    Word.FASTER: "for",
    Word.INSIDE: "for",
    Word.SLOWER: "against",
    Word.OUTSIDE: "against",
    Word.EQUAL: "equal",
    Word.DIFFERS: "differs",
    Word.NOT_RESOLVED: "open",
    Word.ESTIMATE_ONLY: "estimate",
    Word.NO_VOTE: "silent",
}
CLAIM_STYLES = {
    ClaimWord.CONFIRMED: "for",
    ClaimWord.REFUTED: "against",
    ClaimWord.DEPENDS: "differs",
    ClaimWord.OPEN: "open",
}


@dataclass(frozen=True)
class Compared:
    """One cell of one run."""

    factors: Mapping[str, str]  # with 'run'
    result: PairResult
    margin: float
    said: str  # 'head-wise faster by 5.1 to 9.2 %'

    @property
    def decided(self) -> bool:
        return self.result.word in DECIDED

    @property
    def style(self) -> str:
        return STYLES[self.result.word]

    @property
    def mark(self) -> str:
        return MARKS[self.result.word]

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of its interval; an estimate of one launch has one of that launch."""
        return self.result.interval

    @property
    def numbers(self) -> str:
        return format_interval(self.result.ratio, self.ends)

    @property
    def tip(self) -> str:
        """All that a reader wants to know of it."""
        launches = self.result.launches
        count = f"{launches} launch{'es' if launches != 1 else ''}"
        reason = f"; {self.result.reason}" if self.result.word is Word.NO_VOTE and self.result.reason else ""
        return said(f"{self.said}. Ratio {self.numbers}; {count}{reason}", 400)


@dataclass
class Comparison:
    """Slow over fast as claimed."""

    claim: Claim
    pair: int
    cells: list[Compared] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the claims that ask this

    @property
    def sides(self) -> tuple[str, str]:
        """(fast, slow), as short as tells them apart."""
        fast, slow = short_names(self.claim, self.pair)
        return clip(fast, 60), clip(slow, 60)

    @property
    def title(self) -> str:
        fast, slow = self.sides
        metric = "" if self.claim.metric == "time_s" else f" ({self.claim.metric})"
        return f"{slow} over {fast}{metric}{self._bounds}"

    @property
    def _bounds(self) -> str:
        """Of a claim about a ratio."""
        claim = self.claim
        low = f"at least {claim.minimum:g}" if claim.minimum is not None else ""
        high = f"at most {claim.maximum:g}" if claim.maximum is not None else ""
        return f", claimed {' and '.join(text for text in (low, high) if text)}" if claim.is_ratio else ""


def warnings(runs: Sequence[LoadedRun]) -> tuple[str, ...]:
    """A line per run whose words do not stand."""
    return tuple(f"{loaded.label}: no word stands, because {loaded.broken}." for loaded in runs if loaded.broken)


def compare(runs: Sequence[LoadedRun]) -> list[Comparison]:
    """Every pair once, however many claims and runs ask it; cells in the order of the runs."""
    found: dict[tuple[object, ...], Comparison] = {}
    seen: set[tuple[object, ...]] = set()
    for loaded in runs:
        for result in loaded.verdict.claims:
            claim = result.claim
            for pair, sides in enumerate(claim.pairs):
                key = (claim.metric, claim.over, *sides, claim.minimum, claim.maximum)
                comparison = found.setdefault(key, Comparison(claim, pair))
                if claim.name not in comparison.names:
                    comparison.names.append(claim.name)
                for cell in result.cells:
                    one = cell.pairs.get(pair)
                    identity = (key, loaded.label, one.comparison.names if one is not None else None)
                    if one is None or identity in seen:
                        continue
                    seen.add(identity)
                    margin = loaded.verdict.margin
                    said = phrase(one.word, short_names(claim, pair), one.ratio, one.interval, margin)
                    comparison.cells.append(Compared({"run": loaded.label, **one.comparison.factors}, one, margin, said))
    return [comparison for comparison in found.values() if comparison.cells]
