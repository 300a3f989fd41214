"""Words and numbers of a verdict as people say them: 'head-wise faster by 5.1 to 9.2 %', 'equal within 2 %'."""

from __future__ import annotations

import math
from typing import Sequence

from analysis.judge.claims import Claim
from analysis.judge.regimes import factor_label
from analysis.judge.words import Word

MARKS = {
    Word.FASTER: "+",
    Word.INSIDE: "+",
    Word.SLOWER: "-",
    Word.OUTSIDE: "-",
    Word.EQUAL: "=",
    Word.DIFFERS: "#",
    Word.NOT_RESOLVED: "?",
    Word.ESTIMATE_ONLY: "~",
    Word.NO_VOTE: "x",
}
Ends = tuple[float, float]  # of an interval of ratios
_NUMBERS = {"1": "One rank", "2": "Two ranks", "3": "Three ranks", "4": "Four ranks", "8": "Eight ranks"}
_SPOKEN = {"headwise": "head-wise", "online_softmax": "online softmax", "row_blocked": "row-blocked"}


def legend(margin: float) -> str:
    return (
        f"+ as claimed  - slower  = equal within {percent(margin)} %  # differs  ? not resolved  "
        "~ estimate  x no vote"
    )


def percent(fraction: float) -> str:
    """'9.2', '12', '2'; a whole number where nothing is lost."""
    value = 100 * fraction
    text = f"{value:.0f}" if abs(value) >= 9.95 or abs(value - round(value)) < 1e-9 else f"{value:.1f}"
    return "0" if text in ("-0", "-0.0", "0.0") else text


def format_ratio(value: float) -> str:
    if math.isinf(value):
        return "inf"
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.0f}" if value < 1e5 else f"{value:.0e}"


def bounded(ends: Ends | None) -> bool:
    return ends is not None and ends[0] > 0 and math.isfinite(ends[1])


def format_interval(ratio: float | None, ends: Ends | None) -> str:
    """'1.031 [1.021, 1.044]'; where the data give no bounds, that they do not."""
    if ratio is None or ends is None:
        return "no ratio"
    if not bounded(ends):
        return f"{format_ratio(ratio)} [no interval]"
    return f"{format_ratio(ratio)} [{format_ratio(ends[0])}, {format_ratio(ends[1])}]"


def spoken(value: str) -> str:
    head, bracket, rest = value.partition("(")
    return _SPOKEN.get(head, head.replace("_", " ")) + bracket + rest


def short_names(claim: Claim, pair: int) -> tuple[str, str]:
    """(fast, slow): only what tells the two apart."""
    fast, slow = claim.pairs[pair]
    if claim.over != "variant":
        return factor_label(claim.over, fast), factor_label(claim.over, slow)
    one, other = fast.partition("+"), slow.partition("+")
    if one[2] == other[2]:
        return spoken(one[0]), spoken(other[0])
    if one[0] == other[0]:
        return spoken(one[2]), spoken(other[2])
    return fast, slow


def by_how_much(ends: Ends) -> str:
    """'by 5.1 to 9.2 %', 'by up to 4.2 %' from next to nothing on, or from a factor of two on how many times."""
    low, high = ends
    if low >= 2:
        return f"{low:.1f} to {high:.1f} times"
    least = percent(low - 1)
    return f"by up to {percent(high - 1)} %" if least == "0" else f"by {least} to {percent(high - 1)} %"


def inverse(ends: Ends) -> Ends:
    """Of the ratio the other way up."""
    return 1 / ends[1], 1 / ends[0]


def half_width_text(ends: Ends | None) -> str:
    """'+-3.1 %': how well the ratio is known."""
    if ends is None or not bounded(ends):
        return "no interval"
    width = math.sqrt(ends[1] / ends[0]) - 1
    return f"+-{percent(width)} %" if width < 0.995 else f"within a factor of {width + 1:.2g}"


def phrase(word: Word, names: tuple[str, str], ratio: float | None, ends: Ends | None, margin: float) -> str:
    """What is known of a pair, as a sentence would say it."""
    fast, slow = names
    if word is Word.FASTER and ends is not None:
        return f"{fast} faster {by_how_much(ends)}"
    if word is Word.SLOWER and ends is not None:
        return f"{slow} faster {by_how_much(inverse(ends))}"
    if word is Word.EQUAL:
        return f"equal within {percent(margin)} %"
    if word in (Word.INSIDE, Word.OUTSIDE):
        return f"{word}: {format_interval(ratio, ends)}"
    if word is Word.NOT_RESOLVED:
        return f"not resolved: {half_width_text(ends)}"
    if word is Word.ESTIMATE_ONLY:
        return _estimate(names, ratio, margin)
    return "differs from cell to cell" if word is Word.DIFFERS else str(word)


def _estimate(names: tuple[str, str], ratio: float | None, margin: float) -> str:
    """Without an interval: that of one launch says nothing about the next."""
    if ratio is None:
        return "estimate only"
    ahead, by = (names[0], ratio) if ratio >= 1 else (names[1], 1 / ratio)
    if by < 1 + margin:
        return "about equal"
    return f"{ahead} ahead by about {percent(by - 1)} %" if by < 2 else f"{ahead} about {by:.1f} times as fast"


def ranks_label(values: Sequence[str]) -> str:
    """'Two ranks' where all are on two; nothing where they differ."""
    (only,) = set(values) if len(set(values)) == 1 else ("",)
    return _NUMBERS.get(only, f"{only} ranks" if only else "")
