"""Whatever a command prints, its help too: where standard output takes no more, that is one line and status 2."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

ANALYSIS = Path(__file__).parent
# Made for this repository's own steps: they print nothing, or no help.
WITHOUT_HELP = {"measured_noise.py", "paper_source.py"}


class FullOutputTest(unittest.TestCase):
    def test_help_that_cannot_be_written(self) -> None:
        commands = [path for path in sorted(ANALYSIS.glob("*.py")) if not path.name.endswith("_test.py")]
        self.assertGreater(len(commands), 15)
        for path in commands:
            if path.name in WITHOUT_HELP:
                continue
            with self.subTest(path.name), open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [sys.executable, str(path), "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
                )
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr, "standard output: cannot be written: No space left on device\n")


if __name__ == "__main__":
    unittest.main()
