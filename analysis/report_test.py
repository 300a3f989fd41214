"""report.py: one page that holds what the verdict holds, whatever the names in the files, and says what is missing."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

from analysis import report
from analysis.html_report import library, render
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell

TOP = Path(__file__).parent.parent
RESULTS = TOP / "results"
SECTIONS = [
    "answer", "use", "claims", "words", "map", "ratios", "peak", "roofline", "scaling", "communication", "accuracy", "samples",
]  # fmt: skip
MEASURED = {
    "gflops": 80, "minimum_bytes": 1e7, "read_gb_per_s": 100, "rel_l2_err": 1e-6, "tolerance_rel_l2": 4e-6, "max_abs_err": 2e-6,
    "comm_exposed_s": 0.1,
}  # fmt: skip
CLAIM = {
    "id": "C1", "statement": "Streaming is 4.5 times as fast.", "source": "table 5", "published": 4.5, "unit": "x", "rule": "above 2.6",
    "ours": 3.25, "low": 3.1, "high": 3.4, "verdict": "reproduced", "reason": "", "run": "results/kernels", "experiment": "kernels",
}  # fmt: skip


class Page(HTMLParser):
    """Elements, their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.parts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def having(self, attribute: str, word: str) -> list[dict[str, str]]:
        return [found for _, found in self.elements if word in found.get(attribute, "").split()]


class ReportTestCase(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)
        self.run_dir = self.top / "run"

    def write(self, name: str = "run", ratio: float = 1.1, values: dict[str, Any] | None = None, **more: Any) -> Path:
        cells = [
            Cell(
                # On one rank the first two are the same code.
                {SEQUENCE: 1.0 / ranks, HEADWISE: (ratio if ranks > 1 else 1) / ranks, STANDARD: 1.5 / ranks},
                {"contract": contract, "seq_len": length, "ranks": ranks},
                MEASURED if values is None else values,
            )
            for contract in ("native", "replicated") for length in (512, 1024) for ranks in (1, 2, 4)
        ]  # fmt: skip
        claim = {**ORDER_CLAIM, "where": {"ranks": [2, 4]}}
        synthetic_run.write_run(self.top / name, cells, [claim], launches=8, rounds=4, **more)
        return self.top / name

    def run_report(self, *arguments: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = report.main([str(argument) for argument in arguments])
        return status, out.getvalue(), err.getvalue()

    def page(self, *arguments: object) -> Page:
        return Page(self.source(*arguments))

    def source(self, *arguments: object) -> str:
        output = self.top / "page.html"
        status, _, err = self.run_report(*(arguments or (self.run_dir,)), "--output", output)
        self.assertEqual((status, err), (0, ""))
        return output.read_text(encoding="utf-8")

    def assert_has(self, text: str, whole: str) -> None:
        """As assertIn, without the whole page in the message."""
        self.assertTrue(text in whole, f"'{text}' is missing in: {whole[:500]}...")

    def assert_has_not(self, text: str, whole: str) -> None:
        self.assertFalse(text in whole, f"'{text}' at: {whole[max(0, whole.find(text) - 200):][:400]}")

    def section(self, source: str, name: str) -> str:
        found = re.search(rf'<section id="{name}".*?</section>', source, re.DOTALL)
        assert found is not None, name
        return found[0]


class ContentTest(ReportTestCase):
    def test_all_sections(self) -> None:
        self.write()
        source = self.source()
        self.assertEqual([found["id"] for tag, found in Page(source).elements if tag == "section"], SECTIONS)
        for name in SECTIONS:
            if name not in ("claims", "peak"):  # no register, no other libraries
                self.assert_has_not('class="missing"', self.section(source, name))

    def test_the_answer(self) -> None:
        self.write()
        text = self.page().text
        self.assert_has("Does the analysis see what was planted?", text)
        self.assert_has("confirmed", text)
        for fact in ("8; judged after 8", "within 2 %", "at most 5 %", "0123456789ab", "A/A control: "):
            self.assert_has(fact, text)
        self.assert_has(f"{SEQUENCE} is the fastest shown of 3.", text)

    def test_map(self) -> None:
        """A cell per length, ranks and contract, of two pairs; coloured, marked, and with its interval."""
        self.write()
        cells = self.page().having("class", "cell")
        self.assertEqual(len(cells), 2 * (2 * 2 * 2))
        self.assertTrue(all(found["class"] == "cell for" for found in cells))
        tip = re.compile(r"faster by .* %\. Ratio 1\.\d+ \[.*\]; 8 launches")
        self.assertTrue(all(tip.search(found["title"]) for found in cells), cells[0])

    def test_what_is_not_resolved_is_hatched_and_hollow(self) -> None:
        self.write(ratio=1.02, launch_effect=0.05)
        page = self.page()
        self.assertTrue(any(found["class"] == "cell open" for found in page.having("class", "cell")))
        self.assert_has("not resolved", page.text)
        self.assertRegex(self.source(), r"td\.open[^}]*repeating-linear-gradient")

    def test_a_failed_control_takes_every_word_back(self) -> None:
        cells = [
            Cell({SEQUENCE: 1.0, HEADWISE: 1.2, HEADWISE + synthetic_run.COPY: 1.3}, {"seq_len": length}) for length in (512, 1024)
        ]
        claim = {**ORDER_CLAIM, "order": [SEQUENCE, HEADWISE]}
        synthetic_run.write_run(self.run_dir, cells, [claim], launches=8, rounds=4)
        source = self.source()
        self.assert_has_not("is the fastest shown", source)
        for name in ("words", "map", "ratios"):
            self.assert_has("no word stands, because the A/A control fails", self.section(source, name))

    def test_several_runs(self) -> None:
        for name in ("1gbit", "10gbit"):
            self.write(f"reference/{name}")
        page = self.page(self.top / "reference")
        self.assert_has("Report of 2 runs", page.text)
        for name in ("synthetic 1gbit", "synthetic 10gbit"):
            self.assert_has(name, page.text)
        self.assertEqual(len(page.having("class", "cell")), 2 * 2 * (2 * 2 * 2))
        self.assert_has('"run":"synthetic 1gbit"', "".join(page.scripts))

    def test_a_changed_csv_changes_the_page(self) -> None:
        self.write()
        before = self.source()
        self.assertEqual(before, self.source(), "the same data give the same page")
        path = self.run_dir / "cases.csv"
        path.write_text(path.read_text().replace("1e-06", "3.9e-06"))
        changed = self.source()
        self.assertNotEqual(before, changed)
        self.assert_has("at most 97.5 %", changed)

    def test_registered_claims(self) -> None:
        self.write("results/synthetic/reference")
        run_dir = self.top / "results" / "synthetic" / "reference"
        (self.top / "results" / "claims.json").write_text(json.dumps([CLAIM, {**CLAIM, "id": "C2", "verdict": "not reproduced"}]))
        found = self.section(self.source(run_dir), "claims")
        for text in ("C1: Streaming is 4.5 times as fast.", "4.5 x", "3.250 [3.100, 3.400] x", "above 2.6", "table 5"):
            self.assert_has(text, found)
        self.assert_has('<span class="word for">reproduced</span>', found)
        self.assert_has('<span class="word against">not reproduced</span>', found)

    def test_registered_claims_elsewhere(self) -> None:
        self.write()
        claims = self.top / "mine.json"
        claims.write_text(json.dumps({"claims": [{"id": "odd", "published": [1, "two"], "ours": None, "verdict": None}]}))
        self.assert_has("odd", self.section(self.source(self.run_dir, "--claims", claims), "claims"))
        for text in ("[1, 2]", "{}", '{"claims": 3}', "[", '"text"'):
            claims.write_text(text)
            status, _, err = self.run_report(self.run_dir, "--claims", claims)
            self.assertEqual((status, err.count("\n")), (2, 1), text)


class MissingTest(ReportTestCase):
    def test_what_was_not_measured(self) -> None:
        """Each section says in a line what is missing and which command makes it."""
        self.write(values={name: "" for name in (*MEASURED, "pct_peak", "peak_gflops", "comm_bytes_per_rank")})
        source = self.source()
        for name, command in (
            ("claims", "analysis/claims.py"), ("peak", "peers/compare"), ("roofline", "./reproduce"),
            ("communication", "slurm/submit"), ("accuracy", "./reproduce"),
        ):  # fmt: skip
            self.assertRegex(self.section(source, name), rf'<p class="missing">[^<]*{re.escape(command)}', name)

    def test_without_claims(self) -> None:
        synthetic_run.write_run(self.run_dir, [Cell({SEQUENCE: 1.0}, {}, MEASURED)], [])
        source = self.source()
        for name in ("use", "words", "map", "ratios"):
            self.assert_has('<p class="missing">', self.section(source, name))
        self.assert_has("makes no claim", source)

    def test_without_the_library_the_page_is_complete(self) -> None:
        self.write()
        interactive = Page(self.source())
        with mock.patch.object(library.read_library, "__defaults__", (self.top / "nowhere.js",)):
            status, out, _ = self.run_report(self.run_dir, "--output", self.top / "plain.html")
        self.assertEqual(status, 0)
        self.assert_has("not interactive: node-d3 is not installed", out)
        plain = Page((self.top / "plain.html").read_text(encoding="utf-8"))
        self.assert_has("node-d3 was not installed", plain.text)
        self.assertEqual([found.get("type") for tag, found in plain.elements if tag == "script"], ["application/json"])

        def shown(page: Page) -> list[tuple[str, dict[str, str]]]:
            return [found for found in page.elements if found[0] in ("td", "th", "use", "line", "rect")]

        self.assertEqual(shown(plain), shown(interactive))

    def test_without_jinja(self) -> None:
        self.write()
        code = "import sys; sys.modules['jinja2'] = None; from analysis import report; sys.exit(report.main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, str(self.run_dir)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(TOP)})
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
        self.assert_has("jinja2", done.stderr)

    def test_unusable_input(self) -> None:
        self.write()
        (self.run_dir / "cases.csv").write_text("nothing\n")
        (self.top / "empty").mkdir()
        for directory in (self.run_dir, self.top / "empty", self.top / "nowhere"):
            status, out, err = self.run_report(directory)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
            self.assertFalse((directory / report.PAGE).exists())

    def test_a_page_that_cannot_be_written(self) -> None:
        self.write()
        status, _, err = self.run_report(self.run_dir, "--output", self.top / "nowhere" / "page.html")
        self.assertEqual((status, err.count("\n")), (2, 1))


class PlaceTest(ReportTestCase):
    def test_beside_the_verdict(self) -> None:
        self.write()
        status, out, _ = self.run_report(self.run_dir)
        self.assertEqual((status, out), (0, f"Report: {self.run_dir / 'report.html'}\n"))
        self.assertTrue((self.run_dir / "report.html").exists())
        self.assertEqual([path.name for path in self.run_dir.glob("*.new")], [])

    def test_of_several_runs(self) -> None:
        one, other = self.write("one"), self.write("other")
        self.assertEqual(self.run_report(one, other)[1], f"Report: {self.top / 'report.html'}\n")

    def test_no_network(self) -> None:
        self.write()
        page = self.page()
        for tag, found in page.elements:
            for name in ("src", "href", "action", "srcset", "poster", "data"):
                self.assertRegex(found.get(name, "#"), r"^(#|\./)", f"{tag} {name}")
        policy = next(found["content"] for _, found in page.elements if found.get("http-equiv") == "Content-Security-Policy")
        self.assert_has("default-src 'none'", policy)

    def test_reference_runs(self) -> None:
        """What the verdict beside the run says is on the page, and the page is small enough."""
        run_dir = RESULTS / "ordering" / "reference"
        source = self.source(run_dir, RESULTS / "network" / "reference", RESULTS / "peers" / "reference")
        self.assertLess(len(source.encode("utf-8")), render.LARGEST_PAGE)
        text = Page(source).text
        verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))
        for claim in verdict["claims"]:
            for regime in claim["regimes"]:
                for pair in regime["pairs"]:
                    low, high = pair["interval"]
                    if low is not None and high is not None:
                        self.assert_has(f"{pair['ratio']:.3f} [{low:.3f}, {high:.3f}]", text)
        self.assert_has("onednn", text)
        self.assert_has_not(str(TOP), text)

    def test_too_much_for_a_page_is_left_out_and_said(self) -> None:
        self.write()
        whole = self.source()
        with mock.patch.object(render, "LARGEST_PAGE", len(whole) - 1000):
            thinned = self.source()
        self.assertLess(len(thinned), len(whole))
        self.assert_has("in samples.csv", self.section(thinned, "samples"))
        with mock.patch.object(render, "LARGEST_PAGE", 1000):
            least = self.source()
        self.assert_has("with them this page would be too large", least)


class HostileTest(ReportTestCase):
    NASTY = "</script><img src=x onerror=alert(1)>\"'`<!--&amp;{{ 7*7 }}{% raw %}\u202e\u2028\u00e4\U0001f600"

    def write_nasty(self, name: str) -> None:
        one, other = f"sequence+online_softmax{name}", f"headwise+online_softmax{name}"
        cells = [
            Cell({one: 1.0, other: 1.2}, {"seq_len": length, "model": f"m{name}", "contract": f"c{name}"}, MEASURED)
            for length in (512, 1024)
        ]
        claim = {"claim": f"claim{name}", "metric": "time_s", "over": "variant", "order": [one, other]}
        plan = {
            "title": f"title{name}", "experiment": f"experiment{name}", "git_revision": name, "compiler": name, "flags": [name],
            "launches": [{"launch": 0, "exit_status": 0, "cpu": name, "mpi": {"a": name}, "hosts": name, "isa": [name, 3]}],
        }  # fmt: skip
        synthetic_run.write_run(self.run_dir, cells, [claim], launches=6, rounds=4, plan=plan)

    def test_names_are_text(self) -> None:
        self.write_nasty(self.NASTY)
        claims = self.top / "claims.json"
        claims.write_text(json.dumps([{key: self.NASTY for key in CLAIM}]))
        source = self.source(self.run_dir, "--claims", claims)
        page = Page(source)
        self.assertEqual([tag for tag, _ in page.elements if tag in ("img", "iframe", "object", "base", "form")], ["form"])
        for tag, found in page.elements:
            self.assertEqual([name for name in found if name.startswith("on")], [], tag)
        self.assert_has("onerror=alert(1)", page.text)
        self.assert_has("{{ 7*7 }}", page.text)
        data = [script for script in page.scripts if script.startswith("{")]
        self.assertEqual(len(data), 1)
        self.assert_has_not("<", data[0])
        self.assert_has(self.NASTY, json.loads(data[0])["runs"][0]["cells"][0]["text"])

    def test_long_names(self) -> None:
        self.write_nasty("x" * 10_000)
        source = self.source()
        self.assertLess(len(source), render.LARGEST_PAGE)
        self.assertIsNone(re.search("x{2500}", source))

    def test_a_manifest_of_other_shapes(self) -> None:
        self.write(plan={"launches": [3, {"hosts": 3, "cpu": [1], "isa": {"a": 1}}], "compiler": 3, "git_revision": ["a"], "flags": None})
        self.assert_has("confirmed", self.page().text)


if __name__ == "__main__":
    unittest.main()
