"""Whatever a command prints, its help too: where standard output takes no more, that is one line and status 2."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ANALYSIS = Path(__file__).parent
# Made for this repository's own steps: they print nothing, or no help.
WITHOUT_HELP = {"measured_noise.py", "paper_source.py"}


class FullOutputTest(unittest.TestCase):
    def test_help_that_cannot_be_written(self) -> None:
        # Bazel adds an __init__.py.
        commands = [path for path in sorted(ANALYSIS.glob("*.py")) if not path.name.endswith(("_test.py", "__init__.py"))]
        self.assertGreater(len(commands), 15)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        # Without a home Matplotlib says where it keeps its cache.
        environment = os.environ | {"MPLCONFIGDIR": scratch.name}
        for path in commands:
            if path.name in WITHOUT_HELP:
                continue
            with self.subTest(path.name), open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [sys.executable, str(path), "--help"],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                    check=False,
                    env=environment,
                )
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr, "standard output: cannot be written: No space left on device\n")

    def test_letters_that_standard_output_does_not_have(self) -> None:
        script = "from analysis.show.text_table import print_quietly; print_quietly('a\\u00fc\\udcff')"
        for encoding, printed in (("ascii", b"a\\xfc\\udcff\n"), ("utf-8", "a\u00fc\\udcff\n".encode())):
            done = subprocess.run(
                [sys.executable, "-c", script],
                capture_output=True,
                check=False,
                cwd=ANALYSIS.parent,
                env=os.environ | {"PYTHONIOENCODING": encoding},
            )
            self.assertEqual((done.returncode, done.stdout), (0, printed), done.stderr)


if __name__ == "__main__":
    unittest.main()
