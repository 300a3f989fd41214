"""Figures about two hosts on links of several rates: experiments/network*.yaml. One launch each: estimates, no verdicts."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Callable, Mapping

from analysis.estimate.rank_efficiency import Efficiency, efficiencies
from analysis.judge.verdicts import ClaimResult, Verdict
from analysis.page.records import LINKS, NOT_MEASURED, Record, Results, count, mask, precise, ratio, span, table
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import Case, Run

SEQUENCE, HEADWISE = "sequence+online_softmax", "headwise+online_softmax"


@dataclass(frozen=True)
class Rounds:
    """Paired ratios of one cell, headwise over sequence, one per round."""

    factors: Mapping[str, str]
    ratios: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def above(self) -> bool:
        return min(self.ratios) > 1

    @property
    def below(self) -> bool:
        return max(self.ratios) < 1


def _times(run: Run, case: Case) -> dict[int, float]:
    found = {}
    for sample in run.samples.get((case.launch, case.case), []):
        time = sample.metrics["time_s"]
        if sample.status == "ok" and time:
            found[sample.round] = time
    return found


def paired_rounds(record: Record) -> list[Rounds]:
    """Every cell on two ranks that measured both variants."""
    cells: dict[tuple[str, str], dict[str, Case]] = {}
    for case in record.run.cases:
        if case.factors["ranks"] == "2" and case.status == "ok":
            cells.setdefault((case.launch, case.cell), {})[case.variant] = case
    found = []
    for cases in cells.values():
        if SEQUENCE in cases and HEADWISE in cases:
            fast, slow = _times(record.run, cases[SEQUENCE]), _times(record.run, cases[HEADWISE])
            ratios = [slow[number] / fast[number] for number in sorted(set(fast) & set(slow))]
            if ratios:
                found.append(Rounds(cases[SEQUENCE].factors, ratios))
    return found


def _by_kv_heads(records: Mapping[str, Record]) -> dict[tuple[int, str, int], dict[str, Rounds]]:
    """(KV heads, contract, tokens) -> link -> rounds."""
    cells: dict[tuple[int, str, int], dict[str, Rounds]] = {}
    for link, record in records.items():
        for rounds in paired_rounds(record):
            factors = rounds.factors
            key = (int(factors["kv_heads"]), factors["contract"], int(factors["seq_len"]))
            cells.setdefault(key, {})[link] = rounds
    return dict(sorted(cells.items()))


def ratios_table(records: Mapping[str, Record]) -> str:
    rows = []
    for (kv_heads, contract, tokens), links in _by_kv_heads(records).items():
        cells = [_entry(links[link]) if link in links else NOT_MEASURED for link in records]
        rows.append([str(kv_heads), f"`{contract}`", str(tokens), *cells])
    return table(["KV heads", "contract", "tokens", *[LINKS[link] for link in records]], rows)


def _entry(rounds: Rounds) -> str:
    return f"{ratio(rounds.median)} ({ratio(min(rounds.ratios))} to {ratio(max(rounds.ratios))})"


Lengths = dict[tuple[int, str], dict[str, list[Rounds]]]


def _lengths(records: Mapping[str, Record]) -> Lengths:
    """(KV heads, contract) -> link -> the cells of all lengths."""
    groups: Lengths = {}
    for (kv_heads, contract, _), links in _by_kv_heads(records).items():
        for link, rounds in links.items():
            groups.setdefault((kv_heads, contract), {}).setdefault(link, []).append(rounds)
    return groups


def unanimous(records: Mapping[str, Record], agree: Callable[[Rounds], bool]) -> str:
    """Where all lengths agree in every round."""
    found = []
    for (kv_heads, contract), by_link in _lengths(records).items():
        links = [LINKS[link] for link in records if by_link.get(link) and all(agree(rounds) for rounds in by_link[link])]
        if links:
            found.append(f"{count(kv_heads, 'KV head')}, `{contract}` ({', '.join(links)})")
    return "; ".join(found) or "nothing"


def direction_table(records: Mapping[str, Record]) -> str:
    """In how many cells every single round points the same way."""
    rows = []
    for (kv_heads, contract), by_link in _lengths(records).items():
        cells = []
        for link in records:
            found = by_link.get(link, [])
            ahead, behind = sum(r.above for r in found), sum(r.below for r in found)
            cells.append(f"{ahead} / {len(found) - ahead - behind} / {behind}" if found else NOT_MEASURED)
        rows.append([str(kv_heads), f"`{contract}`", *cells])
    return table(["KV heads", "contract", *[LINKS[link] for link in records]], rows)


def first_half(record: Record) -> tuple[int, int]:
    """(decided, voting) pairs of sequence against headwise in the claim about the whole order."""
    result: ClaimResult = record.claim("ordering")
    pairs = [cell.pairs[0] for cell in result.voting if 0 in cell.pairs]
    return sum(1 for pair in pairs if pair.verdict is not Verdict.UNDECIDED), len(pairs)


def _efficiency_rows(records: Mapping[str, Record], names: tuple[str, ...], keep: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for link, record in records.items():
        for found in efficiencies(record.run):
            if all(found.factors[name] == value for name, value in keep.items()):
                rows.append([LINKS[link], *[_word(found, name) for name in names], *_numbers(found)])
    return rows


def _word(found: Efficiency, name: str) -> str:
    return mask(found.factors) if name == "causal" else f"`{found.factors[name]}`" if name == "contract" else found.factors[name]


def _numbers(found: Efficiency) -> list[str]:
    values = (found.efficiency, found.cores, found.quotient)
    return [NOT_MEASURED if value is None else precise(value) for value in values]


def ring_table(records: Mapping[str, Record]) -> str:
    names = ("sharding", "seq_len")
    rows: list[list[str]] = []
    for link, record in records.items():
        for found in efficiencies(record.run):
            # Exchange and computing alone are timed at other moments; what is not known to be above zero is no measurement.
            hidden = precise(found.hidden) if found.hidden is not None and found.hidden.low > 0 else "not resolved"
            rows.append([LINKS[link], *[_word(found, name) for name in names], *_numbers(found), hidden])
    return table(["link", "sharding", "tokens", "efficiency", "what the cores allow", "quotient", "exchange hidden"], rows)


def decode_table(records: Mapping[str, Record], keys: str) -> str:
    rows = _efficiency_rows(records, ("kv_heads", "strategy"), {"seq_len": keys, "contract": "native"})
    return table(["link", "KV heads", "strategy", "efficiency", "what the cores allow", "quotient"], rows)


def values(results: Results) -> dict[str, str]:
    network, ring, decode = (results.links(name) for name in ("network", "network_ring", "network_decode"))
    decided = [first_half(record) for record in network.values()]
    keys = max(int(case.factors["seq_len"]) for record in decode.values() for case in record.run.cases)
    heads = {case.factors["heads"] for record in network.values() for case in record.run.cases}
    if len(heads) != 1:
        raise UnusableInput("the runs of network.yaml have different numbers of query heads")
    return {
        "network.heads": heads.pop(),
        "network.launches": span(record.launches for record in network.values()),
        "network.rounds": span(len(rounds.ratios) for record in network.values() for rounds in paired_rounds(record)),
        "network.decided": f"{sum(one for one, _ in decided)} of {sum(total for _, total in decided)}",
        "network.ratios_table": ratios_table(network),
        "network.direction_table": direction_table(network),
        "network.all_above": unanimous(network, lambda rounds: rounds.above),
        "network.all_below": unanimous(network, lambda rounds: rounds.below),
        "network.ring_rounds": span(case.rounds for record in ring.values() for case in record.run.cases),
        "network.ring_table": ring_table(ring),
        "network.decode_keys": str(keys),
        "network.decode_table": decode_table(decode, str(keys)),
    }
