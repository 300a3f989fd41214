"""A rule whose experiment has not been run yet must fit the run when it comes: tried on made-up runs of the file's own grid."""

from __future__ import annotations

import itertools
import tempfile
import unittest
from pathlib import Path
from typing import Any, Iterator, Mapping

from analysis.judge.register import decide_register, read_register, read_yaml
from analysis.judge.register_entry import RegisterWord
from analysis.page.records import Results
from analysis.page.register import CheckedInRuns
from analysis.testing.synthetic_run import Cell, write_run

TOP = Path(__file__).parent.parent
LAUNCHES = 5
# Every other variant a tenth slower, so that nothing is equal.
STEP = 0.1


def _texts(values: object) -> list[str]:
    return [str(value) for value in (values if isinstance(values, list) else [values])]


def _excluded(factors: Mapping[str, Any], rules: list[Mapping[str, Any]]) -> bool:
    return any(all(str(factors.get(name)) in _texts(values) for name, values in rule.items()) for rule in rules)


def grid_cells(experiment: Mapping[str, Any]) -> Iterator[Cell]:
    """The cells of a file's grid, with made-up times. Blocks are variants, as in a run."""
    grid = {name: values for name, values in experiment["grid"].items() if name not in ("variant", "kv_block")}
    common = {name: experiment[name] for name in ("scope", "phase", "model") if name in experiment}
    for chosen in itertools.product(*grid.values()):
        factors = {**common, **dict(zip(grid, chosen))}
        if _excluded(factors, experiment.get("exclude", [])):
            continue
        model = factors["model"] if "model" in factors else {}
        if isinstance(model, dict):
            factors |= {"model": model["name"], "heads": model["heads"], "kv_heads": model["kv_heads"]}
        factors["causal"] = str(factors["causal"]).lower()
        variants = experiment["grid"]["variant"]
        counted = {"minimum_bytes": 1e9, "read_gb_per_s": 100}
        if "kv_block" not in experiment["grid"]:
            yield Cell({name: 1 + STEP * number for number, name in enumerate(variants)}, factors, counted)
        for number, block in enumerate(experiment["grid"].get("kv_block", [])):
            yield Cell({f"{variants[0]}@{block}": 1 + STEP * number}, {**factors, "kv_block": block}, counted)


class RegisterFitsTest(unittest.TestCase):
    def test_rules_fit_the_grids_of_their_experiments(self) -> None:
        entries = [entry for entry in read_register(TOP) if entry.experiment.startswith("original_")]
        self.assertGreater(len(entries), 5)
        with tempfile.TemporaryDirectory() as scratch:
            results = Path(scratch) / "results"
            for name in sorted({entry.experiment for entry in entries}):
                experiment = read_yaml(TOP / "experiments" / f"{name}.yaml")
                cells = list(grid_cells(experiment))
                write_run(results / name / "reference", cells, experiment["expect"], launches=LAUNCHES, rounds=3)
            for decided in decide_register(entries, CheckedInRuns(Results(results))):
                with self.subTest(decided.entry.name):
                    self.assertNotIn(decided.outcome.verdict, (RegisterWord.NOT_MEASURED, RegisterWord.ESTIMATE_ONLY))
                    self.assertNotIn("no cell votes", decided.outcome.reason)


if __name__ == "__main__":
    unittest.main()
