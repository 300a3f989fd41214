"""./reproduce scale: what is measured and simulated, in which order, and how it goes on; all that it runs is stood in for."""

from __future__ import annotations

import pathlib
import shutil
import signal
import time
import unittest

from tools.testing.stand_in_tree import SIMULATION, SIMULATION_PROGRAMS, StandInTree

_PROBE = "model qwen3-0.6b, scope attention, activations fp32,\n  kv_cache fp32, isa\n  avx512, batch 1\nmeasured here: links 1.5 us and 3.2 GB/s, of which 40 % hides; kernels 100 to 200 GFLOP/s by shape"


class ScaleTest(StandInTree):
    def setUp(self) -> None:
        self.plant(
            SIMULATION,
            (*SIMULATION_PROGRAMS, "bin/mpirun", "tools/setup"),
            ("tools/scale", "tools/launches.sh", "tools/simulation.sh", "src/simulate/platforms"),
        )
        (self.top / "results/ordering/reference").mkdir(parents=True)
        (self.top / "results/ordering/reference/manifest.json").touch()

    def scale(self, *arguments: str, failing: str = "", probe: str = _PROBE, together: str = "") -> tuple[int, str, list[str]]:
        """As call()."""
        return self.call("tools/scale", *arguments, FAILING=failing, PROBE=probe, TOGETHER=together, MPIRUN="mpirun")

    def test_kernels_are_measured_once_and_everything_is_simulated(self) -> None:
        status, output, calls = self.scale("--jobs", "1")
        self.assertEqual(status, 0, output)
        study = self.top / "results/scale/study"
        tasks = {"home_1gbit": "", "ethernet_10gbit": "_weak", "fat_tree_100gbit": "_weak", "original": ""}
        directories = [name + task for name, beside in tasks.items() for task in dict.fromkeys(("", "_decode", "_layer", beside))]
        simulated = [call for call in calls if call.startswith("simulate_attention")]
        self.assertEqual([call.split("--output ")[1].split()[0] for call in simulated], [
            str(study / name) for name in ("this_machine", *directories, "published", "published_original")
        ])  # fmt: skip
        self.assertEqual([call.split("--experiment ")[1].split()[0] for call in simulated[1:4]], [
            f"experiments/scale/{task}.yaml" for task in ("map", "decode", "layer")
        ])  # fmt: skip
        self.assertIn("--experiment experiments/ordering.yaml", simulated[0])
        self.assertNotIn("--join-heads", simulated[0])
        self.assertNotIn("--profile", simulated[1])
        self.assertNotIn("--draws", simulated[0])
        for call in simulated[1:-2]:
            self.assertEqual("--draws 20" in call, "weak.yaml" not in call, call)
            self.assertEqual("--profile large" in call, "weak.yaml" not in call and "home_1gbit" not in call, call)
        self.assertIn(f"--calibration {study}/calibration_avx512.csv", simulated[-2])
        self.assertIn(f"--calibration {study}/calibration_avx2_52_threads.csv", simulated[-1])
        self.assertIn("--experiment experiments/scale/published_original.yaml", simulated[-1])
        self.assertIn(f"--calibration {study}/calibration_avx2.csv", simulated[1])
        self.assertIn(f"--calibration {study}/calibration_avx512.csv", simulated[4])
        # Twice for each instruction set; rows of memory once.
        self.assertEqual(sum(call.startswith("write_calibration") for call in calls), 4)
        self.assertEqual((study / "calibration_avx2.csv").read_text(), "# a CPU\nwork,...\nfull,1\ncopy,2\nproduct,3\nfull,1\n")
        machine = (study / "this_machine.yaml").read_text()
        self.assertIn("isa: avx512\nwithin_node: {gb_per_s: 6.4, latency_us: 1.5}\n", machine)
        tables = [line for line in output.splitlines() if line.startswith("table of ")]
        self.assertEqual(tables[1], "table of analysis/scale_map.py " + " ".join(str(study / name) for name in directories))
        self.assertTrue(tables[0].startswith("table of analysis/validation.py ") and tables[0].endswith(f" {study}/this_machine"), output)

    def test_several_at_once(self) -> None:
        # Each waits for another one.
        status, output, calls = self.scale("--only", "home_1gbit", "--jobs", "3", together="3")
        self.assertEqual(status, 0, output)
        self.assertEqual(sum("--join-heads" in call for call in calls), 3)
        status, output, _ = self.scale("--only", "home_1gbit", "--jobs", "2", "--output", str(self.top / "new"), failing="decode.yaml")
        self.assertEqual(status, 1, output)
        self.assertIn("table of analysis/scale_map.py", output)

    def test_an_order_to_stop_reaches_all_of_them(self) -> None:
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            pids = self.top / f"pids{status}"
            pids.touch()
            process = self.start("tools/scale", "--only", "home_1gbit", "--jobs", "2", PIDS=str(pids), PROBE=_PROBE, MPIRUN="mpirun")
            deadline = time.monotonic() + 60
            while len(pids.read_text().split()) < 2:
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, status)
            # They were waited for.
            self.assertEqual([pid for pid in pids.read_text().split() if pathlib.Path(f"/proc/{pid}").exists()], [])

    def test_what_is_there_is_not_made_again(self) -> None:
        self.scale()
        status, _, calls = self.scale()
        self.assertEqual(status, 0)
        self.assertEqual([call for call in calls if call.startswith(("write_calibration", "mpirun"))], [])
        self.assertTrue(all("--resume" in call for call in calls if call.startswith("simulate_attention")))

    def test_some_platforms_or_none(self) -> None:
        _, output, calls = self.scale("--only", "original,home_1gbit")
        self.assertEqual(sum(call.startswith("simulate_attention") for call in calls), 8, output)
        self.assertFalse(any("weak" in call for call in calls))
        status, output, calls = self.scale("--only", "none", "--output", str(self.top / "elsewhere"))
        self.assertEqual((status, sum(call.startswith("simulate_attention") for call in calls)), (0, 1), output)
        self.assertTrue(output.splitlines()[-1].startswith("table of analysis/validation.py "), output)
        # Nothing of the earlier call is shown.
        _, output, _ = self.scale("--only", "none")
        self.assertNotIn("scale_map.py", output)

    def test_what_fails_is_said(self) -> None:
        for failing, complaint in (
            ("bazel", "scale: the build failed"),
            ("write_calibration", "scale: the calibration failed"),
            ("mpirun", "scale: the probe failed"),
            ("simulate_attention", "scale: the simulation failed"),
            ("python", "scale: simulated times were not compared with measured ones"),
        ):
            with self.subTest(failing):
                shutil.rmtree(self.top / "results/scale", ignore_errors=True)
                status, output, _ = self.scale(failing=failing)
                self.assertEqual(status, 1, output)
                self.assertIn(complaint, output)
                self.assertEqual(list((self.top / "results").glob("scale/study/calibration_*.csv")) != [], failing in (
                    "simulate_attention", "python"
                ))  # fmt: skip

    def test_bad_usage(self) -> None:
        for arguments, complaint in (
            (("--only", "moon"), "scale: no platform 'moon'; there are: home_1gbit ethernet_10gbit"),
            (("--only", ".*"), "scale: no platform '.*'"),
            (("--measured", "nowhere"), "nowhere holds no run (no manifest.json)"),
            (("--output",), "scale: --output needs a value"),
            (("--draws", "x"), "scale: --draws takes 0, or a whole number from 2 to 1000, not 'x'"),
            (("--jobs", "0"), "scale: --jobs takes a whole number from 1 to 999, not '0'"),
            (("--draws", "1001"), "scale: --draws takes 0, or a whole number from 2 to 1000"),
            (("--fast",), "scale: unknown argument '--fast'"),
        ):
            status, output, calls = self.scale(*arguments)
            self.assertEqual((status, calls), (2, []), output)
            self.assertIn(complaint, output)
        status, output, _ = self.scale(probe="nothing")
        self.assertEqual(status, 1)
        self.assertIn("scale: the probe's answer was not understood", output)


if __name__ == "__main__":
    unittest.main()
