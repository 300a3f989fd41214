"""./reproduce paper and ./reproduce all: what is run, in which order, and how it goes on; all that they run is stood in for."""

from __future__ import annotations

import re
import unittest

from tools.testing.stand_in_tree import ROOT, StandInTree

# Writes down how it was called; ends with STATUS if its call holds what FAILING says.
_STAND_IN = """\
#!/bin/bash
[ "${1-}" != - ] || exec /usr/bin/python3 "$@"
call="${0##*/top/} $*"
call=${call#./}
echo "$call" >>"$CALLS"
case $call in *--dry-run*) echo "3 cells, 10 cases, 2 ranks, 16 launches; about 1 min 30 s a launch" ;; esac
if [ -n "$FAILING" ] && [[ $call == *"$FAILING"* ]]; then exit "$STATUS"; fi
"""


class StudyTest(StandInTree):
    def setUp(self) -> None:
        self.plant(_STAND_IN, ("reproduce", "tools/setup", "tools/cluster/over_links", "paper/build"), ("tools/study",))
        for run in ("ordering/reference", "network/reference/1gbit", "ordering/study", "network/study/10gbit"):
            directory = self.top / "results" / run
            directory.mkdir(parents=True)
            (directory / "cases.csv").touch()

    def study(self, *arguments: str, failing: str = "", status: int = 1) -> tuple[int, str, list[str]]:
        """Exit status, what was printed, calls made but those of plans."""
        ended, printed, calls = self.call("tools/study", *arguments, FAILING=failing, STATUS=str(status))
        return ended, printed, [line for line in calls if "--dry-run" not in line]

    def test_paper_makes_everything_of_the_runs_that_are_checked_in(self) -> None:
        status, _, calls = self.study("paper")
        self.assertEqual(status, 0)
        self.assertEqual(
            calls,
            [
                "tools/setup build paper",
                "python analysis/claims.py",
                "python analysis/results_page.py",
                "python analysis/report.py results/network/reference/1gbit results/ordering/reference --output results/report.html",
                "paper/build ",
            ],
        )

    def test_all_runs_every_experiment_and_makes_a_report_of_them(self) -> None:
        status, printed, calls = self.study("all", "--minutes", "20")
        self.assertEqual(status, 0, printed)
        names = [call.split()[1] for call in calls if call.startswith(("reproduce ", "tools/cluster/over_links "))]
        known = {path.stem for path in (ROOT / "experiments").glob("*.yaml")}
        self.assertEqual(set(names), known - {"noise", "smoke", "grid"})  # grid: four ranks, which two cores cannot time
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("reproduce ordering --minutes 20 --output results/ordering/study", calls)
        self.assertIn("tools/cluster/over_links network --output results/network/study --verdicts --minutes 20", calls)
        self.assertEqual(
            calls[-1], "python analysis/report.py results/network/study/10gbit results/ordering/study --output results/report.html"
        )
        # 16 launches of 90 s are 24 minutes, the limit is 20; three links each.
        minutes = 20 * (len(names) + 2 * sum(name.startswith(("network", "window", "documents", "cached_prefix", "choice")) for name in names))
        self.assertIn(f"at most {minutes // 60} h {minutes % 60} min on this machine", printed)

    def test_it_goes_on_with_what_is_there(self) -> None:
        (self.top / "results/ordering/study/manifest.json").touch()
        _, _, calls = self.study("all", "--only", "ordering,aa")
        runs = [call for call in calls if call.startswith("reproduce ")]
        self.assertEqual(
            runs,
            ["reproduce ordering --minutes 90 --resume results/ordering/study", "reproduce aa --minutes 90 --output results/aa/study"],
        )

    def test_a_failure_is_named_and_does_not_stop_the_rest(self) -> None:
        status, printed, calls = self.study("all", "--only", "ordering,aa", failing="reproduce ordering --minutes")
        self.assertEqual((status, printed.splitlines()[-1]), (1, "failed: ordering"))
        self.assertEqual(len(calls), 3)

    def test_an_interruption_stops_it(self) -> None:
        status, printed, calls = self.study("all", "--only", "ordering,aa", failing="reproduce ordering --minutes", status=3)
        self.assertEqual((status, len(calls)), (3, 1))
        self.assertIn("The same command goes on", printed)

    def test_list_runs_nothing(self) -> None:
        status, printed, calls = self.study("all", "--list", "--only", "ordering")
        self.assertEqual((status, calls), (0, []))
        self.assertRegex(printed, r"^ordering +at most +24 min  results/ordering/study\n1 experiments, at most 0 h 24 min")

    def test_refusals(self) -> None:
        for arguments, complaint in (
            (("nonsense",), "'paper' and 'all', not 'nonsense'"),
            (("all", "--minutes", "0"), "--minutes takes a whole number from 1, not '0'"),
            (("all", "--only"), "--only needs a value"),
            (("all", "--only", "ordering,nonsense"), "no experiment 'nonsense' in the study; there are: ordering aa"),
            (("all", "--fast"), "unknown argument '--fast'"),
            (("paper", "--list"), "paper takes no --only and no --list"),
        ):
            with self.subTest(arguments):
                status, printed, calls = self.study(*arguments)
                self.assertEqual((status, printed.count("\n"), calls), (2, 1, []), printed)
                self.assertRegex(printed, re.escape(complaint))


if __name__ == "__main__":
    unittest.main()
