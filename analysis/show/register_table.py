"""The register of claims as records for other programs (results/claims.json) and as rows for people."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Sequence

from analysis.judge.register_entry import Decided, RegisterWord

HEADER = ("claim", "source", "published", "here", "verdict", "why")
FIELDS = (
    "id", "statement", "source", "published", "unit", "experiment", "rule", "ours", "low", "high", "verdict", "reason", "run",
)  # fmt: skip
_SIGNIFICANT = 6  # digits in the file: more than is known, fewer than two machines' libraries differ in


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_SIGNIFICANT}g}")


def record(decided: Decided) -> dict[str, Any]:
    """FIELDS. published and ours are both in `unit`; null is what there is none of."""
    entry, outcome = decided.entry, decided.outcome
    values = (
        entry.name, entry.statement, entry.published.source, _rounded(entry.published.value), entry.published.unit or "x",
        f"experiments/{entry.experiment}.yaml" if entry.experiment else None, decided.rule_text,
        _rounded(outcome.ours), _rounded(outcome.low), _rounded(outcome.high), str(outcome.verdict), outcome.reason,
        decided.run_text or None,
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def json_text(register: Sequence[Decided]) -> str:
    """The whole file."""
    return json.dumps([record(decided) for decided in register], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def published_text(decided: Decided) -> str:
    """'2.55 x', '14 %'; nothing where the claim has words only."""
    published = decided.entry.published
    if published.value is None:
        return ""
    return f"{published.value:.3g} {'%' if published.unit == 'percent' else published.unit}"


def figure_text(decided: Decided) -> str:
    """'0.504 [0.492, 0.517]'; '1.010 ~' of one launch; '21 exact', '20.9 to 21.1 exact' of what was counted."""
    outcome = decided.outcome
    if outcome.ours is None:
        return ""
    if outcome.counted:
        return " to ".join(dict.fromkeys(f"{end:.3g}" for end in (outcome.low, outcome.high) if end is not None)) + " exact"
    if outcome.low is None or outcome.high is None:
        return f"{outcome.ours:.3f} ~"
    return f"{outcome.ours:.3f} [{outcome.low:.3f}, {outcome.high:.3f}]"


def row(decided: Decided) -> list[str]:
    """HEADER, in Markdown."""
    outcome = decided.outcome
    cells = [
        decided.entry.statement, decided.entry.published.source, published_text(decided), figure_text(decided),
        f"**{outcome.verdict}**", outcome.reason,
    ]  # fmt: skip
    return [cell.replace("|", "\\|") for cell in cells]


def counts_text(register: Sequence[Decided]) -> str:
    """'3 reproduced, 7 not reproduced, ...'."""
    counts = Counter(decided.outcome.verdict for decided in register)
    return ", ".join(f"{counts[word]} {word}" for word in RegisterWord if counts[word])
