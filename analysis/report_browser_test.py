"""report.html in a browser: it draws, sorts, filters and advises without an error, on a phone, on paper and in the dark."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from analysis import report
from analysis.html_report import library
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import HEADWISE, ORDER_CLAIM, SEQUENCE, STANDARD, Cell

REFERENCE = Path(__file__).parent.parent / "results" / "smoke" / "reference"
HOSTILE = "</script><img src=x onerror=document.title='hacked'>\"'<b>"
MEASURED = {
    "gflops": 80, "minimum_bytes": 1e7, "read_gb_per_s": 100, "rel_l2_err": 1e-6, "tolerance_rel_l2": 4e-6, "comm_exposed_s": 0.1,
}  # fmt: skip


def write_runs(top: Path) -> None:
    """One with an answer at 1024 tokens and the other one at 512, under names that would break a careless page.

    Enough cells for something to be folded, and lengths that one contract lacks.
    """
    places = [
        {"contract": contract, "seq_len": length, "ranks": ranks, "causal": causal}
        for contract in ("native", "replicated") for causal in ("true", "false") for length in (512, 1024) for ranks in (1, 2)
    ]  # fmt: skip
    places += [{"contract": "native", "seq_len": length, "ranks": 2, "causal": "true"} for length in (2048, 4096, 8192, 16384)]
    cells = [
        Cell(
            {SEQUENCE: 1.0, HEADWISE: 1.0 if place["ranks"] == 1 else 0.8 if place["seq_len"] == 512 else 1.2, STANDARD: 1.6},
            place,
            MEASURED,
        )
        for place in places
    ]
    claim = {**ORDER_CLAIM, "claim": f"ordering{HOSTILE}", "where": {"ranks": [2]}}
    synthetic_run.write_run(top / "run", cells, [claim], launches=6, rounds=4, plan={"title": f"Is it so{HOSTILE}?"})


def write_page(output: Path, *runs: Path) -> Path:
    with contextlib.redirect_stdout(io.StringIO()):
        status = report.main([*map(str, runs), "--output", str(output)])
    assert status == 0, output
    return output


class BrowserTest(unittest.TestCase):
    top: ClassVar[Path]
    page: ClassVar[Path]
    driver: ClassVar[Any]  # selenium has types for half of what it has

    @classmethod
    def setUpClass(cls) -> None:
        cls.top = Path(tempfile.mkdtemp(prefix="report"))
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        write_runs(cls.top)
        cls.page = write_page(cls.top / "page.html", cls.top / "run", REFERENCE)
        options: Any = webdriver.ChromeOptions()
        # Root may not use the sandbox, and a bare machine may lack /dev/shm.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,900",
                         f"--user-data-dir={cls.top / 'profile'}", "--no-first-run", "--disable-background-networking"):  # fmt: skip
            options.add_argument(argument)
        options.binary_location = shutil.which("chromium") or "chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = shutil.which("chromedriver") or "chromedriver"
        with mock.patch.dict(os.environ, {"HOME": str(cls.top)}):
            cls.driver = webdriver.Chrome(service=Service(driver), options=options)
        cls.addClassCleanup(cls.driver.quit)

    def setUp(self) -> None:
        self.emulate(1300, "light")
        self.open(self.page)

    def tearDown(self) -> None:
        errors = [entry["message"] for entry in self.driver.get_log("browser")]
        self.assertEqual(errors, [], "the console has errors")

    def open(self, page: Path) -> None:
        self.driver.get(page.as_uri())

    def emulate(self, width: int, colours: str) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": colours}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def js(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> Any:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def shown_rows(self, column: int) -> list[str]:
        script = "return [...document.querySelectorAll('#words table tbody tr')].filter(r => r.getClientRects().length)"
        return [str(text) for text in self.js(f"{script}.map(r => r.cells[arguments[0]].textContent.trim())", column)]

    def head(self, title: str) -> Any:
        return next(button for button in self.all("#words th button") if button.text.startswith(title))

    def test_names_are_text(self) -> None:
        self.assertEqual(self.js("return document.images.length"), 0)
        self.assertNotIn("hacked", self.driver.title)
        self.assertIn("<img src=x onerror=", self.find("#answer").text)

    def test_drawings_have_their_size(self) -> None:
        """Each has a size, and each mark stands within it."""
        outside = self.js("""
          return [...document.querySelectorAll('.plot svg')].filter(s => s.getClientRects().length).map(s => {
            const box = s.getBoundingClientRect();
            const marks = [...s.querySelectorAll('.mark use')].map(m => m.getBoundingClientRect());
            const away = marks.filter(m => m.width && (m.right < box.left || m.left > box.right ||
                                                       m.bottom < box.top - 9 || m.top > box.bottom + 9));
            return [box.width > 100 && box.height > 100, away.length];
          })""")  # fmt: skip
        self.assertGreater(len(outside), 6)
        self.assertTrue(all(found == [True, 0] for found in outside), outside)
        heights = self.js("return [...document.querySelectorAll('.strip svg')].map(s => s.getBoundingClientRect().height).filter(h => h)")
        self.assertTrue(all(15 < height < 80 for height in heights), heights)

    def test_a_click_sorts(self) -> None:
        column = [button.text for button in self.all("#words th button")].index("Ratio")
        self.head("Ratio").click()
        rising = [float(text.split()[0]) for text in self.shown_rows(column) if text != "no ratio"]
        self.assertEqual(rising, sorted(rising))
        self.head("Ratio").click()
        falling = [float(text.split()[0]) for text in self.shown_rows(column) if text != "no ratio"]
        self.assertEqual(falling, sorted(falling, reverse=True))
        self.assertGreater(len(set(falling)), 3)
        self.assertEqual(len(self.all("#words th[aria-sort]")), 1)

    def test_words_filter(self) -> None:
        every = self.shown_rows(0)
        self.find("#words input").send_keys("replicated head-wise")
        some = self.shown_rows(3)
        self.assertTrue(0 < len(some) < len(every))
        self.assertTrue(all("replicated" in text for text in some), some)
        self.assertIn(f"{len(some)} of {len(every)} rows", self.find("#words .tools").text)
        self.find("#words input").send_keys(" nothing has this")
        self.assertEqual(self.shown_rows(0), [])

    def test_a_list_filters(self) -> None:
        select: Any = Select(self.find('#words select[aria-label="Run"]'))
        select.select_by_index(1)
        self.assertEqual(set(self.shown_rows(0)), {select.first_selected_option.text})

    def test_the_chooser(self) -> None:
        labels = self.all(".choices label")
        choose: dict[str, Any] = {label.text.split("\n")[0]: Select(label.find_element(By.TAG_NAME, "select")) for label in labels}
        choose["length"].select_by_value("1024")
        self.assertIn(f"{SEQUENCE} is the fastest shown of 3.".lower(), self.find(".advice .use").text.lower())
        choose["length"].select_by_value("512")
        self.assertIn(f"{HEADWISE} is the fastest shown of 3.".lower(), self.find(".advice .use").text.lower())
        self.assertEqual(len(self.all(".advice li")), 2)
        choose["run or link"].select_by_index(1)
        self.assertIn("Not resolved: one launch gives estimates only.", self.find(".advice .use").text)

    def test_hints_by_keyboard_and_pointer(self) -> None:
        self.assertFalse(self.find("#hint").is_displayed())
        facets = self.find("#map [data-roving]")
        self.js("arguments[0].focus()", facets)
        facets.send_keys(Keys.ARROW_RIGHT)
        first = self.find("#hint").text
        self.assertRegex(first, r"Ratio .*launch")
        facets.send_keys(Keys.ARROW_RIGHT)
        self.assertNotEqual(self.find("#hint").text, first)
        facets.send_keys(Keys.ESCAPE)
        self.assertFalse(self.find("#hint").is_displayed())
        self.find("#map td.cell").click()
        self.assertEqual(self.find("#hint").text, first)

    def test_a_legend_hides_a_series(self) -> None:
        item = self.find("#peak li[data-series]")
        number = item.get_attribute("data-series")
        item.send_keys(Keys.ENTER)
        self.assertEqual(item.get_attribute("aria-pressed"), "false")
        self.assertTrue(self.js(f"return document.querySelector('#peak g[data-series=\"{number}\"]').classList.contains('off')"))

    def test_samples(self) -> None:
        """As many points as there are numbers, and the numbers stay readable."""
        self.js("document.querySelectorAll('#samples details.more, #samples details.cell-samples').forEach(d => d.open = true)")
        self.driver.implicitly_wait(2)
        self.find("#samples .times svg circle")
        self.driver.implicitly_wait(0)
        counts = self.js("""return [...document.querySelectorAll('#samples .times')].map(t =>
            [t.querySelectorAll('circle').length, t.querySelector('samp').textContent.split(/[; ]+/).filter(Boolean).length])""")
        self.assertGreater(len(counts), 20)
        self.assertTrue(all(one == other and one > 0 for one, other in counts), counts)

    def test_links_lead_to_files(self) -> None:
        for address in self.js("return [...document.querySelectorAll('.files a')].map(a => a.href)"):
            self.driver.get(address)
            self.assertGreater(len(self.driver.page_source), 100, address)

    def test_400_pixels(self) -> None:
        self.emulate(400, "light")
        self.open(self.page)
        self.js("document.querySelectorAll('details').forEach(d => d.open = true)")
        self.assertEqual(self.js("return window.innerWidth"), 400)
        self.assertLessEqual(self.js("return document.documentElement.scrollWidth"), 400)
        small = self.js("""return [...document.querySelectorAll('main *')].filter(e => e.getClientRects().length && e.childNodes.length
            && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML.slice(0, 80))""")
        self.assertEqual(small, [])

    def test_dark_and_light(self) -> None:
        """Text and words stand out from what is behind them, in both."""
        contrast = """
          const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
          const light = c => {
            const [r, g, b] = c.match(/[\\d.]+/g).map(v => linear(v / 255));
            return .2126 * r + .7152 * g + .0722 * b; };
          const behind = e => {
            for (; e; e = e.parentElement) {
              const c = getComputedStyle(e).backgroundColor;
              if (!c.endsWith(', 0)')) return c;
            }
            return 'rgb(255,255,255)'; };
          const texts = document.querySelectorAll('h1, p, li, td, th, dd, dt, summary, a, .word, .swatch, .count');
          return [...texts].filter(e => e.getClientRects().length).map(e => {
            const [one, other] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
            return [(one + .05) / (other + .05), e.outerHTML.slice(0, 90)]; }).sort((a, b) => a[0] - b[0])[0];"""
        backgrounds = []
        for colours in ("light", "dark"):
            self.emulate(1300, colours)
            self.open(self.page)
            backgrounds.append(self.js("return getComputedStyle(document.body).backgroundColor"))
            least = self.js(contrast)
            self.assertGreaterEqual(least[0], 4.5, f"{colours}: {least}")
        self.assertNotEqual(*backgrounds)

    def test_print(self) -> None:
        """Everything that is folded for the screen is on paper, but the tables of data and the samples."""
        paper = base64.b64decode(self.driver.print_page())
        self.assertTrue(paper.startswith(b"%PDF-"))
        self.assertGreater(paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page/") + paper.count(b"/Type/Page/"), 2)
        folded = self.js("return [...document.querySelectorAll('figure details.more')].map(d => d.open)")
        self.assertGreater(len(folded), 0)
        self.assertTrue(all(folded))

    def test_without_the_library(self) -> None:
        with mock.patch.object(library.read_library, "__defaults__", (self.top / "nowhere.js",)):
            plain = write_page(self.top / "plain.html", self.top / "run")
        self.open(plain)
        self.assertEqual(self.js("return document.querySelectorAll('script:not([type])').length"), 0)
        self.assertFalse(self.find("[data-chooser]").is_displayed())
        self.assertRegex(str(self.find("#map td.cell").get_attribute("title")), "Ratio .*launches")
        self.assertIn("node-d3 was not installed", self.find("body > header").text)

    def test_a_script_in_the_page_would_not_run(self) -> None:
        """What the content policy is for, should an escape ever be forgotten."""
        worse = self.top / "worse.html"
        text = self.page.read_text(encoding="utf-8")
        worse.write_text(text.replace("<main>", "<main><script>document.title = 'hacked'</script>"), encoding="utf-8")
        self.open(worse)
        self.assertNotIn("hacked", self.driver.title)
        self.assertIn("Content Security Policy", json.dumps(self.driver.get_log("browser")))


if __name__ == "__main__":
    unittest.main()
