"""results/claims.json is what the register and the runs say, and the command refuses what it cannot use."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import claims
from analysis.judge.register import read_register
from analysis.judge.register_entry import SETTLED, RegisterWord
from analysis.show.register_table import FIELDS
from analysis.testing.small_register import SmallRegister, entry
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, Cell

TOP = Path(__file__).parent.parent
RULE: dict[str, Any] = {"kind": "ratio_of_times", "over": "variant", "slow": HEADWISE, "fast": SEQUENCE, "reproduced_if": "faster"}
# As they were given to this project.
SHA256 = {
    "published.csv": "82372efec58786451e07e55fbde65a242dd81b016b74f34769cd67b12ef5fcf3",
    "measured.csv": "15699f94b0a83d406ac16659fa4389471d7397d3da6e5bca95d60aaee9216090",
}


def run_command(top: Path, *options: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = claims.main([*options, "--top", str(top)])
    return status, output.getvalue(), errors.getvalue()


class CheckedInTest(unittest.TestCase):
    def test_the_file_is_what_the_runs_say(self) -> None:
        self.assertEqual(run_command(TOP, "--check"), (0, "", ""))

    def test_the_published_figures_are_as_they_were_given(self) -> None:
        for name, expected in SHA256.items():
            text = (TOP / "results/original" / name).read_bytes()
            self.assertEqual(hashlib.sha256(text).hexdigest(), expected, f"{name} was edited")

    def test_the_register_is_large_enough_and_settles_something(self) -> None:
        records = json.loads((TOP / "results/claims.json").read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(records), 15)
        settled = {word.value for word in SETTLED}
        self.assertGreaterEqual(sum(1 for record in records if record["verdict"] in settled), 12)

    def test_no_published_ratio_is_typed_into_a_statement(self) -> None:
        for each in read_register(TOP):
            value = each.published.value
            if value is not None:
                self.assertNotIn(f"{value:.3g} x", each.statement)
                self.assertNotIn(f"{value:.2f}", each.statement)


class CommandTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.register = SmallRegister(Path(scratch.name))
        self.top = self.register.top
        self.file = self.top / "results/claims.json"
        self.register.write(entry(RULE))

    def measure(self, ratio: float, **options: Any) -> Path:
        return self.register.write_run([Cell({SEQUENCE: 1.0, HEADWISE: ratio})], **options)

    def first(self) -> dict[str, Any]:
        found = json.loads(self.file.read_text(encoding="utf-8"))[0]
        assert isinstance(found, dict)
        return found

    def test_a_record_has_all_fields(self) -> None:
        self.measure(1.1)
        status, output, errors = run_command(self.top)
        self.assertEqual((status, errors), (0, ""))
        found = self.first()
        self.assertEqual(tuple(found), FIELDS)
        self.assertEqual((found["published"], found["unit"], found["source"]), (1.5, "x", "table 1"))
        self.assertEqual((found["experiment"], found["run"]), ("experiments/trial.yaml", "results/trial/reference"))
        self.assertEqual(found["verdict"], "reproduced")
        self.assertLess(found["low"], found["ours"])
        self.assertLess(found["ours"], found["high"])
        self.assertIn("above 1 and not within the margin", found["rule"])
        self.assertIn("one: reproduced; 1.1", output)
        self.assertIn("2 claims: 1 reproduced, 1 cannot be tested here", output)

    def test_what_is_not_there_is_null(self) -> None:
        run_command(self.top)
        found = self.first()
        self.assertEqual((found["verdict"], found["reason"]), ("not measured yet", "./reproduce trial"))
        self.assertEqual([found[name] for name in ("ours", "low", "high", "run")], [None] * 4)
        rest = json.loads(self.file.read_text(encoding="utf-8"))[1]
        self.assertEqual((rest["experiment"], rest["run"]), (None, None))

    def test_a_changed_run_changes_the_verdict_and_makes_the_file_stale(self) -> None:
        for ratio, verdict in ((1.1, "reproduced"), (0.9, "not reproduced")):
            self.measure(ratio)
            status, _, errors = run_command(self.top, "--check")
            self.assertEqual(status, 1)
            self.assertIn("claims.json is stale; analysis/claims.py writes it", errors)
            self.assertEqual(run_command(self.top)[0], 0)
            self.assertEqual(self.first()["verdict"], verdict)
            self.assertEqual(run_command(self.top, "--check")[0], 0)

    def test_changed_published_figures_change_the_file(self) -> None:
        run_command(self.top)
        path = self.top / "results/original/published.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("here,3,ms", "here,4,ms"), encoding="utf-8")
        self.assertEqual(run_command(self.top, "--check")[0], 1)
        run_command(self.top)
        self.assertEqual(self.first()["published"], 2)

    def test_an_edited_verdict_is_stale(self) -> None:
        self.measure(0.9)
        run_command(self.top)
        text = self.file.read_text(encoding="utf-8")
        self.file.write_text(text.replace('"not reproduced"', '"reproduced"'), encoding="utf-8")
        self.assertEqual(run_command(self.top, "--check")[0], 1)

    def test_another_file(self) -> None:
        other = self.top / "elsewhere.json"
        self.assertEqual(run_command(self.top, "--json", str(other))[0], 0)
        self.assertTrue(other.is_file())
        self.assertFalse(self.file.exists())
        self.assertEqual(run_command(self.top, "--check", "--json", str(other))[0], 0)
        status, _, errors = run_command(self.top, "--json", str(self.top / "no/such/directory.json"))
        self.assertEqual((status, errors.count("\n")), (2, 1))

    def test_bad_input_is_one_line_and_writes_nothing(self) -> None:
        self.register.write(entry(RULE | {"kind": "guess"}))
        for options in ((), ("--check",)):
            status, output, errors = run_command(self.top, *options)
            self.assertEqual((status, output, errors.count("\n")), (2, "", 1))
            self.assertIn("claims: analysis/claims.yaml: claim 'one': the kind 'guess' is unknown; there are: ", errors)
        self.assertFalse(self.file.exists())

    def test_a_damaged_run_is_refused(self) -> None:
        directory = self.measure(1.1)
        (directory / "samples.csv").write_text("cut", encoding="utf-8")
        status, _, errors = run_command(self.top)
        self.assertEqual(status, 2)
        self.assertIn("samples.csv", errors)

    def test_every_word_has_its_place_in_the_documents(self) -> None:
        text = (TOP / "results/README.md").read_text(encoding="utf-8")
        for word in RegisterWord:
            self.assertIn(f"`{word}`", text)


if __name__ == "__main__":
    unittest.main()
