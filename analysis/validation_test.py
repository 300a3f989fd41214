"""validation.py: planted differences between a measured and a simulated run are found, case by case."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from analysis import validation
from analysis.testing.synthetic_run import Cell, write_run

RING, HEADWISE, STANDARD = "sequence+online_softmax", "headwise+online_softmax", "headwise+standard"


def no_noise(_generator: object, _variant: int) -> float:
    return 0.0


class ValidationTest(unittest.TestCase):
    """Of two run directories with known times."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def write(self, name: str, *cells: Cell) -> None:
        write_run(self.top / name, cells, expect=(), rounds=4, noise=no_noise)

    def command(self, *options: str) -> tuple[int, list[str], str]:
        """Status, lines of standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = validation.main([str(self.top / "measured"), str(self.top / "simulated"), *options])
        return status, out.getvalue().splitlines(), err.getvalue()

    def test_errors_by_variant_and_in_all(self) -> None:
        self.write("measured", Cell({RING: 1.0, HEADWISE: 2.0}), Cell({RING: 4.0, STANDARD: 1.0}, {"seq_len": 4096}))
        self.write("simulated", Cell({RING: 1.1, HEADWISE: 1.9}), Cell({RING: 5.2}, {"seq_len": 4096}))
        status, out, err = self.command()
        self.assertEqual((status, err), (0, ""))
        self.assertIn(f"| 2 | {HEADWISE} | 1 | 5.0 % | 5.0 % | -5.0 % |", out)
        self.assertIn(f"| 2 | {RING} | 2 | 20.0 % | 28.0 % | +20.0 % |", out)
        self.assertIn("| all |  | 3 | 10.0 % | 26.0 % | +10.0 % |", out)
        status, out, _ = self.command("--cases")
        self.assertIn(f"| 2 | qwen3-0.6b | native | 4096 | causal | {RING} | 4e+03 | 5.2e+03 | +30.0 |", out[2])

    def test_nothing_in_common(self) -> None:
        self.write("measured", Cell({RING: 1.0}))
        self.write("simulated", Cell({HEADWISE: 1.0}))
        status, out, err = self.command()
        self.assertEqual((status, out), (2, []))
        self.assertIn("share no case that is ok", err)


if __name__ == "__main__":
    unittest.main()
