"""paper/paper.pdf is of the text and the runs that are here."""

from __future__ import annotations

import re
import shutil
import tempfile
import unittest
from pathlib import Path

from analysis.paper_source import FILES, paper_source

TOP = Path(__file__).parent.parent


class PaperTest(unittest.TestCase):
    def test_the_pdf_is_made_of_what_is_here(self) -> None:
        pdf = (TOP / "paper/paper.pdf").read_bytes()
        self.assertTrue(pdf.startswith(b"%PDF-"))
        made_of = f"/Source ({paper_source(TOP)})".encode()
        self.assertTrue(made_of in pdf, "paper/paper.pdf is stale: paper/build makes it anew")

    def test_any_change_is_seen(self) -> None:
        before = paper_source(TOP)
        with tempfile.TemporaryDirectory() as directory:
            top = Path(directory)
            for name in FILES:
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(TOP / name, top / name)
            self.assertEqual(paper_source(top), before)
            for name in FILES:
                content = (top / name).read_bytes()
                (top / name).write_bytes(content.replace(b"e", b"f", 1))
                self.assertNotEqual(paper_source(top), before, name)
                (top / name).write_bytes(content)

    def test_every_source_that_is_cited_is_listed_and_the_other_way_round(self) -> None:
        text = (TOP / "paper/paper.md").read_text(encoding="utf-8")
        listed = re.findall(r"^@\w+\{(\w+),", (TOP / "paper/references.bib").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(sorted(set(re.findall(r"@(\w+)[\];]", text))), sorted(listed))


if __name__ == "__main__":
    unittest.main()
