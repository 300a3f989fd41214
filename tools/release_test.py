"""The release says one thing: version, date, title, licence and authors are the same in every file that has them."""

from __future__ import annotations

import json
import pathlib
import re
import unittest
from typing import Any

from analysis.read.citation import read_citation

_ROOT = pathlib.Path.cwd()  # of the runfiles
_HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?$", re.MULTILINE)


def read(path: str) -> str:
    return (_ROOT / path).read_text(encoding="utf-8")


class ReleaseTest(unittest.TestCase):
    def setUp(self) -> None:
        self.citation = read_citation(_ROOT / "CITATION.cff")
        self.zenodo: dict[str, Any] = json.loads(read(".zenodo.json"))

    def test_version_and_date(self) -> None:
        self.assertRegex(self.citation.version, r"\A\d+\.\d+\.\d+\Z")
        released = (self.citation.version, self.citation.released)
        self.assertEqual((self.zenodo["version"], self.zenodo["publication_date"]), released)
        headings = _HEADING.findall(read("CHANGELOG.md"))
        self.assertEqual(headings[0], ("Unreleased", ""))
        self.assertEqual(headings[1], released)
        dates = [date for _, date in headings[1:]]
        self.assertEqual(dates, sorted(dates, reverse=True))

    def test_spack_package(self) -> None:
        recipe = read("tools/spack/packages/attention-parallelism/package.py")
        self.assertEqual(re.findall(r'^    version\("(\d[^"]*)", tag="v([^"]*)"', recipe, re.MULTILINE), [(self.citation.version,) * 2])
        self.assertEqual(re.findall(r'^    license\("([^"]*)"', recipe, re.MULTILINE), [self.citation.licence])

    def test_title_authors_and_words(self) -> None:
        self.assertEqual(self.zenodo["title"], self.citation.title)
        self.assertEqual([creator["name"] for creator in self.zenodo["creators"]], [author.name for author in self.citation.authors])
        self.assertEqual(self.zenodo["keywords"], list(self.citation.keywords))
        self.assertEqual(self.zenodo["description"], f"<p>{self.citation.abstract}</p>")

    def test_licence(self) -> None:
        self.assertEqual(self.zenodo["license"], self.citation.licence)
        self.assertEqual(self.citation.licence, "Apache-2.0")
        self.assertRegex(read("LICENSE"), r"\A\s*Apache License\s+Version 2\.0, January 2004\s")
        self.assertIn(f"\n{self.citation.licence}; see [LICENSE](LICENSE).", read("README.md"))

    def test_zenodo_has_what_a_deposit_requires(self) -> None:
        self.assertEqual((self.zenodo["upload_type"], self.zenodo["access_right"]), ("software", "open"))

    def test_pages_fit(self) -> None:
        """CONTRIBUTING is one page, README three screens."""
        self.assertLessEqual(len(read("CONTRIBUTING.md").splitlines()), 60)
        self.assertLessEqual(len(read("README.md").splitlines()), 150)


if __name__ == "__main__":
    unittest.main()
