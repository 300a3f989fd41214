"""A repository's top with a register of its own, published figures and runs with known answers. For tests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, Sequence

from analysis.judge.register_entry import Decided
from analysis.page.records import Results
from analysis.page.register import decided_register
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import ORDER_CLAIM, Cell

PUBLISHED = """source,claim,setting,value,unit
table1,slow time,here,3,ms
table1,fast time,here,2,ms
table1,third time,"here, too",2.5,ms
fig2,gain,all,3,percent
"""
SLOW, FAST, THIRD, GAIN = "table1 | slow time | here", "table1 | fast time | here", "table1 | third time | here, too", "fig2 | gain | all"
QUOTIENT: dict[str, Any] = {"quotient": [SLOW, FAST]}  # 1.5
LAUNCHES = 16


class SmallRegister:
    """In a directory; one experiment, `trial`, unless more are added."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for directory in ("analysis", "experiments", "results/original"):
            (top / directory).mkdir(parents=True)
        (top / "results/original/published.csv").write_text(PUBLISHED, encoding="utf-8")
        self.add_experiment("trial")

    def add_experiment(self, name: str, claims: Sequence[str] = ("ordering",)) -> None:
        expect = [{"claim": claim} for claim in claims]
        (self.top / f"experiments/{name}.yaml").write_text(json.dumps({"name": name, "expect": expect}), encoding="utf-8")

    def write_text(self, text: str) -> None:
        (self.top / "analysis/claims.yaml").write_text(text, encoding="utf-8")

    def write(self, *entries: Mapping[str, Any]) -> None:
        """The entries, and one that speaks of the rows that they leave out. JSON is YAML."""
        rest = {
            "id": "rest", "statement": "The rest", "published": {"value": SLOW, "also": [FAST, THIRD, GAIN]},
            "rule": {"kind": "cannot_be_tested_here", "reason": "a test"},
        }  # fmt: skip
        self.write_text(json.dumps({"claims": [*entries, rest]}))

    def write_run(self, cells: Sequence[Cell], name: str = "trial", **options: Any) -> Path:
        experiment, _, link = name.partition("/")
        directory = self.top / "results" / experiment / "reference" / link
        settings: dict[str, Any] = {"launches": LAUNCHES, "rounds": 3} | options
        synthetic_run.write_run(directory, cells, settings.pop("expect", (ORDER_CLAIM,)), **settings)
        return directory

    def decide_all(self) -> list[Decided]:
        return decided_register(Results(self.top / "results"))

    def decide(self, rule: Mapping[str, Any], **more: Any) -> Decided:
        """One entry with this rule."""
        self.write(entry(rule, **more))
        return self.decide_all()[0]


def entry(rule: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A sound entry, changed."""
    sound = {"id": "one", "statement": "A claim", "published": QUOTIENT, "experiment": "trial", "rule": dict(rule)}
    return sound | more
