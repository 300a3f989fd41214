"""parallel_efficiency.py: planted efficiencies are found, with the right counterpart, and intervals that hold them."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from analysis import parallel_efficiency
from analysis.estimate.paired_statistics import Interval
from analysis.estimate.rank_efficiency import Efficiency, efficiencies
from analysis.read.read_run import read_run
from analysis.testing.synthetic_run import HEADWISE, SEQUENCE, STANDARD, Cell, write_run

ZIGZAG = "sequence(ring,zigzag)+online_softmax"
CONTIGUOUS = "sequence(ring,contiguous)+online_softmax"
ONE_CORE: dict[str, Any] = {"peak_gflops": 120.0, "read_gb_per_s": 30.0}
# Together two cores have 1.9 times the peak of one, and 1.6 times the bandwidth.
TWO_CORES: dict[str, Any] = {"peak_gflops": 228.0, "read_gb_per_s": 48.0}
# 0.4 % of noise a round, 30 rounds: medians are within 0.3 %.
NOISE = 0.003


def one(times: dict[str, float], **factors: Any) -> Cell:
    return Cell(times, {"ranks": 1, **factors}, sample_values=ONE_CORE)


def two(times: dict[str, float], sample_values: dict[str, Any] | None = None, **factors: Any) -> Cell:
    return Cell(times, {"ranks": 2, **factors}, sample_values=TWO_CORES | (sample_values or {}))


class ParallelEfficiencyTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = Path(temporary.name)

    def compare(self, *cells: Cell, name: str = "run", **options: Any) -> dict[str, Efficiency]:
        """By variant."""
        write_run(self.top / name, cells, **options)
        return {found.factors["variant"]: found for found in efficiencies(read_run(self.top / name))}

    def assert_planted(self, planted: float, found: Interval | None) -> None:
        assert found is not None
        self.assertAlmostEqual(found.centre / planted, 1.0, delta=NOISE)
        self.assertLess(found.low, planted * (1 + NOISE))
        self.assertGreater(found.high, planted * (1 - NOISE))
        self.assertLess(found.high - found.low, 0.03 * planted)

    def command(self, *names: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = parallel_efficiency.main([str(self.top / name) for name in names])
        return status, out.getvalue(), err.getvalue()

    def test_prefill_beside_the_peak(self) -> None:
        found = self.compare(one({SEQUENCE: 2.0, HEADWISE: 2.2}), two({SEQUENCE: 1.08, HEADWISE: 1.1}))
        self.assertEqual(set(found), {SEQUENCE, HEADWISE})
        sequence = found[SEQUENCE]
        self.assertEqual(sequence.limit, "FMA peak")
        self.assert_planted(2.0 / 2.16, sequence.efficiency)
        self.assert_planted(0.95, sequence.cores)
        self.assert_planted(2.0 / 2.16 / 0.95, sequence.quotient)
        self.assert_planted(1.0, found[HEADWISE].efficiency)
        # Of every sample's noisy time 0.2 is communication, half of it exposed, 0.9 computing, 0.98 the first rank.
        self.assert_planted(1 / 0.98, sequence.imbalance)
        self.assert_planted(0.2 / (0.9 / 2), sequence.exchange_per_compute)
        self.assert_planted(0.5, sequence.hidden)

    def test_decode_beside_the_bandwidth(self) -> None:
        decode: dict[str, Any] = {"phase": "decode", "exchange": "merge"}
        found = self.compare(one({SEQUENCE: 1.0}, **decode), two({SEQUENCE: 0.625}, **decode))[SEQUENCE]
        self.assertEqual(found.limit, "read bandwidth")
        self.assert_planted(0.8, found.efficiency)
        self.assert_planted(0.8, found.cores)
        self.assert_planted(1.0, found.quotient)
        self.assertIsNone(found.exchange_per_compute)

    def test_counterpart_of_another_contract_and_variant(self) -> None:
        found = self.compare(
            one({ZIGZAG: 2.0, STANDARD: 9.0}),
            one({ZIGZAG: 70.0}, seq_len=2048),
            one({ZIGZAG: 80.0}, dtype="bf16"),
            two({ZIGZAG: 1.0, CONTIGUOUS: 1.5, STANDARD: 4.5}, contract="token_sharded"),
        )
        self.assert_planted(1.0, found[ZIGZAG].efficiency)
        self.assert_planted(2.0 / 3.0, found[CONTIGUOUS].efficiency)
        self.assert_planted(1.0, found[STANDARD].efficiency)

    def test_own_variant_and_contract_come_first(self) -> None:
        found = self.compare(
            one({HEADWISE: 3.0, SEQUENCE: 2.0}),
            one({SEQUENCE: 4.0}, contract="token_sharded"),
            two({SEQUENCE: 2.0}, contract="token_sharded"),
        )
        self.assert_planted(1.0, found[SEQUENCE].efficiency)

    def test_several_launches(self) -> None:
        found = self.compare(one({SEQUENCE: 2.0}), two({SEQUENCE: 1.08}), launches=4)
        self.assertEqual(set(found), {SEQUENCE})
        self.assert_planted(2.0 / 2.16, found[SEQUENCE].efficiency)
        self.assert_planted(2.0 / 2.16 / 0.95, found[SEQUENCE].quotient)
        # Peaks do not vary at all here; the interval knows.
        cores = found[SEQUENCE].cores
        assert cores is not None
        self.assertAlmostEqual(cores.low, 0.95)
        self.assertAlmostEqual(cores.high, 0.95)

    def test_what_failed_or_was_not_measured_is_left_out(self) -> None:
        failed = Cell({HEADWISE: 1.0}, {"ranks": 2}, status={HEADWISE: "failed"})
        crowded = Cell({STANDARD: 1.0}, {"ranks": 2, "seq_len": 2048}, {"oversubscribed": "true"}, TWO_CORES)
        silent = two({SEQUENCE: 1.0}, {"comm_total_s": 0, "comm_exposed_s": 0, "peak_gflops": ""}, seq_len=4096)
        found = self.compare(
            one({HEADWISE: 2.0}),
            one({STANDARD: 2.0}, seq_len=2048),
            one({SEQUENCE: 2.0}, seq_len=4096),
            failed,
            crowded,
            silent,
        )
        self.assertEqual(set(found), {SEQUENCE})
        self.assert_planted(1.0, found[SEQUENCE].efficiency)
        self.assertEqual((found[SEQUENCE].cores, found[SEQUENCE].quotient, found[SEQUENCE].hidden), (None, None, None))

    def test_table(self) -> None:
        for name in ("1gbit", "unshaped"):
            self.compare(one({SEQUENCE: 2.0}), two({SEQUENCE: 1.0}), name=name)
        status, text, _ = self.command("1gbit", "unshaped")
        self.assertEqual(status, 0)
        lines = text.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[0].startswith("| run | variant | efficiency | cores | of | quotient |"), lines[0])
        self.assertRegex(lines[2], r"^\| 1gbit \| sequence\+online_softmax \| (1\.00|0\.99)\d \[\d\.\d{3}, \d\.\d{3}\] \|")

    def test_no_counterpart(self) -> None:
        self.compare(two({SEQUENCE: 1.0}))
        self.assertEqual(self.command("run"), (0, "No case on several ranks has a counterpart on one rank.\n", ""))

    def test_unusable_input(self) -> None:
        status, text, error = self.command("missing")
        self.assertEqual((status, text, error.count("\n")), (2, "", 1))
        self.assertIn("missing", error)


if __name__ == "__main__":
    unittest.main()
