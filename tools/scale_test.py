"""./reproduce scale: what is measured and simulated, in which order, and how it goes on; all that it runs is stood in for."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

_ROOT = pathlib.Path.cwd()  # of the runfiles
# Writes down how it was called, says what is asked of it, and leaves a manifest in its --output.
_STAND_IN = """\
#!/bin/bash
name=${0##*/}
echo "$name $*" >>"$CALLS"
if [ "$name" = "${FAILING:-}" ]; then exit 1; fi
case $name in
  mpirun) echo "$PROBE" ;;
  write_calibration) printf '# a CPU\\nwork,...\\nfull,1\\ncopy,2\\n' ;;
  simulate_attention)
    while [ $# -gt 0 ]; do
      if [ "$1" = --output ]; then mkdir -p "$2"; touch "$2/manifest.json"; fi
      shift
    done
    ;;
  python) echo "table of $1" ;;
esac
"""
_PROBE = "model qwen3-0.6b, scope attention, activations fp32,\n  kv_cache fp32, isa\n  avx512, batch 1\nmeasured here: links 1.5 us and 3.2 GB/s, of which 40 % hides; kernels 100 to 200 GFLOP/s by shape"


class ScaleTest(unittest.TestCase):
    """The script in a tree of stand-ins."""

    def setUp(self) -> None:
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="scale"))
        self.addCleanup(shutil.rmtree, scratch)
        self.top = scratch / "top"
        programs = ("simulate/simulate_attention", "simulate/write_calibration", "benchmark_qwen3")
        for name in ("python", "bin/bazel", "bin/mpirun", "tools/setup", *(f"bazel-bin/src/{name}" for name in programs)):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_STAND_IN, encoding="utf-8")
            path.chmod(0o755)
        for name in ("scale", "launches.sh", "simulation.sh"):
            shutil.copy(_ROOT / "tools" / name, self.top / "tools")
        machines = self.top / "src/simulate/platforms"
        shutil.copytree(_ROOT / "src/simulate/platforms", machines)
        (self.top / "results/ordering/reference").mkdir(parents=True)
        (self.top / "results/ordering/reference/manifest.json").touch()
        self.calls = scratch / "calls"

    def scale(self, *arguments: str, failing: str = "", probe: str = _PROBE) -> tuple[int, str, list[str]]:
        """Exit status, what was printed, calls."""
        self.calls.write_text("", encoding="utf-8")
        places = {"CALLS": str(self.calls), "FAILING": failing, "PROBE": probe, "PYTHON": str(self.top / "python"), "MPIRUN": "mpirun"}
        done = subprocess.run(
            [str(self.top / "tools/scale"), *arguments],
            env=os.environ | places | {"PATH": f"{self.top / 'bin'}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, self.calls.read_text(encoding="utf-8").splitlines()

    def test_kernels_are_measured_once_and_everything_is_simulated(self) -> None:
        status, output, calls = self.scale()
        self.assertEqual(status, 0, output)
        study = self.top / "results/scale/study"
        simulated = [call for call in calls if call.startswith("simulate_attention")]
        self.assertEqual([call.split("--output ")[1].split()[0] for call in simulated], [
            str(study / name) for name in ("this_machine", "home_1gbit", "ethernet_10gbit", "fat_tree_100gbit", "original")
        ])  # fmt: skip
        self.assertIn("--experiment experiments/ordering.yaml", simulated[0])
        self.assertNotIn("--join-heads", simulated[0])
        self.assertNotIn("--profile", simulated[1])
        self.assertNotIn("--draws", simulated[0])
        for call in simulated[1:]:
            self.assertIn("--draws 20", call)
        self.assertIn("--profile large", simulated[2])
        self.assertIn(f"--calibration {study}/calibration_avx2.csv", simulated[1])
        self.assertIn(f"--calibration {study}/calibration_avx512.csv", simulated[2])
        # Twice for each instruction set; rows of memory once.
        self.assertEqual(sum(call.startswith("write_calibration") for call in calls), 4)
        self.assertEqual((study / "calibration_avx2.csv").read_text(), "# a CPU\nwork,...\nfull,1\ncopy,2\nfull,1\n")
        machine = (study / "this_machine.yaml").read_text()
        self.assertIn("isa: avx512\nwithin_node: {gb_per_s: 6.4, latency_us: 1.5}\n", machine)
        self.assertTrue(output.endswith("table of analysis/validation.py\ntable of analysis/scale_map.py\n"), output)

    def test_what_is_there_is_not_made_again(self) -> None:
        self.scale()
        status, _, calls = self.scale()
        self.assertEqual(status, 0)
        self.assertEqual([call for call in calls if call.startswith(("write_calibration", "mpirun"))], [])
        self.assertTrue(all("--resume" in call for call in calls if call.startswith("simulate_attention")))

    def test_some_platforms_or_none(self) -> None:
        _, output, calls = self.scale("--only", "original,home_1gbit")
        self.assertEqual(sum(call.startswith("simulate_attention") for call in calls), 3, output)
        status, output, calls = self.scale("--only", "none", "--output", str(self.top / "elsewhere"))
        self.assertEqual((status, sum(call.startswith("simulate_attention") for call in calls)), (0, 1), output)
        self.assertTrue(output.endswith("table of analysis/validation.py\n"), output)
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
