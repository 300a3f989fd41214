"""over_links: the benchmark across two hosts, and a link that costs what physics says."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE / "testing")]

from box_fixture import BoxTestCase  # noqa: E402

_EXPERIMENT = """\
name: links
model: {heads: 8, kv_heads: 8, head_dim: 64}
scope: attention
phase: prefill
grid:
  variant: [sequence(allgather)+online_softmax, headwise+online_softmax]
  contract: [native]
  seq_len: [1024]
  causal: [true]
  ranks: [1, 2]
  threads: [1]
  isa: [auto]
measure: {warmup: 1, rounds: 5, cache: warm, data: gaussian, seed: 1, max_seconds_per_cell: 60}
accuracy: {reference_rows: 4}
"""
_BYTES_PER_SECOND = 200e6 / 8
_BUCKET_BYTES = 128 * 1024  # pass at full speed, at each end of the link


class OverLinksTest(BoxTestCase):
    def test_two_links(self) -> None:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="links-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", str(directory)], check=False)
        experiment = directory / "links.yaml"
        experiment.write_text(_EXPERIMENT)
        binary = str(pathlib.Path(os.environ["BENCHMARK_BINARY"]).resolve())
        output = directory / "out"
        result = subprocess.run(
            [_HERE / "over_links", str(experiment), "--links", "unshaped,200mbit", "--output", str(output)],
            env=self.environment() | {"ATTENTION_BINARY": binary},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        table = (output / "crossovers.md").read_text()
        self.assertTrue(table.startswith("| ranks | unshaped | 200mbit |\n"), table)
        self.assertIn(">200mbit<", (output / "regimes.svg").read_text())
        efficiency = (output / "efficiency.md").read_text().splitlines()
        self.assertEqual([line.split(" | ")[0] for line in efficiency[2:]], ["| unshaped"] * 2 + ["| 200mbit"] * 2, efficiency)
        for link in ("unshaped", "200mbit"):
            (launch,) = json.loads((output / link / "manifest.json").read_text())["launches"]
            self.assertEqual([host["host"] for host in launch["hosts"]], ["node0", "node1"])
        with open(output / "200mbit" / "cases.csv", encoding="utf-8", newline="") as file:
            cases = list(csv.DictReader(file))
        self.assertEqual([case["status"] for case in cases], ["ok"] * 4)
        for case in (case for case in cases if case["ranks"] == "2"):
            sent = float(case["comm_bytes_per_rank"])
            self.assertGreater(sent, 4 * _BUCKET_BYTES, "too little to be limited by the link")
            fastest = (sent - 2 * _BUCKET_BYTES) / _BYTES_PER_SECOND
            self.assertGreaterEqual(float(case["comm_total_s"]), fastest, case["variant"])


if __name__ == "__main__":
    unittest.main()
