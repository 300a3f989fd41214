"""Plans: what a manifest may say, what an older one is taken to say, and every way to be refused."""

from __future__ import annotations

import lzma
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis.read import plan
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import COPY, HEADWISE, SEQUENCE, Cell

PATH = Path("manifest.json")
TIMES = {SEQUENCE: 1.0, HEADWISE: 1.1}


class PlanTest(unittest.TestCase):
    def test_what_an_older_run_is_taken_to_say(self) -> None:
        found = plan.read_plan({}, PATH, 5)
        self.assertEqual((found.margin, found.looks, found.order_seed, found.control), (0.02, (5,), None, None))

    def test_what_a_manifest_may_say(self) -> None:
        control = {"duplicate": HEADWISE, "every": 4}
        found = plan.read_plan({"margin": 0.05, "looks": [16, 32], "order_seed": 7, "control": control}, PATH, 3)
        self.assertEqual((found.margin, found.looks, found.order_seed), (0.05, (16, 32), 7))
        self.assertEqual(found.control, plan.Control(HEADWISE, 4))

    def test_refusals(self) -> None:
        bad: list[tuple[dict[str, Any], str]] = [
            *[({"margin": margin}, "'margin' must be a number") for margin in (0, 0.5, -0.02, "0.02", True, None, 7)],
            *[({"looks": looks}, "'looks' must be a list") for looks in ([], [0, 1], [1.5], "16", [True], 16, [-1])],
            *[({"looks": looks}, "'looks' must increase") for looks in ([16, 16], [32, 16])],
            *[({"order_seed": seed}, "'order_seed' must be") for seed in ("1", 1.5, True)],
            ({"control": "headwise"}, "'control' must be an object"),
            ({"control": {"every": 4}}, "'control' needs 'duplicate'"),
            ({"control": {"duplicate": HEADWISE, "every": 0}}, "'every' must be"),
            ({"launches": "none"}, "'launches' must be a list"),
        ]
        for manifest, problem in bad:
            with self.subTest(manifest), self.assertRaises(UnusableInput) as raised:
                plan.read_plan(manifest, PATH, 1)
            self.assertIn(problem, str(raised.exception))

    def test_launches_of_several_revisions_are_several_experiments(self) -> None:
        def manifest(*revisions: str | None) -> dict[str, Any]:
            return {"launches": [{"launch": n, "git_revision": r} for n, r in enumerate(revisions)]}

        for same in (manifest("a", "a"), manifest(None, "a"), manifest("a", "b") | {"mixed_git_revision": ["a", "b"]}):
            plan.read_plan(same, PATH, 2)
        with self.assertRaisesRegex(UnusableInput, r"different revisions in one run: a and b \(launch 1\)"):
            plan.read_plan(manifest("a", "b"), PATH, 2)

    def test_done_launches(self) -> None:
        entries = [(0, 0), (1, None), (1001, 1), (2, 0), (1002, None), (3, 1), (4, 9), (5, True)]
        manifest = {"launches": [{"launch": launch, "exit_status": status} for launch, status in entries]}
        done = plan.done_launches(manifest, PATH)
        self.assertEqual((done, plan.first_missing(done)), ({0, 1, 3}, 2))


class StoredRunTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def test_compressed_samples_are_read_as_they_are(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=5)
        plain = read_run(self.directory)
        path = self.directory / "samples.csv"
        (self.directory / "samples.csv.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()
        self.assertEqual(read_run(self.directory).samples, plain.samples)

    def test_a_damaged_archive_is_one_line(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=5)
        packed = lzma.compress((self.directory / "samples.csv").read_bytes())
        (self.directory / "samples.csv").unlink()
        for content in (b"no archive", packed[: len(packed) // 2], packed + b"garbage"):
            (self.directory / "samples.csv.xz").write_bytes(content)
            with self.assertRaisesRegex(UnusableInput, "samples.csv.xz: cannot be read: not an xz file, or damaged"):
                read_run(self.directory)

    def test_copies_and_disturbances(self) -> None:
        cell = Cell(TIMES | {HEADWISE + COPY: 1.1}, sample_values={"steal_s": 0.01, "involuntary_switches": 3, "barrier_skew_s": ""})
        synthetic_run.write_run(self.directory, [cell], rounds=3)
        run = read_run(self.directory)
        self.assertEqual([case.duplicate_of for case in run.cases], ["", "", HEADWISE])
        sample = run.samples["0", f"cell000/{HEADWISE}"][0]
        self.assertEqual([sample.metrics[name] for name in ("steal_s", "involuntary_switches", "barrier_skew_s")], [0.01, 3, None])

    def test_older_runs_have_neither(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES)], rounds=3)
        run = read_run(self.directory)
        self.assertEqual({case.duplicate_of for case in run.cases}, {""})
        self.assertIsNone(run.samples["0", f"cell000/{HEADWISE}"][0].metrics["steal_s"])

    def test_a_copy_of_nothing_is_refused(self) -> None:
        synthetic_run.write_run(self.directory, [Cell({SEQUENCE: 1.0, HEADWISE + COPY: 1.1})], rounds=3)
        with self.assertRaisesRegex(UnusableInput, "is a copy of 'headwise.online_softmax', which its cell does not have"):
            read_run(self.directory)

    def test_attempts_of_a_launch_are_one_launch(self) -> None:
        synthetic_run.write_run(self.directory, [Cell(TIMES, {"seq_len": n}) for n in (1, 2)], rounds=3, launches=2)
        for name in ("samples.csv", "cases.csv"):
            path = self.directory / name
            path.write_text(path.read_text().replace("1,1,cell001", "1,3001,cell001"))
        run = read_run(self.directory)
        self.assertEqual(({case.unit for case in run.cases}, run.plan.looks), ({0, 1}, (2,)))


if __name__ == "__main__":
    unittest.main()
