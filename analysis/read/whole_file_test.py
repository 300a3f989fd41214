"""Files are read and written whole or not at all, whatever stands at the path."""

import os
import tempfile
import unittest
from pathlib import Path

from analysis.read.unusable_input import UnusableInput
from analysis.read.whole_file import make_directory, read_whole, remove, write_whole


class WholeFileTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.path = self.directory / "verdict.txt"

    def test_what_is_written_is_read(self) -> None:
        for text in ("first", "second"):
            write_whole(self.path, text)
            self.assertEqual(read_whole(self.path), text.encode())
        write_whole(self.path, b"\x00\xff")
        self.assertEqual(read_whole(self.path), b"\x00\xff")
        self.assertEqual([path.name for path in self.directory.iterdir()], ["verdict.txt"])

    def test_a_pipe_is_neither_waited_for_nor_written_through(self) -> None:
        os.mkfifo(self.path)
        with self.assertRaisesRegex(OSError, "not a regular file"):
            read_whole(self.path)
        os.mkfifo(self.path.with_name("verdict.txt.new"))
        write_whole(self.path, "text")
        self.assertEqual(read_whole(self.path), b"text")

    def test_a_link_left_under_the_name_is_not_followed(self) -> None:
        other = self.directory / "other"
        other.write_text("mine")
        self.path.with_name("verdict.txt.new").symlink_to(other)
        write_whole(self.path, "text")
        self.assertEqual(other.read_text(), "mine")

    def test_what_cannot_be_written_is_one_line_and_leaves_what_was_there(self) -> None:
        (self.directory / "file").write_text("old")
        self.path.mkdir()
        for path in (self.path, self.directory / "file" / "below", self.directory / "not there" / "x", self.directory / ("x" * 300)):
            with self.subTest(path.name[:10]), self.assertRaisesRegex(UnusableInput, "cannot be written: [A-Z]"):
                write_whole(path, "new")
        self.assertEqual((self.directory / "file").read_text(), "old")
        self.assertEqual(list(self.directory.glob("*.new")), [])

    def test_directories_and_removing(self) -> None:
        make_directory(self.directory / "a" / "b")
        make_directory(self.directory / "a" / "b")
        (self.directory / "file").write_text("")
        with self.assertRaisesRegex(UnusableInput, "cannot be written"):
            make_directory(self.directory / "file" / "below")
        with self.assertRaisesRegex(UnusableInput, "cannot be removed"):
            remove(self.directory / "a")
        remove(self.directory / "file")
        remove(self.directory / "file")
        self.assertFalse((self.directory / "file").exists())


if __name__ == "__main__":
    unittest.main()
