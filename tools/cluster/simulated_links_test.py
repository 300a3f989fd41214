"""simulated_links: what is probed, measured and simulated, in which order, and how it goes on; all that it runs is stood in for."""

from __future__ import annotations

import shutil
import unittest

from tools.testing.stand_in_tree import SIMULATION, SIMULATION_PROGRAMS, StandInTree

_PROBE = "model qwen3-0.6b, isa avx2, batch 1\nmeasured here: links 45.2 us and 0.117 GB/s, of which 80 % hides; kernels 100 to 200 GFLOP/s"


class SimulatedLinksTest(StandInTree):
    def setUp(self) -> None:
        self.plant(
            SIMULATION,
            (*SIMULATION_PROGRAMS, "tools/cluster/cluster", "tools/cluster/over_links"),
            ("tools/cluster/simulated_links", "tools/launches.sh", "tools/simulation.sh"),
        )
        self.output = self.top / "results/scale/links"

    def links(self, *arguments: str, failing: str = "", probe: str = _PROBE) -> tuple[int, str, list[str]]:
        """As call()."""
        return self.call("tools/cluster/simulated_links", *arguments, FAILING=failing, PROBE=probe)

    def test_links_are_probed_measured_and_simulated(self) -> None:
        status, output, calls = self.links("--links", "unshaped,1gbit")
        self.assertEqual(status, 0, output)
        names = [call.split()[0] for call in calls]
        self.assertEqual([names.count(name) for name in ("cluster", "over_links", "simulate_attention", "write_calibration")], [2, 2, 4, 2])
        # Nothing is simulated between what is measured.
        self.assertLess(max(i for i, name in enumerate(names) if name == "over_links"), names.index("simulate_attention"))
        platform = (self.output / "1gbit.yaml").read_text(encoding="utf-8")
        self.assertIn("name: 1gbit\n", platform)
        self.assertIn("isa: avx2\n", platform)
        self.assertIn("network: {gb_per_s: 0.117, latency_us: 45.2}\n", platform)
        simulated = [call for call in calls if call.startswith("simulate_attention")]
        self.assertIn("--experiment experiments/scale/links_decode.yaml", simulated[3])
        self.assertIn(f"--platform {self.output}/1gbit.yaml", simulated[3])
        runs = [f"{self.output / part}/links_decode/1gbit" for part in ("measured", "simulated")]
        self.assertIn(f"table of analysis/validation.py {runs[0]} {runs[1]}\n", output)
        self.assertEqual(output.count("### "), 4)
        self.assertTrue(output.endswith((self.output / "validation.md").read_text(encoding="utf-8")))

    def test_what_is_there_is_not_made_again(self) -> None:
        self.links("--links", "unshaped")
        status, output, calls = self.links("--links", "unshaped")
        self.assertEqual(status, 0, output)
        self.assertEqual([call for call in calls if call.startswith(("write_calibration", "cluster"))], [])
        self.assertTrue(all("--resume" in call for call in calls if call.startswith("simulate_attention")))

    def test_what_fails_is_said(self) -> None:
        for failing, complaint in (
            ("bazel", "simulated_links: the build failed"),
            ("cluster", "simulated_links: the probe failed"),
            ("over_links", "simulated_links: the measurement of links failed"),
            ("write_calibration", "simulated_links: the calibration failed"),
            ("simulate_attention", "simulated_links: the simulation of links on unshaped failed"),
            ("python", "simulated_links: the comparison failed"),
        ):
            with self.subTest(failing):
                shutil.rmtree(self.output, ignore_errors=True)
                self.output.mkdir(parents=True)
                (self.output / "validation.md").write_text("of another time", encoding="utf-8")
                status, output, _ = self.links(failing=failing)
                self.assertEqual(status, 1, output)
                self.assertIn(complaint, output)
                self.assertEqual((self.output / "validation.md").exists(), failing == "bazel")
        status, output, _ = self.links("--output", str(self.top / "new"), probe="nothing")
        self.assertEqual(status, 1)
        self.assertIn("simulated_links: the probe's answer was not understood", output)

    def test_bad_usage(self) -> None:
        for arguments, complaint in (
            (("--links", "fast"), "simulated_links: --links takes unshaped and rates such as 10gbit or 100mbit, separated by commas, not 'fast'"),
            (("--output",), "simulated_links: --output needs a value"),
            (("links",), "simulated_links: unknown argument 'links'"),
        ):
            status, output, calls = self.links(*arguments)
            self.assertEqual((status, calls), (2, []), output)
            self.assertIn(complaint, output)


if __name__ == "__main__":
    unittest.main()
