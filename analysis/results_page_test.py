"""README.md and docs/results.md are what the runs say: neither stale nor typed."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import lzma
import re
import shutil
import tempfile
import unittest
from pathlib import Path
from types import ModuleType
from typing import Callable

from analysis import results_page
from analysis.page import kernels, models, network, ordering, register, reliability, scale
from analysis.page.figures import FIGURES
from analysis.page.pages import PAGES
from analysis.page.records import Results
from analysis.read.csv_table import CHECK_COLUMN, check_of, csv_line

TOP = Path(__file__).parent.parent

SEQUENCE = "sequence+online_softmax"
CHAPTERS = (ordering, kernels, network, models, scale, register)
Change = Callable[[dict[str, str]], None]


def slower(row: dict[str, str]) -> None:
    row["time_s"] = str(3 * float(row["time_s"]))


def faster(row: dict[str, str]) -> None:
    row["time_s"] = str(float(row["time_s"]) / 3)


def slower_median(row: dict[str, str]) -> None:
    row["time_median_s"] = str(3 * float(row["time_median_s"]))


def squared(row: dict[str, str]) -> None:
    row["time_s"] = str(float(row["time_s"]) ** 2)


def nothing_hidden(row: dict[str, str]) -> None:
    row["comm_exposed_s"] = row["comm_total_s"]


def more_bytes(row: dict[str, str]) -> None:
    row["comm_bytes_per_rank"] = str(100 * int(row["comm_bytes_per_rank"] or 0))


def less_accurate(row: dict[str, str]) -> None:
    row["rel_l2_err"] = "0.5"


class ResultsPageTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)
        for path in TOP.glob("results/*/reference/**/*"):
            if path.name in ("samples.csv", "samples.csv.xz", "cases.csv", "manifest.json"):
                self.copy(path.relative_to(TOP))
        for pattern in (
            "analysis/claims.yaml", "experiments/*.yaml", "results/original/*", "results/scale/simulated/*/*.*",
            "results/reliability/reference/record.json",
        ):  # fmt: skip
            for path in TOP.glob(pattern):
                self.copy(path.relative_to(TOP))
        self.copy(reliability.FINDINGS)
        for page, template in PAGES.items():
            self.copy(Path(page))
            self.copy(Path(template))
        for figure in FIGURES:
            self.copy(Path(figure))

    def copy(self, path: Path) -> None:
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".xz":  # readers take either, and tests change lines
            target.with_suffix("").write_bytes(lzma.decompress((TOP / path).read_bytes()))
        else:
            shutil.copyfile(TOP / path, target)  # a file of its own, where the original may be a link

    def run_command(self, *options: str) -> tuple[int, str]:
        """Exit status and standard error."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            status = results_page.main([*options, "--top", str(self.top)])
        return status, errors.getvalue()

    def change(self, file: str, wanted: dict[str, str], change: Change) -> int:
        """Changes the rows of a CSV file that have these fields; their number."""
        path = self.top / "results" / file
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        chosen = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        for row in chosen:
            change(row)
            if CHECK_COLUMN in row:
                row[CHECK_COLUMN] = check_of(csv_line([text for name, text in row.items() if name != CHECK_COLUMN]) + ",")
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return len(chosen)

    def test_the_checked_in_pages_are_what_the_runs_say(self) -> None:
        self.assertEqual(self.run_command("--check"), (0, ""))

    def test_every_chapter_follows_its_runs(self) -> None:
        before = {chapter: chapter.values(Results(self.top / "results")) for chapter in CHAPTERS}
        changes: list[tuple[ModuleType, str, dict[str, str], Change, str]] = [
            (ordering, "ordering/reference/samples.csv", {"variant": SEQUENCE}, slower, "ordering.first_table"),
            (ordering, "ordering/reference/cases.csv", {"variant": SEQUENCE}, less_accurate, "ordering.largest_error"),
            (ordering, "aa/reference/samples.csv", {"variant": SEQUENCE}, slower, "aa.two_ranks"),
            (kernels, "kernels/reference/samples.csv", {}, slower, "kernels.online_full"),
            (kernels, "kernels_long/reference/samples.csv", {}, slower, "kernels.prefill_table"),
            (kernels, "kernels_shapes/reference/samples.csv", {}, slower, "kernels.prefill_64_table"),
            (kernels, "kernels_threads/reference/samples.csv", {"order_in_round": "0"}, slower, "kernels.threads_table"),
            (kernels, "kernels_bf16/reference/cases.csv", {}, less_accurate, "kernels.bf16_table"),
            (kernels, "kernels_decode/reference/samples.csv", {}, slower, "kernels.decode_table"),
            (kernels, "kernels_growth/reference/samples.csv", {"launch": "1"}, squared, "kernels.growth_table"),
            (network, "network/reference/10gbit/samples.csv", {"variant": SEQUENCE}, slower, "network.ratios_table"),
            (network, "network_ring/reference/1gbit/samples.csv", {}, nothing_hidden, "network.ring_table"),
            (network, "network_decode/reference/1gbit/samples.csv", {"order_in_round": "0"}, slower, "network.decode_table"),
            (ordering, "ordering/reference/samples.csv", {"variant": SEQUENCE}, slower, "ordering.first_map"),
            (ordering, "ordering/reference/samples.csv", {"variant": SEQUENCE}, slower, "ordering.first_findings"),
            (models, "qwen3_block/reference/samples.csv", {"variant": SEQUENCE}, slower, "models.block_ratios"),
            (models, "qwen3_model/reference/cases.csv", {"variant": SEQUENCE}, slower_median, "models.prefill_table"),
            (models, "decode/reference/cases.csv", {"variant": SEQUENCE}, slower_median, "models.decode_table"),
            (scale, "scale/simulated/home_1gbit/samples.csv", {"variant": "headwise+online_softmax"}, slower, "scale.maps"),
            (scale, "ordering/reference/cases.csv", {"variant": SEQUENCE}, slower_median, "scale.error_table"),
            (scale, "scale/simulated/published/cases.csv", {"exchange": "mesh"}, more_bytes, "scale.mesh_bytes"),
            (scale, "scale/simulated/published/cases.csv", {"ranks": "128"}, slower_median, "scale.ring_128"),
            (scale, "scale/simulated/published_original/cases.csv", {"ranks": "8"}, slower_median, "scale.original_table"),
            (register, "kernels_threads/reference/samples.csv", {"order_in_round": "0"}, slower, "register.table"),
            (register, "network/reference/unshaped/cases.csv", {"variant": SEQUENCE}, more_bytes, "register.counts"),
        ]  # fmt: skip
        for chapter, file, wanted, change, name in changes:
            with self.subTest(name):
                text = (self.top / "results" / file).read_bytes()
                self.assertGreater(self.change(file, wanted, change), 0)
                after = chapter.values(Results(self.top / "results"))
                self.assertNotEqual(before[chapter][name], after[name])
                (self.top / "results" / file).write_bytes(text)

    def test_a_changed_run_makes_the_page_stale(self) -> None:
        self.change("network/reference/10gbit/samples.csv", {"variant": SEQUENCE}, slower)
        status, errors = self.run_command("--check")
        self.assertEqual(status, 1)
        self.assertIn("docs/results.md is stale", errors)

    def test_the_readme_follows_the_runs_too_and_writing_brings_it_up_to_date(self) -> None:
        self.change("ordering/reference/samples.csv", {"variant": "headwise+standard"}, faster)
        status, errors = self.run_command("--check")
        self.assertEqual((status, errors.count("is stale")), (1, 4))  # README, results, the paper, the drawing
        self.assertEqual(self.run_command(), (0, ""))
        self.assertEqual(self.run_command("--check"), (0, ""))
        readme = (self.top / "README.md").read_text(encoding="utf-8")
        self.assertEqual(readme.count("<br>standard "), 15)  # shown in every regime now

    def test_the_page_on_reliability_follows_its_record(self) -> None:
        record = self.top / "results" / reliability.RECORD
        record.parent.mkdir(parents=True, exist_ok=True)
        step = {"name": "lint", "title": "words", "revision": "f" * 40, "changed": False, "begun": "2026-01-02T03:04:05Z",
                "passed": True, "seconds": 7, "tests_passed": 0, "tests_failed": 0}  # fmt: skip
        record.write_text(json.dumps({"schema_version": 1, "not_run": [], "steps": [step]}), encoding="utf-8")
        status, errors = self.run_command("--check")
        self.assertEqual(status, 1)
        self.assertIn("docs/reliability.md is stale", errors)

    def test_a_missing_drawing_is_stale(self) -> None:
        (self.top / "docs/answer.svg").unlink()
        self.assertEqual(self.run_command("--check")[0], 1)

    def test_an_edited_page_is_stale(self) -> None:
        page = self.top / "README.md"
        page.write_text(page.read_text(encoding="utf-8").replace("not resolved", "resolved"), encoding="utf-8")
        status, errors = self.run_command("--check")
        self.assertEqual(status, 1)
        self.assertIn("README.md is stale", errors)

    def test_a_typed_figure_is_refused_and_nothing_written(self) -> None:
        template = self.top / PAGES["README.md"]
        before = (self.top / "README.md").read_text(encoding="utf-8")
        template.write_text(template.read_text(encoding="utf-8") + "\nIt is up to 92 % faster.\n", encoding="utf-8")
        for options in ("", "--check"):
            status, errors = self.run_command(*options.split())
            self.assertEqual(status, 2)
            self.assertRegex(errors, r"README.md.in line \d+: .*a figure is typed there")
        self.assertEqual((self.top / "README.md").read_text(encoding="utf-8"), before)

    def test_a_name_without_a_value_and_a_value_without_a_name_are_refused(self) -> None:
        template = self.top / PAGES["docs/results.md"]
        text = template.read_text(encoding="utf-8")
        for changed, problem in (
            (text + "\n{{no.such}}\n", "no value for no.such"),
            (text.replace("{{kernels.growth_table}}", ""), "no page uses kernels.growth_table"),
        ):
            template.write_text(changed, encoding="utf-8")
            status, errors = self.run_command("--check")
            self.assertEqual(status, 2)
            self.assertIn(problem, errors)

    def test_a_missing_run_is_named(self) -> None:
        (self.top / "results/decode/reference/cases.csv").unlink()
        status, errors = self.run_command("--check")
        self.assertEqual(status, 2)
        self.assertIn("decode/reference/cases.csv: no such file", errors)

    def test_ratios_come_with_intervals(self) -> None:
        """What the pages claim stands beside its interval."""
        values = ordering.values(Results(TOP / "results"))
        for name in ("ordering.first_decided", "ordering.second_decided", "ordering.first_table", "ordering.second_table",
                     "ordering.first_against", "aa.two_ranks"):  # fmt: skip
            with self.subTest(name):
                outside = re.sub(r"\[[^\]]*\]", "[]", values[name])
                self.assertEqual(re.findall(r"\d\.\d+(?!\d| \[\])", outside.replace("Qwen3-0.6B", "")), [])

    def test_a_ratio_from_one_launch_on_several_ranks_is_marked_as_an_estimate(self) -> None:
        """Whatever its interval looks like: '4 %, 3 %' stood in the README, from one launch of the whole model."""
        values = models.values(Results(TOP / "results"))
        single = [name for name in ("qwen3_model", "qwen3_block", "decode") if Results(TOP / "results").record(name).launches == 1]
        tables = {"qwen3_model": "models.prefill_ratios", "qwen3_block": "models.block_ratios", "decode": "models.decode_ratios"}
        for name in single:
            rows = [row for row in values[tables[name]].splitlines()[2:]]
            self.assertTrue(rows and all(row.endswith(" ~ |") for row in rows), rows)

    def test_the_readme_is_short(self) -> None:
        self.assertLessEqual(len((TOP / "README.md").read_text(encoding="utf-8").splitlines()), 150)


if __name__ == "__main__":
    unittest.main()
