"""A race between stand-ins: what is asked of either side, in which order, what is kept, and what stops it."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from peers.model_race import race
from peers.model_race.columns import COLUMNS, Column, Way, columns_named, shorter, tried_for, way_named, ways_of
from peers.model_race.ours import experiment
from peers.model_race.summary import LLAMA, OURS, Sample, read_samples, results, table

# Flash attention takes twice as long, a whole prompt at once half; with it bfloat16 keys are refused and float32 ones are the end;
# the AVX2 build loses.
_WORKER = """\
import json, sys
calls = open({calls!r}, "a")
build = sys.argv[4] if len(sys.argv) > 4 else ""
print(json.dumps({{"version": "{version}", "system": "a CPU"}}), flush=True)
way = {{}}
for line in sys.stdin:
    request = json.loads(line)
    print("llama.cpp", build, line.strip(), file=calls, flush=True)
    answer = {{"peak_rss_bytes": 3 << 20}}
    if request["do"] == "way":
        way = request
        if way["flash"] and way["kv"] == "bf16":
            answer = {{"error": "no such context"}}
        if way["flash"] and way["kv"] == "f32":
            sys.exit(6)
    elif request["do"] == "losses":
        answer["nats"] = [1.0] * (len(request["ids"]) - 2) + [1.0 + {apart}]
    elif request["do"] == "greedy":
        answer["ids"] = [request["ids"][0]] * request["count"]
    else:
        seconds = request["tokens"] * (2 if way["flash"] else 1) * (0.5 if way["ubatch"] > 512 else 1) * (3 if build else 1) * 0.001
        answer["seconds"] = [seconds] * request["rounds"]
    print(json.dumps(answer), flush=True)
"""
_BENCHMARK = """\
#!/usr/bin/python3
import pathlib, re, sys
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    print("ours", " ".join(arguments), file=calls)
value = lambda name: arguments[arguments.index(name) + 1]
if "--perplexity" in arguments:
    for place, id in enumerate(open(value("--perplexity")).read().split()):
        if place:
            print("token", place, id, 1.0)
elif "--generate" in arguments:
    first = value("--prompt-ids").split(",")[0]
    print("generated " + ",".join([first] * int(value("--generate"))))
else:
    if {measured}:
        sys.exit({measured})
    run = pathlib.Path(value("--output"))
    run.mkdir()
    tokens = int(re.search(r"seq_len: \\[(.*)\\]", pathlib.Path(value("--experiment")).read_text())[1])
    (run / "samples.csv").write_text("time_s\\n" + 3 * (str(tokens * 0.00025) + "\\n"))
sys.exit({status})
"""


class RaceTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name)
        self.calls = self.top / "calls"
        (self.top / "libraries").mkdir()
        (self.top / "libraries/libggml-cpu-haswell.so").touch()
        self.plant()
        for name, value in (("WORKER", self.top / "worker.py"), ("git_state", lambda: {"revision": "1", "dirty": False})):
            patched = mock.patch.object(race, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def plant(self, apart: str = "0.0", status: int = 0, measured: int = 0, version: str = "v1") -> None:
        """The two contestants: their last token's nats apart, exit statuses of all calls and of measurements."""
        (self.top / "worker.py").write_text(_WORKER.format(calls=str(self.calls), apart=apart, version=version))
        (self.top / "benchmark").write_text(_BENCHMARK.format(calls=str(self.calls), status=status, measured=measured))
        (self.top / "benchmark").chmod(0o755)

    def race(self, *arguments: str) -> tuple[int, str, list[str]]:
        """Status, what was printed on both streams, calls."""
        self.calls.write_text("")
        places = {"libraries": "libraries", "benchmark": "benchmark", "weights": "weights", "output": "output"}
        fixed = [part for option, name in places.items() for part in (f"--{option}", str(self.top / name))]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            status = race.main([*fixed, "--shape", "tiny", *arguments])
        return status, printed.getvalue(), self.calls.read_text().splitlines()

    def samples(self) -> list[Sample]:
        return read_samples(self.top / "output/samples.csv")

    def test_logits_then_ways_then_times_in_turn(self) -> None:
        status, printed, calls = self.race("--columns", "fp32_prefill_1024,fp32_decode_128", "--launches", "3")
        self.assertEqual(status, 0, printed)
        self.assertIn("fp32, default,flash=off,kv=f32,ubatch=512: -ln p of 63 tokens at most 0 nats apart", printed)
        self.assertIn("fp32: 5 of 5 greedy texts equal", printed)
        sides = [call.split()[0] for call in calls]
        self.assertIn("--kv-cache fp32 --activations fp32", calls[sides.index("ours")])
        asked = [json.loads(call.split(" ", 2)[2]) for call in calls if call.startswith("llama")]
        tried = [request for request in asked if request.get("rounds") == 3]
        # Everything for each column but what is refused or kills: 2 builds x (flash with f16 + without with 3), one or two batch sizes.
        self.assertEqual(sum(request["do"] == "prefill" for request in tried), 2 * 4 * 2)
        self.assertEqual(sum(request["do"] == "decode" for request in tried), 2 * 4)
        first_launch = next(index for index, call in enumerate(calls) if "--experiment" in call)
        self.assertTrue(all("losses" not in call and "greedy" not in call for call in calls[first_launch:]))
        # The fastest ones race.
        ways = {sample.column: sample.way for sample in self.samples() if sample.contestant == LLAMA}
        self.assertEqual(ways["fp32_prefill_1024"].split(",")[0::3], ["default", "ubatch=1024"])
        self.assertEqual(ways["fp32_decode_128"].split(",")[1], "flash=off")
        samples = self.samples()
        for launch in range(3):
            for column in ("fp32_prefill_1024", "fp32_decode_128"):
                places = {sample.contestant: sample.place for sample in samples if (sample.launch, sample.column) == (launch, column)}
                self.assertEqual(sorted(places.values()), [0, 1])
                self.assertEqual(set(places), {OURS, LLAMA})
        found = {result.column.name: result for result in results(samples)}
        self.assertAlmostEqual(found["fp32_prefill_1024"].ratio.centre, 2.0)
        self.assertAlmostEqual(found["fp32_decode_128"].ratio.centre, 4.0)
        self.assertAlmostEqual(found["fp32_prefill_1024"].ours, 4000.0)
        self.assertAlmostEqual(found["fp32_decode_128"].llama, 1 / 0.128)
        self.assertEqual(found["fp32_decode_128"].llama_rss, 3 << 20)
        self.assertIn("| fp32 | decode | 128 | 31.2 | 7.8 | 4.000 [4.000, 4.000] |", printed)
        agreement = json.loads((self.top / "output/manifest.json").read_text())["agreement"]
        self.assertEqual(agreement[0]["equal_texts"], 5)
        self.assertEqual({entry["way"] for entry in agreement}, {"default,flash=off,kv=f32,ubatch=512"})

    def test_it_goes_on_where_it_was(self) -> None:
        self.race("--columns", "bf16_decode_128", "--launches", "1")
        ways, before = (self.top / "output/ways.csv").read_text(), self.samples()
        # Ours fails in the middle: what llama.cpp measured meanwhile is not kept, as it would be paired with a later time.
        self.plant(measured=1)
        status, printed, _ = self.race("--columns", "bf16_decode_128", "--launches", "2")
        self.assertEqual(status, 1)
        self.assertIn("compare_model: the benchmark failed (status 1), bf16_decode_128", printed)
        self.assertEqual(self.samples(), before)
        self.plant()
        status, printed, calls = self.race("--columns", "bf16_decode_128", "--launches", "2")
        self.assertEqual(status, 0, printed)
        self.assertEqual((self.top / "output/ways.csv").read_text(), ways)
        self.assertEqual(sum("--experiment" in call for call in calls), 1)
        self.assertEqual(self.samples()[: len(before)], before)
        self.assertEqual(sorted({sample.launch for sample in self.samples()}), [0, 1])
        self.assertEqual(len(self.samples()), 2 * (3 + 9))
        # More columns, and no time at all.
        _, printed, calls = self.race("--columns", "bf16_decode_128,bf16_decode_1024", "--launches", "2", "--minutes", "-1")
        self.assertIn("the same command goes on", printed)
        self.assertFalse(any("--experiment" in call for call in calls))
        _, _, calls = self.race("--columns", "bf16_decode_128,bf16_decode_1024", "--launches", "2")
        self.assertEqual(sum("--experiment" in call for call in calls), 2)

    def test_another_race_is_not_gone_on_with(self) -> None:
        self.race("--columns", "fp32_decode_128", "--launches", "1")
        before = self.samples()
        for arguments, complaint in ((("--threads", "1"), "'threads' was 2 and is 1"), (("--shape", "qwen3-0.6b"), "'shape' was tiny")):
            with mock.patch.object(race, "write_checkpoint"):
                status, printed, _ = self.race("--columns", "fp32_decode_128", "--launches", "2", *arguments)
            self.assertEqual(status, 1)
            self.assertIn(complaint, printed)
        self.plant(version="v2")
        self.assertIn("another race: 'llama' was", self.race("--columns", "fp32_decode_128", "--launches", "2")[1])
        self.assertEqual(self.samples(), before)

    def test_other_models_are_not_raced(self) -> None:
        self.plant(apart="0.002")
        status, printed, calls = self.race("--columns", "fp32_decode_128")
        self.assertEqual(status, 1)
        self.assertIn("kv=f32,ubatch=512: 0.002 nats apart, allowed are 0.001: not the same model", printed)
        self.assertFalse(any("--experiment" in call for call in calls))
        status, printed, _ = self.race("--columns", "bf16_decode_128", "--launches", "1", "--output", str(self.top / "bf16"))
        self.assertEqual(status, 0, printed)
        # The last one alone is no number.
        self.plant(apart="float('nan')")
        status, printed, _ = self.race("--columns", "bf16_decode_128")
        self.assertEqual(status, 1)
        self.assertIn("nan nats apart", printed)

    def test_what_fails_is_said_in_a_line(self) -> None:
        self.plant(status=4)
        status, printed, _ = self.race("--columns", "fp32_decode_128")
        self.assertEqual((status, printed), (1, "compare_model: the benchmark failed (status 4): --perplexity, fp32\n"))
        self.plant()
        status, printed, calls = self.race("--columns", "fp32_decode_128", "--ways", str(self.top / "nowhere"))
        self.assertEqual(status, 1)
        self.assertIn("nowhere: no such file; --ways takes", printed)
        self.assertFalse(any("--experiment" in call for call in calls))
        (self.top / "worker.py").write_text("print('{\"error\": \"it does not load\"}')\n")
        status, printed, _ = self.race("--columns", "fp32_decode_128")
        self.assertEqual((status, printed), (1, "compare_model: it does not load\n"))
        (self.top / "worker.py").write_text("")
        status, printed, _ = self.race("--columns", "fp32_decode_128")
        self.assertEqual((status, printed), (1, "compare_model: llama.cpp's process ended (status 0)\n"))
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as printed_of_parser:
            race.main(["--columns", "fp32_decode_1"])
        self.assertIn("no column 'fp32_decode_1'; there are all and fp32_prefill_128", printed_of_parser.getvalue())


class ColumnsTest(unittest.TestCase):
    def test_long_columns_try_the_fastest_of_shorter_ones(self) -> None:
        column = Column("fp32", "decode", 16384)
        self.assertEqual(tried_for(column), Column("fp32", "decode", 4096))
        self.assertEqual(shorter(column), Column("fp32", "decode", 1024))
        known = [Way("", flash, kv, ubatch) for kv in ("f16", "f32") for flash in (True, False) for ubatch in (1024, 512)]
        self.assertEqual([way.name for way in ways_of(Column("fp32", "prefill", 4096), ("", "x"), known)], [
            f"default,flash={flash},kv={kv},ubatch={ubatch}"
            for flash, kv in (("on", "f16"), ("off", "f16"), ("on", "f32")) for ubatch in (512, 4096)
        ])  # fmt: skip
        self.assertEqual(len(ways_of(Column("fp32", "decode", 4096), ("",), known)), 3)
        self.assertEqual(len(ways_of(Column("fp32", "prefill", 128), ("", "x"), ())), 12)

    def test_names(self) -> None:
        for way in (Way("", True, "f16", 512), Way("haswell", False, "bf16", 4096)):
            self.assertEqual(way_named(way.name), way)
        self.assertEqual(columns_named("all"), list(COLUMNS))
        self.assertEqual([column.name for column in columns_named("bf16_decode_128,fp32_prefill_128")], ["fp32_prefill_128", "bf16_decode_128"])

    def test_the_experiment_is_of_the_column(self) -> None:
        text = experiment(Column("bf16", "decode", 16384), Path("w"), 2)
        for line in ('weights: "w"', "phase: decode", "  seq_len: [16384]", "  kv_cache: [bf16]", "  activations: [bf16]", "  threads: [2]"):
            self.assertIn(line + "\n", text)

    def test_what_is_allowed_apart(self) -> None:
        for dtype, flash, kv, allowed in (("fp32", False, "f32", 1e-3), ("fp32", True, "f32", 0.02), ("fp32", False, "f16", 0.02),
                                          ("fp32", False, "bf16", 0.1), ("bf16", False, "f32", 0.1)):  # fmt: skip
            self.assertEqual(race.allowed_nats(dtype, Way("", flash, kv, 512)), allowed)


class SummaryTest(unittest.TestCase):
    def test_an_interval_over_launches(self) -> None:
        """Student's of two launches, by hand; half of the error for each of two columns."""
        rows = []
        for launch, slow in ((0, 2.0), (1, 8.0)):
            for name in ("fp32_decode_128", "fp32_decode_1024"):
                rows += [Sample(launch, name, who, "w", 0, 0, seconds, 1) for who, seconds in ((OURS, 1.0), (LLAMA, slow))]
        first, _ = results(rows)
        self.assertAlmostEqual(first.ratio.centre, 4.0)
        # t(1 - 0.0125, 1) = 25.45; the standard error of two logarithms log 4 apart is log 2.
        self.assertAlmostEqual(first.ratio.high, 4.0 * 2.0**25.4517, delta=1e5)
        self.assertFalse(first.is_ahead)
        only = results(rows[:4])
        self.assertFalse(only[0].is_ahead)
        self.assertIn("2.000 ~", table(only)[2])
        # A column that one side lacks is none.
        self.assertEqual(results([row for row in rows if row.contestant == OURS]), [])


if __name__ == "__main__":
    unittest.main()
