"""Files are read and written whole or not at all, whatever stands at the path."""

import os
import tempfile
import unittest
from pathlib import Path

from analysis.read.unusable_input import UnusableInput
from analysis.read.whole_file import above_all, by_name, is_there, make_directory, read_whole, remove, write_whole


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
        # Whoever reads from it would wait for ever if it were replaced; a device would be gone.
        with self.assertRaisesRegex(UnusableInput, "cannot be written: Not a regular file"):
            write_whole(self.path, "text")
        self.assertTrue(self.path.is_fifo())
        self.path.unlink()
        os.mkfifo(self.path.with_name("verdict.txt.new"))
        write_whole(self.path, "text")
        self.assertEqual(read_whole(self.path), b"text")

    def test_paths_that_name_no_file(self) -> None:
        for path in (Path("/"), Path("."), self.directory / ".."):
            with self.subTest(path), self.assertRaisesRegex(UnusableInput, "cannot be written: "):
                write_whole(path, "text")
        with self.assertRaisesRegex(UnusableInput, "cannot be written: "):
            write_whole(self.path, "no text: \udcff")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_whether_something_is_there(self) -> None:
        self.path.write_text("")
        found = [is_there(path) for path in (self.path, self.directory, self.directory / "no", self.path / "below")]
        self.assertEqual(found, [True, True, False, False])
        (self.directory / "loop").symlink_to("loop")
        for path in (self.directory / ("x" * 300), self.directory / "loop"):
            with self.assertRaisesRegex(UnusableInput, "cannot be looked at: "):
                is_there(path)

    def test_what_is_above_all(self) -> None:
        self.assertEqual(above_all([self.directory / "a"]), self.directory / "a")
        self.assertEqual(above_all([self.directory / "a" / "x", self.directory / "b"]), self.directory)
        gone = self.directory / "gone"
        gone.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(gone)
        gone.rmdir()
        with self.assertRaisesRegex(UnusableInput, "a: the working directory cannot be used: "):
            above_all([Path("a")])

    def test_directories_by_name(self) -> None:
        self.assertEqual(by_name(["a/x", Path("b/y")]), {"x": Path("a/x"), "y": Path("b/y")})
        with self.assertRaisesRegex(UnusableInput, "a/x and b/x: both are named 'x'"):
            by_name(["a/x", "b/x"])
        self.assertEqual(list(by_name(["bad\udcff"])), ["bad\ufffd"])

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
