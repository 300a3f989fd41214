"""The register of the original study's claims: reads analysis/claims.yaml, refuses what is not sound, and decides each entry.

The rules were written before the runs that they judge. Whatever is wrong in the file is one UnusableInput that names the file,
the claim and what is allowed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, Mapping

import yaml

from analysis.judge.published import RATIO_UNIT, PublishedRow, published_figure, read_published
from analysis.judge.register_entry import Decided, Entry, Outcome, RegisterWord, RunSource, run_directory
from analysis.judge.register_ratios import FASTER
from analysis.judge.register_rules import KINDS
from analysis.read.csv_table import UnusableInput

REGISTER = Path("analysis/claims.yaml")
PUBLISHED = Path("results/original/published.csv")
_KEYS = ("id", "statement", "published", "experiment", "runs", "rule")
_REQUIRED = ("id", "statement", "published", "rule")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # its module has no types
    """Refuses a key that stands twice, of which YAML's own loader keeps the last."""


def _mapping(loader: Any, node: Any) -> Any:
    seen: set[str] = set()
    for key, _ in node.value:
        name = str(getattr(key, "value", key))
        if name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{name}' appears twice", key.start_mark)
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """What a file holds; raises UnusableInput."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise UnusableInput(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, RecursionError):
        raise UnusableInput(f"{path}: cannot be read") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        raise UnusableInput(f"{path}{line}: {getattr(problem, 'problem', None) or 'is no YAML'}") from None


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise UnusableInput(problem)


def _refuse_keys(what: str, there: Mapping[str, Any], allowed: tuple[str, ...], required: tuple[str, ...]) -> None:
    unknown = [str(key) for key in there if key not in allowed]
    _require(not unknown, f"{what} has the unknown key '{''.join(unknown[:1])}'; there are: {', '.join(allowed)}")
    missing = [key for key in required if key not in there]
    _require(not missing, f"{what} lacks {', '.join(missing)}")


def _experiment(raw: Mapping[str, Any], top: Path, needed: bool) -> tuple[str, tuple[str, ...]]:
    """The experiment's name and its runs."""
    name = str(raw.get("experiment", ""))
    _require(bool(name) or not needed, "lacks experiment, the name of a file in experiments/")
    if not name:
        _require("runs" not in raw, "has runs and no experiment")
        return "", ()
    there = sorted(path.stem for path in (top / "experiments").glob("*.yaml"))
    _require(name in there, f"experiment '{name}' has no file in experiments/; there are: {', '.join(there)}")
    runs = raw.get("runs", [name])
    _require(isinstance(runs, list) and bool(runs), "'runs' must be a list of names such as network/10gbit")
    for run in runs:
        of = str(run).partition("/")[0]
        names = ", ".join(there)
        _require(of in there, f"run '{run}' is of the experiment '{of}', which has no file in experiments/; there are: {names}")
    return name, tuple(str(run) for run in runs)


def _require_claim(file: Path, claim: str) -> None:
    expect = read_yaml(file).get("expect", [])
    names = [str(each.get("claim")) for each in expect]
    _require(claim in names, f"experiments/{file.name} has no claim '{claim}'; there are: {', '.join(names) or 'none'}")


def _entry(raw: Any, rows: Mapping[str, PublishedRow], top: Path) -> Entry:
    _refuse_keys("it", raw, _KEYS, _REQUIRED)
    rule = raw["rule"]
    _require(isinstance(rule, dict) and "kind" in rule, f"'rule' must be a mapping with kind, one of {', '.join(KINDS)}")
    kind = KINDS.get(str(rule["kind"]))
    _require(kind is not None, f"the kind '{rule['kind']}' is unknown; there are: {', '.join(KINDS)}")
    assert kind is not None
    _refuse_keys(f"its rule, {rule['kind']},", rule, ("kind", *kind.required, *kind.optional), ("kind", *kind.required))
    experiment, runs = _experiment(raw, top, kind.needs_runs)
    entry = Entry(
        name=raw["id"],
        statement=" ".join(str(raw["statement"]).split()),
        published=published_figure(raw["published"], rows),
        experiment=experiment,
        runs=runs,
        kind=str(rule["kind"]),
        rule={key: value for key, value in rule.items() if key != "kind"},
    )
    if entry.kind == "experiment_claim":
        _require_claim(top / "experiments" / f"{experiment}.yaml", str(entry.rule["claim"]))
    kind.check(entry)
    return entry


def _plain(problem: UnusableInput, name: str) -> str:
    """A claim's message without the place where such a claim usually stands."""
    return str(problem).removeprefix(f"manifest.json: claim '{name}': ")


def read_register(top: Path) -> list[Entry]:
    """All entries, each sound, and every published row spoken of; raises UnusableInput."""
    rows = read_published(top / PUBLISHED)
    raw = read_yaml(top / REGISTER)
    listed = raw.get("claims") if isinstance(raw, dict) else None
    if not isinstance(listed, list) or set(raw) != {"claims"}:
        raise UnusableInput(f"{REGISTER}: must be a mapping with one key, claims, a list")
    entries: list[Entry] = []
    for number, each in enumerate(listed, start=1):
        name = str(each.get("id", f"number {number}")) if isinstance(each, dict) else f"number {number}"
        try:
            _require(isinstance(each, dict), "is no mapping")
            _require(name not in {entry.name for entry in entries}, "appears twice")
            entries.append(_entry(each, rows, top))
        except UnusableInput as problem:
            raise UnusableInput(f"{REGISTER}: claim '{name}': {_plain(problem, name)}") from None
    unspoken = [name for name in rows if not any(name in entry.published.rows for entry in entries)]
    if unspoken:
        raise UnusableInput(f"{REGISTER}: no claim speaks of the row '{unspoken[0]}' of {PUBLISHED}")
    return entries


def _outcome(entry: Entry, source: RunSource) -> Outcome:
    missing = [run for run in entry.runs if not source.has(run)]
    if missing and KINDS[entry.kind].needs_runs:
        return Outcome(RegisterWord.NOT_MEASURED, f"./reproduce {missing[0].partition('/')[0]}")
    try:
        outcome = KINDS[entry.kind].decide(entry, source)
    except UnusableInput as problem:
        raise UnusableInput(f"{REGISTER}: claim '{entry.name}': {_plain(problem, entry.name)}") from None
    if entry.published.unit == RATIO_UNIT and (entry.published.value or 1) < 1 and _is_direction(entry):
        return replace(outcome, reason=f"{outcome.reason}; the published figures do not show it")
    return outcome


def _is_direction(entry: Entry) -> bool:
    return entry.kind == "experiment_claim" or entry.rule.get("reproduced_if") == FASTER


def decide_register(entries: list[Entry], source: RunSource) -> Iterator[Decided]:
    """Each entry with what the checked-in runs say of it; raises UnusableInput where a run does not fit its rule."""
    for entry in entries:
        outcome = _outcome(entry, source)
        known = KINDS[entry.kind].needs_runs and outcome.verdict is not RegisterWord.NOT_MEASURED
        runs = ", ".join(f"results/{run_directory(run)}" for run in entry.runs) if known else ""
        yield Decided(entry, outcome, KINDS[entry.kind].text(entry), runs)
