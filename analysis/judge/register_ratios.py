"""Rules of the register that compare two or more values of one axis: times, counted bytes and memory, spreads.

Each becomes claims as an experiment file states them, and is judged by the procedure that judges those (verdicts.py): the
same looks, trimmed means, family of comparisons and A/A control. Nothing is estimated here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from typing import Any, Mapping, Sequence

from analysis.judge.claims import parse_claim
from analysis.judge.register_entry import Entry, Outcome, RunSource
from analysis.judge.register_outcome import Evidence, farthest_from_one, gather, outcome_of, smallest
from analysis.judge.regimes import RegimeResult
from analysis.judge.verdicts import ClaimResult, RunVerdict, judge_run
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import COUNT_METRICS, Case, Run, canonical_factor

FASTER = "faster"  # of reproduced_if: as verdicts use the word
_BOUND = re.compile(r"published(?: ([*/]) (\d+(?:\.\d+)?))?")
_BOUND_KEYS = {"at_least": "min", "at_most": "max"}
WORKSPACE, WITH_TENSORS = "workspace", "workspace_and_tensors"
Expect = dict[str, Any]


def bound_of(value: object, published: float | None) -> float:
    """A number, or one that follows from the published figure: `published`, `published / 1.25`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _BOUND.fullmatch(str(value))
    if match is None:
        raise UnusableInput(f"the bound '{value}' must be a number, 'published', 'published / NUMBER' or 'published * NUMBER'")
    if published is None:
        raise UnusableInput(f"the bound '{value}' needs a published figure, and this claim has none")
    factor = float(match[2] or 1)
    if factor <= 0:
        raise UnusableInput(f"the bound '{value}' needs a factor above zero")
    return published * factor if match[1] == "*" else published / factor


def bounds_of(entry: Entry) -> dict[str, float]:
    """'min' and 'max' as a claim's ratio has them."""
    wanted = entry.rule["reproduced_if"]
    if not isinstance(wanted, dict) or not wanted or set(wanted) - set(_BOUND_KEYS):
        raise UnusableInput(f"'reproduced_if' must be '{FASTER}' or have {' or '.join(_BOUND_KEYS)}, not {wanted!r}")
    return {_BOUND_KEYS[key]: bound_of(value, entry.published.value) for key, value in wanted.items()}


def _expect(entry: Entry, metric: str, slow: object, fast: object) -> Expect:
    """The claim of an experiment file that asks the same."""
    rule = entry.rule
    common = {"claim": entry.name, "metric": metric, "over": rule["over"]}
    optional = {key: rule[key] for key in ("where", "regime") if key in rule}
    if rule["reproduced_if"] == FASTER:
        return common | optional | {"order": [fast, slow]}
    return common | optional | {"ratio": {"slow": slow, "fast": fast, **bounds_of(entry)}}


def _with_processors(run: Run, processors: object) -> Run:
    """The run with ranks times threads in place of threads: the same number of processors, used either way."""
    if processors is None:
        return run

    def changed(case: Case) -> Case:
        total = int(case.factors["ranks"]) * int(case.factors["threads"])
        return replace(case, factors={**case.factors, "threads": str(total)})

    return replace(run, cases=[changed(case) for case in run.cases])


def _judge(entry: Entry, source: RunSource, expects: Sequence[Expect], evidence: Evidence, prepare: Any) -> None:
    for name in entry.runs:
        # One answer is expected, unless the rule names what may change it: everything is one regime.
        verdict = judge_run(replace(prepare(source.run(name)), expect=list(expects)), entry.rule.get("regime", []))
        _, _, link = name.partition("/")
        worst = farthest_from_one if len(expects) > 1 else smallest
        gather(evidence, verdict, [(result, result.regimes) for result in verdict.claims], link, worst)


def _times_expect(entry: Entry) -> list[Expect]:
    rule = entry.rule
    found = _expect(entry, str(rule.get("metric", "time_s")), rule["slow"], rule["fast"])
    if "processors" in rule:
        found["where"] = {**found.get("where", {}), "threads": [rule["processors"]]}
    return [found]


def _bytes_expect(entry: Entry) -> list[Expect]:
    return [_expect(entry, str(entry.rule.get("metric", "comm_bytes_per_rank")), entry.rule["more"], entry.rule["less"])]


def _memory_expect(entry: Entry) -> list[Expect]:
    return [_expect(entry, "workspace_bytes", entry.rule["more"], entry.rule["less"])]


def _spread_expect(entry: Entry) -> list[Expect]:
    rule = entry.rule
    most = bound_of(rule["at_most"], entry.published.value)
    optional = {key: rule[key] for key in ("where", "regime") if key in rule}
    return [
        {"claim": f"{slow} against {fast}", "metric": "time_s", "over": rule["over"], **optional,
         "ratio": {"slow": slow, "fast": fast, "min": 1 / most, "max": most}}
        for fast, slow in combinations(rule["values"], 2)
    ]  # fmt: skip


_EXPECTS = {
    "ratio_of_times": _times_expect,
    "bytes_ratio": _bytes_expect,
    "memory": _memory_expect,
    "spread_below": _spread_expect,
}


def check_claims(entry: Entry) -> None:
    """Raises UnusableInput if the rule makes no claim that can be judged."""
    if entry.kind == "spread_below" and len(entry.rule["values"]) < 2:
        raise UnusableInput("'values' needs two values or more")
    for number, expect in enumerate(_EXPECTS[entry.kind](entry), start=1):
        claim = parse_claim(expect, number)
        counted = claim.metric in COUNT_METRICS
        if counted is not (entry.kind in ("bytes_ratio", "memory")):
            nature = "counted" if counted else "timed"
            raise UnusableInput(f"{entry.kind} cannot have the metric '{claim.metric}', which is {nature}")
    if entry.kind == "memory" and entry.rule["of"] not in (WORKSPACE, WITH_TENSORS):
        raise UnusableInput(f"'of' must be {WORKSPACE} or {WITH_TENSORS}, not '{entry.rule['of']}'")


def decide_times(entry: Entry, source: RunSource) -> Outcome:
    """Two values of an axis, timed."""
    evidence = Evidence(exact=False)
    processors = entry.rule.get("processors")
    _judge(entry, source, _times_expect(entry), evidence, lambda run: _with_processors(run, processors))
    return outcome_of(evidence)


def decide_bytes(entry: Entry, source: RunSource) -> Outcome:
    """Two values of an axis, counted: exact, so that one launch decides."""
    evidence = Evidence(exact=True)
    _judge(entry, source, _bytes_expect(entry), evidence, lambda run: run)
    return outcome_of(evidence)


def _with_tensors(run: Run) -> Run:
    """Workspace and what is computed from and into: queries, keys, values and outputs, once."""

    def changed(case: Case) -> Case:
        workspace, tensors = case.counts["workspace_bytes"], case.summary["minimum_bytes"]
        total = None if workspace is None or tensors is None else workspace + tensors
        return replace(case, counts={**case.counts, "workspace_bytes": total})

    return replace(run, cases=[changed(case) for case in run.cases])


def decide_memory(entry: Entry, source: RunSource) -> Outcome:
    """Counted bytes that two variants hold."""
    evidence = Evidence(exact=True)
    prepare = _with_tensors if entry.rule["of"] == WITH_TENSORS else lambda run: run
    _judge(entry, source, _memory_expect(entry), evidence, prepare)
    return outcome_of(evidence)


def decide_spread(entry: Entry, source: RunSource) -> Outcome:
    """All values of an axis within a factor of each other, pair by pair."""
    evidence = Evidence(exact=False)
    _judge(entry, source, _spread_expect(entry), evidence, lambda run: run)
    return outcome_of(evidence, farthest_from_one)


def decide_experiment_claim(entry: Entry, source: RunSource) -> Outcome:
    """The regimes of a claim of the experiment's own file that lie in `where`, with the words they have there."""
    evidence = Evidence(exact=False)
    where = entry.rule.get("where", {})
    for name in entry.runs:
        verdict = source.judged(name)
        result = verdict.claim(str(entry.rule["claim"]))
        regimes = _regimes_in(result, where)
        if not regimes:
            raise UnusableInput(f"run '{name}': no regime of its claim lies where {_where_text(where)}")
        gather(evidence, _only(verdict, result), [(result, regimes)], name.partition("/")[2], smallest)
    return outcome_of(evidence)


def _only(verdict: RunVerdict, result: ClaimResult) -> RunVerdict:
    return replace(verdict, claims=[result])


def _regimes_in(result: ClaimResult, where: Mapping[str, Any]) -> list[RegimeResult]:
    wanted = {
        name: [canonical_factor(name, value) for value in (values if isinstance(values, list) else [values])]
        for name, values in where.items()
    }
    chosen = []
    for regime in result.regimes:
        inside = [all(cell.factors.get(name) in values for name, values in wanted.items()) for cell in regime.cells]
        if any(inside) and not all(inside):
            raise UnusableInput(f"'where' cuts through the regime '{regime.label}' of the claim '{result.claim.name}'")
        chosen += [regime] if all(inside) else []
    return chosen


def _where_text(where: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {' or '.join(map(str, values)) if isinstance(values, list) else values}" for name, values in where.items()
    )


def claim_text(entry: Entry) -> str:
    """The rule in words."""
    rule = entry.rule
    where = f", where {_where_text(rule['where'])}" if rule.get("where") else ""
    if entry.kind == "experiment_claim":
        return f"the claim '{rule['claim']}' of the experiment file{where}"
    if entry.kind == "spread_below":
        most = bound_of(rule["at_most"], entry.published.value)
        return f"{rule['over']} {', '.join(map(str, rule['values']))}: every ratio of two times at most {most:.3g}{where}"
    slow, fast = (rule[key] for key in (("slow", "fast") if "slow" in rule else ("more", "less")))
    what = {"ratio_of_times": "time", "memory": "bytes held"}.get(entry.kind, "bytes sent")
    at = f", {rule['processors']} processors each" if "processors" in rule else ""
    return f"{what} at {rule['over']} {slow} over {rule['over']} {fast}{at}, {_if_text(entry)}{where}"


def _if_text(entry: Entry) -> str:
    if entry.rule["reproduced_if"] == FASTER:
        return "above 1 and not within the margin"
    bounds = bounds_of(entry)
    return " and ".join(f"{'at least' if key == 'min' else 'at most'} {value:.3g}" for key, value in bounds.items())
