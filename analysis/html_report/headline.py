"""The first section: what each run asked, the answer in sentences, and how it was made."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from analysis.estimate.looks import FAMILY_ERROR
from analysis.html_report.blocks import Answer, Block, RunCard, Section, clip, said
from analysis.html_report.comparisons import CLAIM_STYLES
from analysis.html_report.inputs import Inputs, LoadedRun
from analysis.judge.words import Word
from analysis.show.findings import Finding, certainty, conditions, findings, regimes_text
from analysis.show.verdict_phrases import percent
from analysis.show.verdict_tables import format_controls

_SHOWN = 3  # sentences of a pair


def _launches(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = manifest.get("launches")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _of_launches(entries: Sequence[Mapping[str, Any]], key: str) -> str:
    """What the launches say under a key; several values where they differ."""
    return clip(", ".join(dict.fromkeys(str(entry[key]) for entry in entries if entry.get(key))))


def _machine(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of hosts stay in the manifest: they say nothing to a reader elsewhere."""
    entries = _launches(manifest)
    if not entries:
        return []
    hosts = entries[0].get("hosts")
    count = len(hosts) if isinstance(hosts, list) and hosts else 1
    cpu = _of_launches(entries, "cpu")
    isa = entries[0].get("isa")
    sets = ", ".join(str(name) for name in isa) if isinstance(isa, list) else ""
    facts = [("Machine", f"{cpu or 'not recorded'}; {count} host{'s' if count != 1 else ''}")]
    facts += [("Instruction sets", clip(sets))] if sets else []
    facts += [(title, text) for title, key in (("MPI", "mpi"), ("Ranks", "ranks")) if (text := _of_launches(entries, key))]
    return facts


def _facts(loaded: LoadedRun) -> list[tuple[str, str]]:
    manifest, verdict = loaded.run.manifest, loaded.verdict
    revision = str(manifest.get("git_revision") or "unknown")[:12]
    looks = ", ".join(map(str, verdict.looks))
    compiler = " ".join(str(manifest[key]) for key in ("compiler", "flags") if manifest.get(key))
    facts = [
        ("Launches", f"{verdict.launches}; judged after {looks}"),
        ("Equal means", f"within {percent(verdict.margin)} %"),
        ("Chance of any wrong word", f"at most {percent(FAMILY_ERROR)} %"),
        *_machine(manifest),
        ("Revision", revision + (" with uncommitted changes" if manifest.get("git_dirty") else "")),
    ]
    return facts + ([("Compiler", clip(compiler))] if compiler else [])


def _answer(found: Finding) -> Answer:
    """Estimates are no answers: all of them are folded."""
    result = found.result
    because = f"Because {result.reason}. " if result.reason else ""
    estimates = {regime.word for regime in result.regimes} <= {Word.ESTIMATE_ONLY, Word.NO_VOTE}
    pairs = [(clip(title), [said(text) for text in sentences]) for title, sentences in found.told]
    return Answer(
        clip(result.claim.name), str(result.word), CLAIM_STYLES[result.word], said(because + regimes_text(result)), pairs,
        0 if estimates else _SHOWN,
    )  # fmt: skip


def _card(loaded: LoadedRun, alone: bool) -> RunCard:
    run, verdict = loaded.run, loaded.verdict
    answers = [_answer(found) for found in findings(verdict)]
    notes = [certainty(found, verdict) for found in verdict.claims]
    notes += [" ".join(" ".join(format_controls(verdict.controls, verdict.margin)).split()), conditions(run)]
    failed = sum(1 for case in run.cases if case.status != "ok")
    cells = len({case.cell for case in run.cases})
    notes.append(f"{cells} cells, {len(run.cases)} cases{f', {failed} of them not ok' if failed else ''}.")
    question = "" if alone else clip(run.title, 400)
    return RunCard(loaded.label, question, answers, _facts(loaded), [said(note) for note in dict.fromkeys(notes)])


def section(inputs: Inputs) -> Section:
    cards: list[Block] = [_card(loaded, len(inputs.runs) == 1) for loaded in inputs.runs]
    intro = "A cell is one combination of model shape, mask, length and layout. A word stands only where the data show it."
    missing = () if cards else ("No run of an experiment was given. ./reproduce makes one.",)
    return Section("answer", "The answer", intro, cards, missing)
