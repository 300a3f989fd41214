"""CITATION.cff: the checked-in one, people and organisations, and files that cannot be used."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from analysis.read.citation import Author, read_citation
from analysis.read.csv_table import UnusableInput

COMPLETE = 'title: "T"\nversion: 1.2.3\ndate-released: 2026-01-02\nlicense: MIT\nauthors:\n  - name: "A team"\n'


class CitationTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "CITATION.cff"

    def test_the_checked_in_file(self) -> None:
        citation = read_citation()
        self.assertRegex(citation.version, r"\A\d+\.\d+\.\d+\Z")
        self.assertRegex(citation.released, r"\A\d{4}-\d\d-\d\d\Z")
        self.assertTrue(citation.authors and citation.keywords and citation.abstract)

    def test_fields(self) -> None:
        people = "  - given-names: Ada\n    name-particle: de\n    family-names: L\nrepository-code: https://example.org\n"
        self.path.write_text(COMPLETE + people, encoding="utf-8")
        citation = read_citation(self.path)
        self.assertEqual(citation.authors, (Author("A team", False), Author("Ada de L", True)))
        self.assertEqual((citation.title, citation.version, citation.released), ("T", "1.2.3", "2026-01-02"))
        self.assertEqual((citation.url, citation.keywords), ("https://example.org", ()))

    def test_what_cannot_be_used(self) -> None:
        for text, problem in (
            ("[1, 2]", "must be a mapping"),
            ("title: [", "while parsing"),
            (COMPLETE.replace("version: 1.2.3\n", ""), "version missing"),
            (COMPLETE + "  - email: a\n", "an author has no name"),
            (COMPLETE + "  - word\n", "an author must have a name"),
            (COMPLETE.replace("\n  - name:", "\n  name:"), "authors must be a list"),
        ):
            with self.subTest(problem):
                self.path.write_text(text, encoding="utf-8")
                with self.assertRaisesRegex(UnusableInput, problem) as caught:
                    read_citation(self.path)
                self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
