"""The table of kernel targets finds planted rates, and says met only where they are."""

import contextlib
import io
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from analysis import kernel_targets
from analysis.estimate.kernel_measurements import LaunchRounds, Setting, mean_limit_ratio, read_measurements
from analysis.judge import kernel_verdicts
from analysis.judge.kernel_verdicts import Outcome
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.testing import synthetic_run
from analysis.testing.synthetic_run import Cell

# What synthetic_run writes beside every sample.
PEAK, BANDWIDTH = 115e9, 22e9
TARGETS = kernel_verdicts.PREFILL_TARGETS


def seconds_at(setting: Setting, fraction: float) -> float:
    if setting.phase == "decode":
        return setting.key_value_bytes() / BANDWIDTH / fraction
    return setting.flops() / PEAK / fraction


def cell_of(setting: Setting, fraction: float, **factors: Any) -> Cell:
    values = {
        "phase": setting.phase, "dtype": setting.dtype, "isa": setting.isa, "head_dim": setting.head_dim, "ranks": 1,
        "causal": str(setting.causal).lower(), "seq_len": setting.seq_len, "threads": setting.threads,
    }  # fmt: skip
    variant = f"headwise(none)+{setting.algorithm}"
    return Cell({variant: seconds_at(setting, fraction)}, {**values, **factors}, {"rel_l2_err": 3e-3})


def roofline(setting: Setting) -> float:
    compute, moving = setting.flops() / PEAK, 16.0 * 16 * setting.seq_len**2 / BANDWIDTH
    return compute / (compute + moving)


def complete_plan() -> dict[Setting, float]:
    """Every setting that has a target at it, ratios a little above: their intervals are wider."""
    plan: dict[Setting, float] = {}
    for (algorithm, causal), targets in TARGETS.items():
        for seq_len, target in zip(kernel_verdicts.LENGTHS, targets):
            for isa in kernel_verdicts.ISAS:
                setting = kernel_verdicts.prefill(algorithm, causal, seq_len, isa)
                plan[setting] = roofline(setting) if target is None else target
    online = kernel_verdicts.prefill("online_softmax", False, 2048, "avx512")
    plan[replace(online, seq_len=16384)] = 0.92
    plan[replace(online, threads=2)] = 0.92 * 0.96
    plan[replace(online, head_dim=64)] = plan[replace(online, head_dim=64, isa="avx2")] = 0.84
    plan[replace(online, dtype="bf16")] = 0.92 * 1.87
    for threads in (1, 2):
        decode = Setting("decode", "online_softmax", "fp32", "avx512", 128, True, 32768, threads)
        plan[decode] = plan[replace(decode, isa="avx2")] = 0.9
        plan[replace(decode, dtype="bf16")] = 0.9 * 0.91  # half the bytes: 1.82 times as fast
    return plan


class KernelTargetsTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name) / "run"

    def write(self, plan: Mapping[Setting, float], *, launches: int = 3, rounds: int = 12) -> None:
        cells = [cell_of(setting, fraction) for setting, fraction in plan.items()]
        synthetic_run.write_run(
            self.directory, cells, [], launches=launches, rounds=rounds,
            noise=lambda generator, _: float(generator.normal(0.0, 0.002)),
        )  # fmt: skip

    def run_script(self) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = kernel_targets.main([str(self.directory)])
        return status, out.getvalue() + err.getvalue()

    def outcomes(self) -> dict[str, Outcome]:
        tables = kernel_verdicts.make_tables(read_measurements([read_run(self.directory)]))
        return {f"{index} {line.what}": line.outcome for index, table in enumerate(tables) for line in table.lines}

    def test_everything_at_its_target_is_met(self) -> None:
        self.write(complete_plan())
        status, text = self.run_script()
        self.assertEqual(status, 0, text)
        self.assertNotIn("NOT MET", text)
        self.assertNotIn("not measured", text)
        self.assertIn("28 of 28 targets met", text)

    def test_fractions_are_the_planted_ones(self) -> None:
        setting = kernel_verdicts.prefill("online_softmax", True, 1024, "avx512")
        decode = Setting("decode", "online_softmax", "bf16", "avx512", 128, True, 4096, 2)
        self.write({setting: 0.5, decode: 0.7})
        measured = read_measurements([read_run(self.directory)])
        self.assertEqual([len(rounds) for rounds in measured.values()], [3, 3])
        for planted, expected in ((setting, 0.5), (decode, 0.7)):
            for rounds in measured[planted]:
                interval = rounds.fraction()
                self.assertLess(interval.low, interval.centre)
                self.assertAlmostEqual(interval.centre, expected, delta=0.005 * expected)
        # 2 x 8 heads x 4096 keys x 128 x 2 bytes; 4 x 16 heads x 128 per visible pair.
        self.assertEqual(decode.key_value_bytes(), 2 * 8 * 4096 * 128 * 2)
        self.assertEqual(setting.flops(), 4 * 16 * 128 * 1024 * 1025 / 2)

    def assert_missed(self, changes: Mapping[Setting, float], line: str) -> None:
        self.write({**complete_plan(), **changes})
        missed = [name for name, outcome in self.outcomes().items() if outcome is Outcome.MISSED]
        self.assertEqual(missed, [line])
        self.assertEqual(self.run_script()[0], 1)

    def test_both_isas_too_slow(self) -> None:
        setting = kernel_verdicts.prefill("online_softmax", True, 512, "avx512")
        self.assert_missed({setting: 0.82, replace(setting, isa="avx2"): 0.82}, "0 online_softmax causal S=512")

    def test_one_isa_may_be_slower_but_not_far(self) -> None:
        setting = kernel_verdicts.prefill("row_blocked", False, 1024, "avx2")
        self.write({**complete_plan(), setting: 0.86})
        self.assertEqual(self.run_script()[0], 0)
        self.assert_missed({setting: 0.82}, "0 row_blocked    full   S=1024")

    def test_standard_against_the_roofline(self) -> None:
        setting = kernel_verdicts.prefill("standard", False, 8192, "avx512")
        # D / 4 FLOPs per byte at 22 GB/s: the products take 4.45 ns per pair of query and key, 16 bytes 0.73.
        self.assertAlmostEqual(roofline(setting), 4.452 / (4.452 + 0.727), places=3)
        slow = roofline(setting) - 0.02
        self.assert_missed({setting: slow, replace(setting, isa="avx2"): slow}, "0 standard       full   S=8192")

    def test_each_isa_has_a_roofline_of_its_own(self) -> None:
        ones = np.ones(9)
        slow, fast = (LaunchRounds("x/y/0", ones, ones, f * ones, (f + 0.02) * ones) for f in (0.9, 0.8))
        self.assertAlmostEqual(kernel_verdicts.beside(slow, None), kernel_verdicts.beside(fast, None))
        self.assertAlmostEqual(kernel_verdicts.beside(slow, 0.7), 0.9)

    def test_a_clock_that_moves_between_the_types_cancels(self) -> None:
        def rounds(clock: float, speed: float, limit: float) -> LaunchRounds:
            ones = np.ones(9)
            return LaunchRounds("x/y/0", ones / (clock * speed), clock * limit * ones, speed / limit * ones)

        pairs = [(rounds(clock, 1.8, 2.0), rounds(1 / clock, 0.9, 1.0)) for clock in (0.97, 1.0, 1 / 0.97)]
        limits = mean_limit_ratio(pairs)
        self.assertAlmostEqual(limits, 2.0)
        for pair in pairs:
            self.assertAlmostEqual(kernel_verdicts.RatioOfFractions(limits)(*pair).centre, 2.0)

    def test_a_bandwidth_that_moves_between_the_types_cancels(self) -> None:
        fp32 = Setting("decode", "online_softmax", "fp32", "avx512", 128, True, 32768, 2)
        bf16 = replace(fp32, dtype="bf16")

        def launches(setting: Setting, bandwidth: float, fraction: float) -> list[LaunchRounds]:
            ones = np.ones(9)
            seconds = setting.key_value_bytes() / (bandwidth * fraction) * ones
            return [LaunchRounds(f"x/y/{n}", seconds, bandwidth * ones, fraction * ones, None, None, 1e-6) for n in range(3)]

        # Plain ratios of times: 0.95 and 2.8.
        for bandwidth, fraction, outcome in ((0.5, 0.9, Outcome.MET), (2.0, 0.66, Outcome.MISSED)):
            table = kernel_verdicts.bf16_table({fp32: launches(fp32, 22e9, 0.94), bf16: launches(bf16, bandwidth * 22e9, fraction)})
            self.assertEqual([line.outcome for line in table.lines], [outcome])

    def test_one_bad_launch_is_enough(self) -> None:
        setting = kernel_verdicts.prefill("online_softmax", False, 4096, "avx512")
        self.write({setting: 0.92, replace(setting, isa="avx2"): 0.92})
        path = self.directory / "samples.csv"
        rows = [line.split(",") for line in path.read_text().splitlines()]
        launch, time = rows[0].index("launch"), rows[0].index("time_s")
        for row in rows[1:]:
            if row[launch] == "2":
                row[time] = str(float(row[time]) * 1.05)
        path.write_text("".join(",".join(row) + "\n" for row in rows))
        self.assertEqual(self.outcomes()["0 online_softmax full   S=4096"], Outcome.MISSED)

    def test_two_threads_bf16_decode_and_growth(self) -> None:
        online = kernel_verdicts.prefill("online_softmax", False, 2048, "avx512")
        decode = Setting("decode", "online_softmax", "fp32", "avx512", 128, True, 32768, 2)
        for changes, line in (
            ({replace(online, threads=2): 0.92 * 0.93}, "2 online_softmax full   S=2048 avx512 2 threads"),
            ({replace(online, dtype="bf16"): 0.92 * 1.80}, "3 online_softmax full   S=2048 avx512"),
            ({decode: 0.87, replace(decode, isa="avx2"): 0.87, replace(decode, dtype="bf16"): 0.87 * 0.91},
             "4 32768 keys, 2 threads"),
            ({replace(decode, dtype="bf16"): 0.9 * 0.88}, "3 decode 32768 keys avx512 2 threads"),
            ({replace(online, seq_len=16384): 0.92 / 1.12}, "5 online_softmax full avx512"),
        ):  # fmt: skip
            with self.subTest(line):
                self.assert_missed(changes, line)

    def test_too_few_launches_or_rounds_are_not_met(self) -> None:
        self.write(complete_plan(), launches=2)
        self.assertEqual(set(self.outcomes().values()), {Outcome.FEW_LAUNCHES})
        self.assertEqual(self.run_script()[0], 3)
        # Five rounds give no 95 % interval of a median.
        self.write({setting: 0.99 for setting in complete_plan()}, rounds=5)
        self.assertEqual(self.outcomes()["0 online_softmax full   S=512"], Outcome.MISSED)

    def test_unmeasured_targets_are_named(self) -> None:
        plan = complete_plan()
        del plan[kernel_verdicts.prefill("standard", False, 512, "avx2")]
        self.write(plan)
        self.assertEqual(self.outcomes()["0 standard       full   S=512"], Outcome.NOT_MEASURED)
        self.assertEqual(self.run_script()[0], 3)

    def test_refuses_what_cannot_be_trusted(self) -> None:
        setting = kernel_verdicts.prefill("standard", False, 512, "avx2")
        failing = cell_of(setting, 0.8)
        synthetic_run.write_run(
            self.directory, [replace(failing, status={next(iter(failing.times)): "failed"}), cell_of(setting, 0.8)], []
        )
        status, text = self.run_script()
        self.assertEqual((status, "failed" in text), (2, True), text)
        synthetic_run.write_run(self.directory, [cell_of(setting, 0.8), cell_of(setting, 0.8)], [])
        with self.assertRaisesRegex(UnusableInput, "twice"):
            read_measurements([read_run(self.directory)])

    def test_other_work_is_left_out(self) -> None:
        setting = kernel_verdicts.prefill("standard", False, 512, "avx2")
        cells = [cell_of(setting, 0.8, ranks=2), cell_of(setting, 0.8, heads=4), cell_of(setting, 0.8, cache="cold")]
        cells.append(Cell({"headwise(none)+standard[q24]": 1.0}, {"ranks": 1}))
        synthetic_run.write_run(self.directory, cells, [])
        self.assertEqual(read_measurements([read_run(self.directory)]), {})

    def test_rounds_are_paired_with_their_own_limit(self) -> None:
        setting = kernel_verdicts.prefill("online_softmax", False, 512, "avx512")
        self.write({setting: 0.9}, launches=1)
        path = self.directory / "samples.csv"
        rows = [line.split(",") for line in path.read_text().splitlines()]
        number, time, peak = (rows[0].index(name) for name in ("round", "time_s", "peak_gflops"))
        for row in rows[1:]:
            slower = 1 + 0.1 * (int(row[number]) % 3)  # the clock moves; the fraction does not
            row[time], row[peak] = str(float(row[time]) * slower), str(float(row[peak]) / slower)
        path.write_text("".join(",".join(row) + "\n" for row in rows))
        (rounds,) = read_measurements([read_run(self.directory)])[setting]
        self.assertLess(float(np.ptp(rounds.fractions)), 0.02)


if __name__ == "__main__":
    unittest.main()
