"""Figures about memory that the ranks of a node share: experiments/shared_memory.yaml."""

from __future__ import annotations

from analysis.page.ordering import claims_table, decided, findings, half_sentence, map_table
from analysis.page.records import Results, model, span

CLAIMS = {"keys": "shared-over-ring", "outputs": "shared-over-allgather", "strategies": "sequence-over-headwise"}


def values(results: Results) -> dict[str, str]:
    record = results.record("shared_memory")
    margin = record.judged.margin
    cases = record.run.cases
    found = {
        "lengths": span(int(case.factors["seq_len"]) for case in cases),
        "models": " and ".join(sorted({model(case.factors) for case in cases})),
        "cells": str(record.cells),
        "launches": str(record.launches),
        "rounds": record.rounds,
        "claims_table": claims_table(record),
    }
    for name, claim in CLAIMS.items():
        result = record.claim(claim)
        found |= {
            f"{name}_decided": decided(result),
            f"{name}_findings": findings(result, margin),
            f"{name}_map": map_table(result),
        }
    found["strategies_sentence"] = half_sentence(record.claim(CLAIMS["strategies"]), margin, ("sequence", "head-wise"))
    return {f"shared_memory.{name}": value for name, value in found.items()}
