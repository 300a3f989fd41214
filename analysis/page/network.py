"""Figures about two hosts on links of several rates: experiments/network*.yaml."""

from __future__ import annotations

from collections import Counter
from typing import Mapping

from analysis.estimate.rank_efficiency import Efficiency, efficiencies
from analysis.judge.decisions import PairResult
from analysis.judge.verdicts import ClaimResult
from analysis.judge.words import DECIDED, Word
from analysis.page.records import LINKS, NOT_MEASURED, Record, Results, mask, precise, precise_pair, span, table
from analysis.read.csv_table import UnusableInput
from analysis.show.efficiency_table import NOT_RESOLVED
from analysis.show.regime_map import sentences
from analysis.show.verdict_phrases import MARKS

# Of the claim about the whole order, sequence against head-wise is the first pair.
CLAIM, PAIR = "ordering", 0
Place = tuple[int, str, int]  # KV heads, contract, tokens


def _claim(record: Record) -> ClaimResult:
    return record.claim(CLAIM)


def _pairs(record: Record) -> dict[Place, PairResult]:
    """Sequence against head-wise, cell by cell."""
    found = {}
    for cell in _claim(record).voting:
        pair = cell.pairs.get(PAIR)
        if pair is not None and pair.word is not Word.NO_VOTE:
            factors = pair.comparison.factors
            found[int(factors["kv_heads"]), factors["contract"], int(factors["seq_len"])] = pair
    return found


def ratios_table(records: Mapping[str, Record]) -> str:
    by_link = {link: _pairs(record) for link, record in records.items()}
    rows = []
    for place in sorted({place for pairs in by_link.values() for place in pairs}):
        cells = [_entry(pairs[place]) if place in pairs else NOT_MEASURED for pairs in by_link.values()]
        kv_heads, contract, tokens = place
        rows.append([str(kv_heads), f"`{contract}`", str(tokens), *cells])
    return table(["KV heads", "contract", "tokens", *[LINKS[link] for link in records]], rows)


def _entry(pair: PairResult) -> str:
    return f"{precise_pair(pair)} {MARKS[pair.word]}"


def words_table(records: Mapping[str, Record]) -> str:
    """How many lengths have which word."""
    by_link = {link: _pairs(record) for link, record in records.items()}
    groups = sorted({(kv_heads, contract) for pairs in by_link.values() for kv_heads, contract, _ in pairs})
    rows = []
    for group in groups:
        counts = [Counter(pair.word for place, pair in pairs.items() if place[:2] == group) for pairs in by_link.values()]
        cells = [", ".join(f"{count[word]} {word}" for word in MARKS if count[word]) or NOT_MEASURED for count in counts]
        rows.append([str(group[0]), f"`{group[1]}`", *cells])
    return table(["KV heads", "contract", *[LINKS[link] for link in records]], rows)


def findings(records: Mapping[str, Record]) -> str:
    """What is decided on each link, as a list."""
    lines = []
    for link, record in records.items():
        found = [s for s in sentences(_claim(record), PAIR, record.judged.margin) if "faster" in s or "equal within" in s]
        lines += [f"- {LINKS[link]}: {sentence}" for sentence in found] or [f"- {LINKS[link]}: nothing is decided."]
    return "\n".join(lines)


def claim_findings(records: Mapping[str, Record]) -> str:
    """What each claim of the experiment that compares strategies came to on each link, as a list."""
    lines = []
    for link, record in records.items():
        for claim in record.judged.claims:
            if claim.claim.over == "variant":
                because = f", {claim.reason}" if claim.reason else ""
                lines.append(f"- {LINKS[link]}, {claim.claim.name}: **{claim.word}**{because}. {' '.join(sentences(claim, PAIR, record.judged.margin))}")
    return "\n".join(lines)


def decided(records: Mapping[str, Record]) -> str:
    """'1 of 60' comparisons of sequence and head-wise."""
    pairs = [pair for record in records.values() for pair in _pairs(record).values()]
    return f"{sum(1 for pair in pairs if pair.word in DECIDED) or 'none'} of {len(pairs)}"


_FAVOURED = ((Word.FASTER, "sequence is faster"), (Word.SLOWER, "head-wise is faster"), (Word.EQUAL, "both are equal"))


def sentence(records: Mapping[str, Record]) -> str:
    """'with 32 KV heads (mha) head-wise is faster in 8 of 9 cells; with 8 ...', over all links, contract native."""
    groups: dict[int, Counter[Word]] = {}
    for record in records.values():
        for (kv_heads, contract, _), pair in _pairs(record).items():
            if contract == "native":
                groups.setdefault(kv_heads, Counter())[pair.word] += 1
    names = {int(case.factors["kv_heads"]): case.factors["model"] for record in records.values() for case in record.run.cases}
    parts = []
    for number, (kv_heads, counts) in enumerate(sorted(groups.items(), reverse=True)):
        known = [f"{said} in {counts[word]}" for word, said in _FAVOURED if counts[word]]
        which = (f"{kv_heads} KV heads" if number == 0 else str(kv_heads)) + f" ({names[kv_heads]})"
        of = f"of {sum(counts.values())}" + (" cells" if number == 0 else "")
        parts.append(f"with {which} {', '.join(known)} {of}" if known else f"with {which} nothing is decided in {of[3:]}")
    return "; ".join(parts)


def _efficiency_rows(records: Mapping[str, Record], names: tuple[str, ...], keep: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for link, record in records.items():
        for found in sorted(efficiencies(record.run), key=lambda found: [_word(found, name) for name in names]):
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
        for found in sorted(efficiencies(record.run), key=lambda found: (found.factors["sharding"] != "zigzag", int(found.factors["seq_len"]))):
            hidden = precise(found.hidden) if found.hidden is not None and found.hidden_resolved else NOT_RESOLVED
            rows.append([LINKS[link], *[_word(found, name) for name in names], *_numbers(found), hidden])
    return table(["link", "sharding", "tokens", "efficiency", "what the cores allow", "quotient", "exchange hidden"], rows)


def decode_table(records: Mapping[str, Record], keys: str) -> str:
    rows = _efficiency_rows(records, ("kv_heads", "strategy"), {"seq_len": keys, "contract": "native"})
    return table(["link", "KV heads", "strategy", "efficiency", "what the cores allow", "quotient"], rows)


def values(results: Results) -> dict[str, str]:
    network, ring, decode = (results.links(name) for name in ("network", "network_ring", "network_decode"))
    keys = max(int(case.factors["seq_len"]) for record in decode.values() for case in record.run.cases)
    heads = {case.factors["heads"] for record in network.values() for case in record.run.cases}
    if len(heads) != 1:
        raise UnusableInput("the runs of network.yaml have different numbers of query heads")
    return {
        "network.heads": heads.pop(),
        "network.launches": span(record.launches for record in network.values()),
        "network.rounds": span(case.rounds for record in network.values() for case in record.run.cases if case.factors["ranks"] == "2"),
        "network.decided": decided(network),
        "network.ratios_table": ratios_table(network),
        "network.words_table": words_table(network),
        "network.findings": findings(network),
        "network.sentence": sentence(network),
        "network.links": ", ".join(LINKS[link] for link in network),
        "network.ring_rounds": span(case.rounds for record in ring.values() for case in record.run.cases),
        "network.ring_launches": span(record.launches for record in ring.values()),
        "network.decode_launches": span(record.launches for record in decode.values()),
        "network.decode_findings": claim_findings(decode),
        "network.ring_table": ring_table(ring),
        "network.decode_keys": str(keys),
        "network.decode_table": decode_table(decode, str(keys)),
    }
