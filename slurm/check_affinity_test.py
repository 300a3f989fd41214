"""check_affinity verify: which placements are fit for measuring."""

from __future__ import annotations

import pathlib
import re
import subprocess
import unittest

_SCRIPT = pathlib.Path(__file__).resolve().parent / "check_affinity"


def verify(cores: int, *lines: str) -> tuple[int, str]:
    """Exit status and output for ranks given as "HOST RANK CORES"."""
    text = "".join(f"affinity {line}\n" for line in lines)
    result = subprocess.run([_SCRIPT, "verify", str(cores)], input=text, capture_output=True, text=True, check=False)
    assert result.stderr == "", result.stderr
    return result.returncode, result.stdout


class CheckAffinityTest(unittest.TestCase):
    def test_good_placements(self) -> None:
        for cores, *lines in (
            (1, "a 0 0", "a 1 1"),
            (2, "a 0 0,2", "a 1 1,3"),
            (2, "a 0 0-3", "a 1 0-3"),  # unbound, enough for both: the benchmark pins
            (2, "a 0 0-1", "b 1 0-1"),  # same numbers, other hosts
            (4, "a 0 0-1,8-9"),
        ):
            self.assertEqual(verify(int(cores), *map(str, lines)), (0, ""), lines)

    def test_bad_placements_are_named_with_the_fix(self) -> None:
        for cores, lines, pattern in (
            (2, ["a 0 0"], r"rank 0 on a may run on core 0 only, but has 2 threads; .*--cpus-per-task=2"),
            (2, ["a 0 0-1", "b 1 5"], r"rank 1 on b may run on core 5 only"),
            (1, ["a 0 0", "a 1 0"], r"2 ranks on a share core 0 but need 2; "),
            (2, ["a 0 0-2", "a 1 0-2"], r"2 ranks on a share core 0-2 but need 4; "),
            (2, ["a 0 0-2", "a 1 2-4"], r"ranks 0 and 1 on a overlap on core 2; .*--cpu-bind=cores"),
            (1, [], r"no rank reported its cores"),
        ):
            status, output = verify(cores, *lines)
            self.assertEqual(status, 1, lines)
            self.assertRegex(output, pattern)
            self.assertEqual(output.count("\n"), 1)

    def test_report_is_what_verify_reads(self) -> None:
        report = subprocess.run([_SCRIPT, "report"], capture_output=True, text=True, check=True).stdout
        self.assertTrue(re.fullmatch(r"affinity \S+ \d+ [0-9,-]+\n", report), report)
        self.assertEqual(verify(1, report.removeprefix("affinity ").strip()), (0, ""))


if __name__ == "__main__":
    unittest.main()
