"""Whatever a JSON file holds: an object, or one line."""

import tempfile
import unittest
from pathlib import Path

from analysis.read.csv_table import UnusableInput
from analysis.read.json_file import read_json_object


class JsonFileTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "manifest.json"

    def test_an_object(self) -> None:
        self.path.write_text('{"a": [1, 2.5, "x", 18446744073709551615]}')
        self.assertEqual(read_json_object(self.path), {"a": [1, 2.5, "x", 18446744073709551615]})

    def test_everything_else_is_one_line_with_the_path(self) -> None:
        for text in (
            "",
            "[1]",
            "5",
            "{",
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": ' + "9" * 5000 + "}",
            '{"a": ' + "[" * 100000 + "]" * 100000 + "}",
            '{"a": ' * 50000 + "1" + "}" * 50000,
            '{"a": 1e999}',
            '{"a": 18446744073709551616}',
            '{"a": -9223372036854775809}',
            '{"a": ' + "[" * 200 + "]" * 200 + "}",
            r'{"a": ["\ud800"]}',
            r'{"\udfff": 1}',
            '{"a": 1}\0',
            '{"a": 1} {"b": 2}',
        ):
            self.path.write_text(text)
            with self.subTest(text=text[:20]), self.assertRaises(UnusableInput) as caught:
                read_json_object(self.path)
            self.assertTrue(str(caught.exception).startswith(str(self.path)))
            self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def test_no_file(self) -> None:
        with self.assertRaises(UnusableInput):
            read_json_object(self.path)


if __name__ == "__main__":
    unittest.main()
