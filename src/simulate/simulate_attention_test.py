"""A small experiment simulated from the command line: rows, their platform, times that add up, complaints in one line."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

HERE = Path("src/simulate")
PLATFORM = HERE / "testing/platform.yaml"
CALIBRATION = HERE / "testing/calibration.csv"

EXPERIMENT = """name: small
title: test
model: {name: tiny, heads: 4, kv_heads: 2, head_dim: 8}
grid:
  variant: [sequence+online_softmax, headwise+online_softmax, headwise+standard]
  contract: [native]
  seq_len: [4096]
  causal: [false]
  ranks: [1, 8]
  isa: [scalar]
exclude:
  - {variant: [headwise+online_softmax, headwise+standard], ranks: 8}
measure: {rounds: 1}
"""

LAYER = """name: small
model: qwen3-0.6b
scope: layer
grid:
  variant: [sequence+online_softmax, headwise+online_softmax]
  seq_len: [64]
  causal: [false]
  ranks: [1, 8]
  isa: [scalar]
measure: {rounds: 1}
"""

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE = 1024, 16, 8, 128, 3072  # of that model


class Part(NamedTuple):
    """Of a rank's work: on a core of the test's calibration, and the bytes of memory it goes through."""

    seconds: float
    bytes: float


def product(rows: int, inputs: int, outputs: int) -> Part:
    return Part(rows * inputs * outputs * 1e-9, 4 * (inputs * outputs + rows * (inputs + outputs)))


def row_work(floats: int, seconds_per_byte: float, passes: float = 2) -> Part:
    return Part(4 * floats * seconds_per_byte, 4 * floats * passes)


def block(rows: int, keys: int, parts: int = 1) -> list[Part]:
    """The attention block over `keys` keys, of one of so many equal parts of its heads."""
    heads, kv_heads = HEADS // parts, KV_HEADS // parts
    return [
        product(rows, HIDDEN, (heads + 2 * kv_heads) * HEAD_DIM),
        row_work(rows * heads * HEAD_DIM, 2e-10),
        row_work(rows * 2 * kv_heads * HEAD_DIM, 5e-10),
        Part(heads * rows * keys * 1e-7, 4 * HEAD_DIM * (2 * heads * rows + 2 * kv_heads * keys)),
        product(rows, heads * HEAD_DIM, HIDDEN),
    ]


def layer(rows: int, keys: int, parts: int = 1) -> list[Part]:
    """All of it."""
    norm, intermediate = row_work(rows * HIDDEN, 1e-10), INTERMEDIATE // parts
    return [
        norm, *block(rows, keys, parts), norm, product(rows, HIDDEN, 2 * intermediate),
        row_work(rows * 2 * intermediate, 3e-10, 1.5), product(rows, intermediate, HIDDEN),
    ]  # fmt: skip


def seconds_of(parts: list[Part]) -> float:
    return sum(part.seconds for part in parts)


class SimulateAttentionTest(unittest.TestCase):
    """The program as a user calls it."""

    def setUp(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.directory = Path(self.place.name)
        self.experiment = self.directory / "small.yaml"
        self.experiment.write_text(EXPERIMENT, encoding="utf-8")

    def call(self, *options: str, platform: Path = PLATFORM, output: str = "run") -> subprocess.CompletedProcess[str]:
        """Into a run directory."""
        command = [str(HERE / "simulate_attention"), "--experiment", str(self.experiment), "--platform", str(platform)]
        command += ["--output", str(self.directory / output), *options]
        if "--calibration" not in options:
            command += ["--calibration", str(CALIBRATION)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    def rows(self, name: str, output: str = "run") -> list[dict[str, str]]:
        """Of a file of the run directory."""
        with open(self.directory / output / name, encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    def test_rows(self) -> None:
        """One rank takes what the calibration says; eight an eighth, and the messages that hide behind it."""
        done = self.call()
        self.assertEqual(done.returncode, 0, done.stderr)
        digest = hashlib.sha256(PLATFORM.read_bytes()).hexdigest()
        rows = self.rows("cases.csv")
        self.assertEqual(len(rows), 4)
        for row in rows:
            self.assertEqual((row["backend"], row["status"]), ("simulated", "ok"), row["message"])
            self.assertIn(digest[:12], row["message"])
        one = [float(row["time_median_s"]) for row in rows if row["ranks"] == "1"]
        # 4 heads, 1e-7 s a pair: the test's calibration.
        for seconds in one:
            self.assertAlmostEqual(seconds / (4 * 4096**2 * 1e-7), 1, delta=1e-6)
        (eight,) = (row for row in rows if row["ranks"] == "8")
        self.assertEqual(eight["nodes"], "4")
        self.assertAlmostEqual(float(eight["compute_s"]) / (one[0] / 8), 1, delta=1e-6)
        self.assertAlmostEqual(float(eight["time_median_s"]) / (one[0] / 8), 1, delta=1e-3)
        # K and V of 7 of 8 shards: 2 heads x 512 tokens x 8 floats each.
        self.assertEqual(int(eight["comm_bytes_per_rank"]), 7 * 2 * 2 * 512 * 8 * 4)
        self.assertEqual(len(self.rows("samples.csv")), 4)
        manifest = json.loads((self.directory / "run/manifest.json").read_text(encoding="utf-8"))
        (launch,) = manifest["launches"]
        self.assertEqual(launch["platform"], {"name": "round_numbers", "sha256": digest})
        self.assertEqual(launch["exit_status"], 0)

    def test_what_the_cost_model_says_of_it(self) -> None:
        """Beside every case of several ranks: the same where all hides, and where links are all there is."""
        slow = self.directory / "slow.yaml"
        text = PLATFORM.read_text(encoding="utf-8")
        slow.write_text(text.replace("gb_per_s: 1,", "gb_per_s: 0.0001,").replace("latency_us: 10}", "latency_us: 0.1}"), encoding="utf-8")
        for platform, ring_s in ((PLATFORM, None), (slow, 7 * 2 * 2 * 512 * 8 * 4 / 1e5)):
            self.experiment.write_text(EXPERIMENT, encoding="utf-8")
            done = self.call(platform=platform, output=platform.stem)
            self.assertEqual(done.returncode, 0, done.stderr)
            manifest = json.loads((self.directory / platform.stem / "manifest.json").read_text(encoding="utf-8"))
            predictions = manifest["launches"][0]["predictions"]
            (row,) = (row for row in self.rows("cases.csv", platform.stem) if row["ranks"] == "8")
            self.assertEqual(list(predictions), [row["case"]])
            (found,) = predictions.values()
            self.assertAlmostEqual(found["predicted_s"] / float(row["time_median_s"]), 1, delta=0.01)
            self.assertAlmostEqual(found["compute_s"] / float(row["compute_s"]), 1, delta=1e-6)
            if ring_s is not None:
                self.assertAlmostEqual(found["exchange_s"] / ring_s, 1, delta=0.01)
                self.assertGreater(found["predicted_s"], 1.5 * found["compute_s"])

    def test_draws(self) -> None:
        """A sample for each machine, the same machines for every case; links do not matter to one rank, kernels do to all."""
        self.assertEqual(self.call(output="once").returncode, 0)
        done = self.call("--draws", "5", output="drawn")
        self.assertEqual(done.returncode, 0, done.stderr)
        once = {row["case"]: float(row["time_s"]) for row in self.rows("samples.csv", "once")}
        times: dict[str, list[float]] = {}
        for row in self.rows("samples.csv", "drawn"):
            self.assertEqual(row["round"], str(len(times.setdefault(row["case"], []))))
            times[row["case"]].append(float(row["time_s"]))
        self.assertEqual({case: values[0] for case, values in times.items()}, once)
        for row in self.rows("cases.csv", "drawn"):
            values = times[row["case"]]
            self.assertEqual((row["rounds"], len(values), len(set(values))), ("6", 6, 6))
            self.assertAlmostEqual(float(row["time_median_s"]) / values[0], 1, delta=1e-8)
            self.assertEqual(row["time_low_s"], row["time_high_s"])
            # Cores by 5 % and kernels by 3 %, together 5.8 %; five times that.
            self.assertTrue(all(abs(math.log(value / values[0])) < 5 * 0.058 for value in values), values)
        manifest = json.loads((self.directory / "drawn/manifest.json").read_text(encoding="utf-8"))
        self.assertEqual(manifest["launches"][0]["draws"], 5)
        self.assertEqual(
            manifest["launches"][0]["uncertainty"], {"core_speed": 0.05, "kernels": 0.03, "gb_per_s": 0.1, "latency_us": 0.3}
        )
        # One rank of the same algorithm takes the same steps, whatever it is called.
        one = {row["variant"]: times[row["case"]] for row in self.rows("cases.csv", "drawn") if row["ranks"] == "1"}
        self.assertEqual(one["sequence+online_softmax"], one["headwise+online_softmax"])
        self.assertNotEqual(one["headwise+standard"][1:], one["headwise+online_softmax"][1:])
        for draws in ("-1", "1", "1001", "x", "1.5"):
            refused = self.call(f"--draws={draws}", output="refused")
            self.assertEqual((refused.returncode, refused.stderr), (2, "simulate_attention: --draws takes 0, or a whole number from 2 to 1000\n"))
        refused = self.call("--draws", "4", "--resume", output="drawn")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("draws", refused.stderr)

    def test_joined_heads_cost_as_much(self) -> None:
        """The same bytes in fewer messages, so less of them is latency; nothing else differs."""
        # A head's keys of a rank are 128 KiB: messages of their own, unless heads are joined.
        self.experiment.write_text(EXPERIMENT.replace("[4096]", "[32768]"), encoding="utf-8")
        self.assertEqual(self.call(output="apart").returncode, 0)
        self.assertEqual(self.call("--join-heads", output="joined").returncode, 0)
        for apart, joined in zip(self.rows("cases.csv", "apart"), self.rows("cases.csv", "joined")):
            self.assertEqual(apart["comm_bytes_per_rank"], joined["comm_bytes_per_rank"])
            self.assertAlmostEqual(float(apart["time_median_s"]) / float(joined["time_median_s"]), 1, delta=1e-3)
            if apart["ranks"] == "8":
                self.assertLess(float(joined["comm_total_s"]), float(apart["comm_total_s"]))

    def test_a_written_calibration_is_read(self) -> None:
        """write_calibration's file fits simulate_attention, and what it cannot measure it refuses."""
        options = "--isa scalar --head-dim 8 --groups 2 --queries 1,4 --keys 1,4 --bytes 1024 --seconds 0".split()
        options += ["--inputs", "8", "--weight-bytes", "4096"]
        options += ["--algorithms", "online_softmax,standard"]
        command = [str(HERE / "write_calibration"), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        written = self.directory / "calibration.csv"
        written.write_text(done.stdout, encoding="utf-8")
        self.assertEqual(self.call("--calibration", str(written)).returncode, 0)
        for threads in ("", "0", "1,2", "4294967297"):
            refused = subprocess.run([*command, "--threads", threads], capture_output=True, text=True, check=False, timeout=100)
            self.assertEqual(refused.returncode, 2, threads)
            self.assertIn("a whole number from 1 to 4096", refused.stderr)

    def layer_calibration(self) -> Path:
        """The test's, for the heads of Qwen3."""
        path = self.directory / "layer.csv"
        path.write_text(CALIBRATION.read_text(encoding="utf-8").replace(",8,2,", ",128,2,"), encoding="utf-8")
        return path

    def test_layer(self) -> None:
        """A layer takes what its products, its rows, its attention and its sums over ranks do."""
        self.experiment.write_text(LAYER, encoding="utf-8")
        done = self.call("--calibration", str(self.layer_calibration()))
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = self.rows("cases.csv")
        times = {(row["ranks"], row["strategy"]): float(row["time_median_s"]) for row in rows}
        sent = {(row["ranks"], row["strategy"]): int(row["comm_bytes_per_rank"]) for row in rows}
        one = seconds_of(layer(64, 64))
        for strategy in ("sequence", "headwise"):
            self.assertAlmostEqual(times["1", strategy] / one, 1, delta=1e-6)
            self.assertEqual(sent["1", strategy], 0)
        # Twice a sum of all hidden states: parts of an eighth from and to each, added, then the sums.
        self.assertEqual(sent["8", "headwise"], 2 * 2 * 7 * 64 * HIDDEN // 8 * 4)
        self.assertGreater(times["8", "headwise"], seconds_of(layer(64, 64, parts=8)))
        self.assertEqual(sent["8", "sequence"], 7 * 2 * KV_HEADS * 64 // 8 * HEAD_DIM * 4)
        self.assertGreater(times["8", "sequence"], one / 8 * (1 - 1e-6))
        self.assertLess(times["8", "sequence"], one / 8 * 1.05)

    def test_where_links_cost_nothing(self) -> None:
        """Head-wise ranks take what their parts do, prefill and decode, and the additions of two sums."""
        links = PLATFORM.read_text(encoding="utf-8")
        for old in ("gb_per_s: 4, latency_us: 1}", "gb_per_s: 1, latency_us: 10}"):
            self.assertIn(old, links)
            links = links.replace(old, "gb_per_s: 1000000, latency_us: 0.0001}")
        fast = self.directory / "fast.yaml"
        fast.write_text(links, encoding="utf-8")
        for phase, rows, added in (("prefill", 64, 64 * HIDDEN // 8), ("decode", 1, HIDDEN)):  # a small sum is every rank's
            text = LAYER.replace("scope: layer", f"scope: layer\nphase: {phase}").replace("[1, 8]", "[8]")
            self.experiment.write_text(text.replace("sequence+online_softmax, ", ""), encoding="utf-8")
            done = self.call("--calibration", str(self.layer_calibration()), platform=fast, output=phase)
            self.assertEqual(done.returncode, 0, done.stderr)
            (row,) = self.rows("cases.csv", phase)
            expected = seconds_of(layer(rows, 64, parts=8)) + 2 * (8 + 1) * added * 4 * 4e-10
            self.assertAlmostEqual(float(row["time_median_s"]) / expected, 1, delta=1e-4)

    def test_memory_bounds_what_it_is_slower_than(self) -> None:
        """Of a layer and of its block alone, each part takes the later of its core and the node's memory."""
        bytes_per_second = 0.5e9
        text = PLATFORM.read_text(encoding="utf-8") + "memory_gb_per_s: 0.5\n"
        slow = self.directory / "slow.yaml"
        slow.write_text(text, encoding="utf-8")
        for scope, tokens, parts in (("layer", 4, layer(4, 4)), ("block", 64, block(64, 64))):
            bound = [part.bytes / bytes_per_second > part.seconds for part in parts]
            self.assertEqual((any(bound), all(bound)), (True, tokens == 4))
            text = LAYER.replace("scope: layer", f"scope: {scope}").replace("[64]", f"[{tokens}]").replace("[1, 8]", "[1]")
            self.experiment.write_text(text, encoding="utf-8")
            done = self.call("--calibration", str(self.layer_calibration()), platform=slow, output=scope)
            self.assertEqual(done.returncode, 0, done.stderr)
            expected = sum(max(part.seconds, part.bytes / bytes_per_second) for part in parts)
            for row in self.rows("cases.csv", scope):
                self.assertAlmostEqual(float(row["time_median_s"]) / expected, 1, delta=1e-6)

    def test_what_a_layer_needs(self) -> None:
        """Products and rows that were measured, types that were, less than a model."""
        whole = self.layer_calibration()
        plain = self.directory / "plain.csv"
        lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
        for without, said in (("product", "the calibration has no products of scalar fp32 threads 1"), ("keep", "has nothing for keep")):
            plain.write_text("".join(line for line in lines if not line.startswith(without)), encoding="utf-8")
            self.experiment.write_text(LAYER, encoding="utf-8")
            refused = self.call("--calibration", str(plain))
            self.assertEqual(refused.returncode, 2)
            self.assertIn(said, refused.stderr)
        for change, said in (
            ("scope: model\ngrid:", "scope model cannot be simulated; valid scopes: attention, block, layer"),
            ("scope: layer\ngrid:\n  kv_cache: [int8]", "kv_cache int8 cannot be simulated"),
            ("scope: layer\ngrid:\n  threads: [2]", "threads 2 of scope layer cannot be simulated"),
            ("scope: layer\ndtype: bf16\ngrid:\n  activations: [fp32]", "activations fp32 on weights of bf16 cannot be simulated"),
        ):
            self.experiment.write_text(LAYER.replace("[false]", "[true]").replace("scope: layer\ngrid:", change), encoding="utf-8")
            refused = self.call("--calibration", str(whole))
            self.assertEqual((refused.returncode, refused.stderr.count("\n")), (2, 1), refused.stderr)
            self.assertIn(said, refused.stderr)

    def test_resume(self) -> None:
        """What is there is not simulated again; another platform is refused."""
        self.assertEqual(self.call().returncode, 0)
        again = self.call("--resume")
        self.assertEqual((again.returncode, again.stdout), (0, ""))
        self.assertEqual(len(self.rows("cases.csv")), 4)
        other = self.directory / "other.yaml"
        other.write_text(PLATFORM.read_text(encoding="utf-8").replace("gb_per_s: 1,", "gb_per_s: 2,"), encoding="utf-8")
        refused = self.call("--resume", platform=other)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("platform", refused.stderr)

    def test_complaints(self) -> None:
        """One line that says what and where, and nothing run."""
        text = self.experiment.read_text(encoding="utf-8")
        for changes, said in (
            ({"[1, 8]": "[1, 64]", "ranks: 8": "ranks: 64"}, "do not fit on platform round_numbers"),
            ({"head_dim: 8": "head_dim: 16"}, "the calibration has no full steps"),
            ({"rounds: 1": "rounds: x"}, "small.yaml:"),
        ):
            with self.subTest(said):
                changed = text
                for old, new in changes.items():
                    changed = changed.replace(old, new)
                self.experiment.write_text(changed, encoding="utf-8")
                done = self.call()
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertFalse((self.directory / "run").exists())


if __name__ == "__main__":
    unittest.main()
