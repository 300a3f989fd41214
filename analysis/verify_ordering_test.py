"""The command as a user meets it: exit status, one clear line for bad input, text and JSON that agree."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable

from analysis import verify_ordering
from analysis.testing import synthetic_run as synthetic
from analysis.testing.synthetic_run import HEADWISE, ORDER, ORDER_CLAIM, SEQUENCE, STANDARD, Cell
from analysis.verify_ordering import main

FASTER = {SEQUENCE: 1.0, HEADWISE: 1.1, STANDARD: 1.3}
SLOWER = {SEQUENCE: 1.2, HEADWISE: 1.1, STANDARD: 1.3}


class CommandTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_dir = Path(temporary.name) / "run"

    def verify(self, *options: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)"""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main([str(self.run_dir), *options])
            except SystemExit as leaving:  # argparse
                status = int(leaving.code or 0)
        return status, out.getvalue(), err.getvalue()

    def write(self, *times: dict[str, float], **options: Any) -> None:
        cells = [Cell(t, {"seq_len": 512 * (index + 1)}) for index, t in enumerate(times)]
        settings: dict[str, Any] = {"launches": 16, "rounds": 3} | options
        synthetic.write_run(self.run_dir, cells, **settings)

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        path = self.run_dir / name
        before = path.read_text()
        after = change(before)
        self.assertNotEqual(before, after, "the edit changed nothing")
        path.write_text(after)

    def assert_refused(self, *fragments: str) -> None:
        status, out, err = self.verify()
        self.assertEqual(status, 2, err)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        for fragment in fragments:
            self.assertIn(fragment, err)


class WriteTest(CommandTest):
    def test_files_are_what_is_printed(self) -> None:
        self.write(FASTER, SLOWER)
        status, text, _ = self.verify("--write")
        self.assertEqual(status, 1)
        self.assertEqual((self.run_dir / "verdict.txt").read_text(), text)
        _, as_json, _ = self.verify("--json")
        self.assertEqual((self.run_dir / "verdict.json").read_text(), as_json)
        self.assertEqual(list(self.run_dir.glob("*.new")), [])

    def test_no_old_verdict_stays_beside_data_that_cannot_be_judged(self) -> None:
        self.write(FASTER)
        self.verify("--write")
        (self.run_dir / "samples.csv").unlink()
        self.assertEqual(self.verify("--write")[0], 2)
        self.assertEqual(list(self.run_dir.glob("verdict.*")), [])

    def test_a_place_that_cannot_be_written(self) -> None:
        self.write(FASTER)
        (self.run_dir / "verdict.txt").mkdir()
        status, _, err = self.verify("--write")
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertIn("verdict.txt: cannot be removed", err)


    def test_output_that_cannot_be_written(self) -> None:
        self.write(FASTER)
        with open("/dev/full", "wb") as full:
            command = [sys.executable, str(Path(verify_ordering.__file__)), str(self.run_dir)]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("standard output: cannot be written: No space left on device", done.stderr)


class ExitStatusTest(CommandTest):
    def test_every_claim_is_confirmed(self) -> None:
        self.write(FASTER, FASTER)
        status, out, _ = self.verify()
        self.assertEqual(status, 0)
        self.assertIn("ordering: CONFIRMED; 2 faster of 2 voting cells", out)

    def test_not_every_claim_is_confirmed(self) -> None:
        self.write(FASTER, SLOWER)
        status, out, _ = self.verify()
        self.assertEqual(status, 1)
        self.assertIn("ordering: DEPENDS ON THE REGIME; 1 faster, 1 slower of 2 voting cells", out)

    def test_open(self) -> None:
        self.write({SEQUENCE: 1.0, HEADWISE: 1.01, STANDARD: 1.3}, launch_effect=0.03)
        status, out, _ = self.verify()
        self.assertEqual(status, 3)
        self.assertIn("ordering: OPEN", out)
        self.assertRegex(out, r"B/A \? not resolved: \+-\d\.\d % \(16 launches, 48 rounds\)")

    def test_no_claim(self) -> None:
        self.write(FASTER, expect=[])
        status, out, _ = self.verify()
        self.assertEqual(status, 0)
        self.assertIn("makes no claim", out)

    def test_reader_that_stops_early(self) -> None:
        self.write(*[FASTER] * 400, rounds=6, launches=1)  # more text than a pipe holds
        command = [sys.executable, str(Path(verify_ordering.__file__)), str(self.run_dir), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.returncode, 3)

    def test_bad_usage(self) -> None:
        self.write(FASTER)
        for options in (("--nonsense",), ("--regimes", "colour")):
            status, out, err = self.verify(*options)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(options[-1] if options[0] == "--nonsense" else "colour", err)


class BrokenInputTest(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(FASTER, FASTER)

    def test_no_directory(self) -> None:
        self.run_dir = self.run_dir / "elsewhere"
        self.assert_refused("elsewhere: no such directory")

    def test_missing_files(self) -> None:
        for name in ("samples.csv", "cases.csv", "manifest.json"):
            with self.subTest(name):
                self.write(FASTER)
                (self.run_dir / name).unlink()
                self.assert_refused(name, "no such file")

    def test_empty_file(self) -> None:
        self.edit("cases.csv", lambda text: "")
        self.assert_refused("cases.csv: empty file")

    def test_only_a_header(self) -> None:
        self.edit("cases.csv", lambda text: text.splitlines()[0] + "\n")
        self.assert_refused("cases.csv: no completed case")

    def test_missing_column(self) -> None:
        self.edit("samples.csv", lambda text: text.replace("time_s,", "seconds,", 1))
        self.assert_refused("samples.csv line 1: missing column time_s")

    def test_bad_number(self) -> None:
        self.replace_field("samples.csv", 5, "time_s", "fast")
        self.assert_refused("samples.csv line 5, column time_s: 'fast' is not a number")

    def test_bad_whole_number(self) -> None:
        self.replace_field("cases.csv", 2, "ranks", "two")
        self.assert_refused("cases.csv line 2, column ranks: 'two' is not a whole number")

    def test_nan_and_negative_times(self) -> None:
        for value, problem in (("nan", "not finite"), ("inf", "not finite"), ("-0.5", "negative"), ("0", "above zero")):
            with self.subTest(value):
                self.write(FASTER)
                self.replace_field("samples.csv", 7, "time_s", value)
                self.assert_refused("samples.csv line 7, column time_s", problem)

    def test_missing_time(self) -> None:
        self.replace_field("samples.csv", 7, "time_s", "")
        self.assert_refused("samples.csv line 7, column time_s", "above zero")

    def test_truncated_last_line(self) -> None:
        for cut in (1, 2, 20):
            with self.subTest(cut):
                self.write(FASTER)
                self.edit("samples.csv", lambda text: text[:-cut])
                self.assert_refused("samples.csv line 241: the last line is truncated")

    def test_short_line(self) -> None:
        self.edit("samples.csv", lambda text: text[:-20] + "\n")
        self.assert_refused("samples.csv line", "fields where the header has 16")

    def test_duplicate_sample(self) -> None:
        self.edit("samples.csv", lambda text: text + text.splitlines()[-1] + "\n")
        self.assert_refused("samples.csv line", "column round", "is already on line")

    def test_duplicate_case(self) -> None:
        self.edit("cases.csv", lambda text: text + text.splitlines()[-1] + "\n")
        self.assert_refused("cases.csv line", "column case", "is already on line")

    def test_unknown_schema_version(self) -> None:
        self.replace_field("samples.csv", 3, "schema_version", "7")
        self.assert_refused("samples.csv line 3, column schema_version: version 7 is unknown")
        self.write(FASTER)
        self.edit("manifest.json", lambda text: text.replace('"schema_version": 1', '"schema_version": 7'))
        self.assert_refused("manifest.json: schema_version 7 is unknown")

    def test_ok_case_without_samples(self) -> None:
        self.edit("samples.csv", lambda text: "".join(
            line for line in text.splitlines(keepends=True) if f"cell001/{STANDARD}" not in line))  # fmt: skip
        self.assert_refused("samples.csv: no sample of case 'cell001/headwise+standard'")

    def test_case_name_that_does_not_fit(self) -> None:
        self.replace_field("cases.csv", 2, "case", "other/name")
        self.assert_refused("cases.csv line 2, column case")

    def test_cell_with_two_meanings(self) -> None:
        self.replace_field("cases.csv", 3, "seq_len", "99")
        self.assert_refused("cases.csv line 3, column seq_len: differs from line 2")

    def test_broken_manifest(self) -> None:
        self.edit("manifest.json", lambda text: text[:-1])
        self.assert_refused("manifest.json line 1, column")
        self.write(FASTER)
        self.edit("manifest.json", lambda text: text.replace('"expect"', '"expected"'))
        self.assert_refused("manifest.json: 'expect' is missing")

    def test_binary_file(self) -> None:
        (self.run_dir / "samples.csv").write_bytes(b"\x80\xff\x00\n")
        self.assert_refused("samples.csv", "not UTF-8")

    def test_claim_naming_an_absent_variant(self) -> None:
        claim = dict(ORDER_CLAIM, order=[SEQUENCE, "headwise+row_blocked"])
        self.write(FASTER, expect=[claim])
        self.assert_refused("claim 'ordering': names variant 'headwise+row_blocked', which no case has", STANDARD)

    def test_where_that_matches_nothing(self) -> None:
        self.write(FASTER, expect=[dict(ORDER_CLAIM, where={"ranks": [4, 8]})])
        self.assert_refused("claim 'ordering': where matches no case (ranks = 4 or 8)")

    def replace_field(self, name: str, line: int, column: str, value: str) -> None:
        def change(text: str) -> str:
            lines = text.splitlines()
            fields = lines[line - 1].split(",")
            fields[lines[0].split(",").index(column)] = value
            lines[line - 1] = ",".join(fields)
            return "\n".join(lines) + "\n"

        self.edit(name, change)

    def test_numbers_that_are_not_json(self) -> None:
        self.write(FASTER)
        self.edit("manifest.json", lambda text: text.replace("false", "NaN"))
        self.assert_refused("manifest.json: NaN is not JSON")


class JsonTest(CommandTest):
    def test_json_says_what_the_text_says(self) -> None:
        self.write(FASTER, SLOWER)
        status, out, _ = self.verify("--json")
        report = json.loads(out)
        self.assertEqual(status, report["exit_code"])
        claim = report["claims"][0]
        self.assertEqual((claim["name"], claim["word"]), ("ordering", "depends on the regime"))
        self.assertEqual((claim["decided"], claim["voting"]), (2, 2))
        self.assertEqual(claim["order"], ORDER)
        self.assertEqual([cell["word"] for cell in claim["cells"]], ["faster", "slower"])
        pair = claim["cells"][0]["pairs"][0]
        self.assertEqual((pair["fast"], pair["slow"]), (SEQUENCE, HEADWISE))
        low, high = pair["interval"]
        self.assertTrue(low < 1.1 < high)
        self.assertEqual(set(pair["sensitivity"]), {"median", "minimum"})
        (regime,) = claim["regimes"]
        self.assertEqual((regime["label"], regime["word"]), ("all cells", "differs"))
        self.assertEqual([(p["slow"], p["word"], p["cells"]) for p in regime["pairs"]],
                         [(HEADWISE, "differs", 2), (STANDARD, "faster", 2)])  # fmt: skip
        self.assertEqual((report["margin"], report["looks"], report["comparisons"]), (0.02, [16], 4))
        self.assertEqual(report["controls"]["count"], 0)

    def test_a_regime_of_one_pair_has_its_numbers(self) -> None:
        claim = {"claim": "pair", "over": "variant", "order": [SEQUENCE, HEADWISE], "regime": ["seq_len"]}
        self.write(FASTER, SLOWER, expect=[claim])
        regimes = json.loads(self.verify("--json")[1])["claims"][0]["regimes"]
        self.assertEqual([(r["label"], r["factors"], r["launches"]) for r in regimes],
                         [("512 tokens", {"seq_len": "512"}, 16), ("1024 tokens", {"seq_len": "1024"}, 16)])  # fmt: skip
        self.assertTrue(regimes[0]["interval"][0] < regimes[0]["ratio"] < regimes[0]["interval"][1])

    def test_open_intervals_are_valid_json(self) -> None:
        self.write(FASTER, rounds=3, launches=1)
        status, out, _ = self.verify("--json")
        self.assertEqual(status, 3)
        pair = json.loads(out)["claims"][0]["cells"][0]["pairs"][0]
        self.assertEqual((pair["word"], pair["interval"]), ("estimate only", [None, None]))


if __name__ == "__main__":
    unittest.main()
