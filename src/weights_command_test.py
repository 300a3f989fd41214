"""benchmark_qwen3 with --weights and --generate, as users start it: the right answer, or one line and exit status 2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.mpi.testing.mpi_job import MpiScratch, launcher, root_allowed
from tools.golden import qwen3_reference as reference
from tools.golden import safetensors_io

BINARY = Path("src/benchmark_qwen3").resolve()
TESTDATA = Path("src/qwen3/testdata").resolve()
RANKS = (1, 3)
STRATEGIES = (
    ["--parallel-strategy", "headwise"],
    ["--parallel-strategy", "headwise", "--attention-algo", "standard"],
    ["--parallel-strategy", "sequence"],
    ["--parallel-strategy", "sequence", "--sharding", "contiguous"],
    ["--parallel-strategy", "sequence", "--exchange", "allgather"],
)


class WeightsCommandTest(unittest.TestCase):
    """Every test has a directory of its own, with a copy of the golden checkpoint to spoil."""

    def setUp(self) -> None:
        scratch = MpiScratch("wct.")
        self.addCleanup(scratch.close)
        self.directory = scratch.directory
        self.environment = scratch.environment | root_allowed()
        self.model = self.directory / "model"
        shutil.copytree(TESTDATA / "model_untied", self.model)
        for path in self.model.iterdir():
            path.chmod(0o644)

    def start(self, ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The binary under mpirun; a hang is an exception."""
        command = [*launcher(ranks), str(BINARY), *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def succeeds(self, ranks: int, *arguments: str) -> str:
        """Standard output of a run that ended well."""
        done = self.start(ranks, *arguments)
        self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
        return done.stdout

    def refuses(self, complaint: str, *arguments: str, status: int = 2) -> None:
        """One line, from one rank, exit status 2 (or another), whatever the number of ranks."""
        for ranks in RANKS:
            with self.subTest(complaint=complaint, ranks=ranks):
                done = self.start(ranks, *arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                lines = [line for line in done.stderr.splitlines() if line.startswith("benchmark_qwen3: ")]
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertIn(complaint, lines[0])
                self.assertEqual(done.stdout, "")

    def edit_config(self, **changes: object) -> None:
        """Changes keys of config.json."""
        path = self.model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def test_strategies_generate_the_golden_tokens(self) -> None:
        models = (("model_untied", "fp32"), ("model_tied_bfloat16", "bf16"), ("model_yarn_bias", "fp32"),
                  ("model_windows", "fp32"))
        for name, dtype in models:
            tensors, metadata = safetensors_io.read(TESTDATA / f"{name}.golden.safetensors")
            ids = [int(i) for i in tensors["input_ids"].flatten()]
            prompt = int(metadata["prompt_tokens"])
            count = len(ids) - prompt
            self.assertEqual(count, 64)
            expected = "generated " + ",".join(map(str, ids[prompt:]))
            asked = ["--generate", str(count), "--prompt-ids", ",".join(map(str, ids[:prompt]))]
            asked += ["--weights", str(TESTDATA / name), "--dtype", dtype, "--threads", "1"]
            for ranks in RANKS:
                for strategy in STRATEGIES[::2] if name == "model_windows" else STRATEGIES:
                    with self.subTest(name=name, ranks=ranks, strategy=strategy):
                        output = self.succeeds(ranks, *asked, *strategy)
                        self.assertIn(expected, output.splitlines())
                        self.assertRegex(output, r"decode [0-9.]+ s, 63 tokens, [0-9.]+ tokens/s")

    def test_a_prompt_from_a_file_and_where_to_stop(self) -> None:
        tensors, metadata = safetensors_io.read(TESTDATA / "model_untied.golden.safetensors")
        ids = [int(i) for i in tensors["input_ids"].flatten()]
        prompt = int(metadata["prompt_tokens"])
        (self.directory / "ids.txt").write_text("\n".join(map(str, ids[:prompt])) + "\n")
        asked = ["--weights", "model", "--threads", "1", "--prompt-file", "ids.txt", "--generate"]
        generated = ids[prompt:]
        never = next(id for id in range(97) if id not in generated)
        for stop, count in ((generated[0], 1), (generated[20], generated.index(generated[20]) + 1), (never, 64)):
            for ranks in RANKS:
                output = self.succeeds(ranks, *asked, "64", "--stop-ids", f"{never},{stop}").splitlines()
                self.assertEqual(output[1], "prompt " + ",".join(map(str, ids[:prompt])))
                self.assertEqual(output[2], "generated " + ",".join(map(str, generated[:count])))
                self.assertIn(f"{prompt} tokens", output[3])
                self.assertEqual(len(output), 4 if count == 1 else 5)
        self.refuses("--stop-ids: 97 is not in the vocabulary", *asked, "2", "--stop-ids", "97")
        self.refuses("--prompt-ids, --prompt-file and --seq-len exclude", *asked, "2", "--prompt-ids", "1")
        (self.directory / "ids.txt").write_text("1 97")
        self.refuses("ids.txt: 97 is not in the vocabulary", *asked, "2")
        (self.directory / "ids.txt").write_text(" ")
        self.refuses("ids.txt: holds 0 token ids, at least 1", *asked, "2")

    def test_tokens_are_printed_as_they_come(self) -> None:
        # More tokens than fit into a pipe, so that it cannot have ended while they are not read.
        command = [str(BINARY), "--weights", "model", "--threads", "1", "--prompt-ids", "1,2", "--generate", "100000"]
        with subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            try:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(2)]
                begun = process.stdout.read(len("generated 1,2,3,4,5"))
                self.assertIsNone(process.poll())
            finally:
                process.kill()
        self.assertEqual(lines[1], "prompt 1,2\n")
        self.assertRegex(begun, "^generated [0-9]+,[0-9]+,")

    def test_strategies_agree_on_the_perplexity_of_a_text(self) -> None:
        name = "model_untied"
        tensors, _ = safetensors_io.read(TESTDATA / f"{name}.golden.safetensors")
        ids = tensors["input_ids"].flatten().astype(int)
        logits = tensors["expected_logits"].reshape(len(ids), -1).astype(np.float64)
        logs = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
        whole = -float(np.mean(logs[np.arange(len(ids) - 1), ids[1:]]))
        (self.directory / "ids.txt").write_text(" ".join(map(str, ids)) + "\n")
        asked = ["--perplexity", "ids.txt", "--weights", str(TESTDATA / name), "--threads", "1"]
        found: dict[int, list[float]] = {}
        for window in (len(ids), 16, 9):
            for ranks in RANKS:
                for strategy in STRATEGIES:
                    output = self.succeeds(ranks, *asked, *strategy, "--seq-len", str(window))
                    nats = re.search(r"log-likelihood ([0-9.]+) nats", output)
                    assert nats is not None, output
                    found.setdefault(window, []).append(float(nats[1]))
        for window, values in found.items():
            self.assertLess(max(values) - min(values), 1e-4, window)
        self.assertAlmostEqual(found[len(ids)][0], whole, delta=2e-5)
        # Less is known of a token with fewer before it: these are other numbers, of the golden model's windows.
        for window in (16, 9):
            self.assertAlmostEqual(found[window][0], self.nats_in_windows(name, ids, window), delta=2e-5)

    def test_what_each_token_scored(self) -> None:
        model = TESTDATA / "model_untied"
        ids = np.array([(7 * i + 3) % 83 for i in range(12)])
        (self.directory / "ids.txt").write_text(" ".join(map(str, ids)) + "\n")
        logits = reference.model_logits(ids[None], *self.oracle(model))[0]
        logs = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
        for ranks in RANKS:
            output = self.succeeds(ranks, "--weights", str(model), "--threads", "1", "--perplexity", "ids.txt", "--each-token")
            found = re.findall(r"(?m)^token (\d+) (\d+) (\d+\.\d+)$", output)
            self.assertEqual([(int(place), int(token)) for place, token, _ in found], list(enumerate(ids))[1:])
            for place, token, nats in found:
                self.assertAlmostEqual(float(nats), -logs[int(place) - 1, int(token)], delta=2e-5)
        self.refuses("--each-token is for --perplexity", "--each-token")

    def test_layers_that_slide(self) -> None:
        model = TESTDATA / "model_windows"
        ids = np.array([(7 * i + 3) % 83 for i in range(40)])
        (self.directory / "ids.txt").write_text(" ".join(map(str, ids)) + "\n")
        expected = self.nats_in_windows("model_windows", ids, len(ids))
        asked = ["--weights", str(model), "--threads", "1"]
        for ranks in RANKS:
            output = self.succeeds(ranks, *asked, "--perplexity", "ids.txt", *STRATEGIES[2])
            nats = re.search(r"log-likelihood ([0-9.]+) nats", output)
            assert nats is not None, output
            self.assertAlmostEqual(float(nats[1]), expected, delta=2e-5)
        (self.directory / "texts.txt").write_text(" ".join(map(str, ids[:25])) + "\n")
        hidden = reference.model_hidden(ids[None, :25], *self.oracle(model))[0, -1]
        for strategy in STRATEGIES[::2]:
            output = self.succeeds(3, *asked, "--embed", "texts.txt", *strategy)
            (row,) = re.findall(r"(?m)^embedding (.*)$", output)
            found = np.array([float(value) for value in row.split(",")])
            self.assertLess(np.abs(found - hidden / np.linalg.norm(hidden)).max(), 3e-6, strategy)
        for scope in ("block", "layer", "model"):
            self.refuses("config.json: 'layer_types' has sliding_attention, and the layers", *asked, "--scope", scope)

    def oracle(self, directory: Path) -> tuple[reference.Weights, reference.Config]:
        """What the float64 model needs of a checkpoint."""
        weights: reference.Weights = {}
        for file in directory.glob("*.safetensors"):
            weights |= {key: values.astype(np.float64) for key, values in safetensors_io.read(file)[0].items()}
        fields = json.loads((directory / "config.json").read_text())
        config = reference.Config(
            **{key: value for key, value in fields.items() if key in reference.Config.__dataclass_fields__}
        )
        return weights, config

    def nats_in_windows(self, name: str, ids: "np.ndarray", window: int) -> float:
        """The same in float64, from the definition."""
        weights, config = self.oracle(TESTDATA / name)
        nats: list[float] = []
        scored = 1
        for begin in range(0, len(ids), window - window // 2):
            end = min(begin + window, len(ids))
            logits = reference.model_logits(ids[None, begin:end], weights, config)[0]
            logs = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
            nats += [-logs[token - 1 - begin, ids[token]] for token in range(scored, end)]
            scored = max(scored, end)
        return float(np.mean(nats))

    def write_headless(self) -> None:
        """The model as a Qwen3Model is saved: no LM head, no model. in front of names, one file."""
        tensors: dict[str, tuple[str, np.ndarray]] = {}
        for shard in sorted(self.model.glob("*.safetensors")):
            for name, values in safetensors_io.read(shard)[0].items():
                if name != "lm_head.weight":
                    tensors[name.removeprefix("model.")] = ("F32", values)
            shard.unlink()
        (self.model / "model.safetensors.index.json").unlink()
        safetensors_io.write(self.model / "model.safetensors", tensors, {})
        self.edit_config(architectures=["Qwen3Model"])

    def test_embeddings_are_those_of_the_float64_model(self) -> None:
        weights, config = self.oracle(self.model)
        texts = [[5, 17, 3, 96, 0, 44, 8], [7], list(range(1, 40, 3)), [5, 17, 3, 96, 0, 44, 9]]
        (self.directory / "texts.txt").write_text("\n\n".join(" ".join(map(str, ids)) for ids in texts) + "\n")
        asked = ("--embed", "texts.txt", "--weights", "model", "--threads", "1")

        def compare(causal: bool, pooling: str, strategies: Sequence[list[str]]) -> None:
            for ranks in RANKS:
                for strategy in strategies:
                    output = self.succeeds(ranks, *asked, "--pooling", pooling, *strategy)
                    rows = re.findall(r"(?m)^embedding (.*)$", output)
                    self.assertEqual(len(rows), len(texts), output)
                    for ids, row in zip(texts, rows):
                        hidden = reference.model_hidden(np.array([ids]), weights, replace(config, causal=causal))[0]
                        pooled = hidden[-1] if pooling == "last" else hidden.mean(axis=0)
                        expected = pooled / np.linalg.norm(pooled)
                        found = np.array([float(value) for value in row.split(",")])
                        # Of float32 through two layers; a token seen or not moves it by 1e-2 and more.
                        self.assertLess(np.abs(found - expected).max(), 2e-6, (ranks, strategy, ids))

        compare(True, "last", STRATEGIES[::2])
        compare(True, "mean", STRATEGIES[1:3])
        self.write_headless()
        compare(True, "last", STRATEGIES[2:3])
        self.edit_config(is_causal=False)
        compare(False, "last", STRATEGIES[::3])
        compare(False, "mean", STRATEGIES[2:4])

    def test_models_that_predict_nothing(self) -> None:
        weights = ("--weights", "model", "--threads", "1")
        self.write_headless()
        generate = ("--generate", "2", "--prompt-ids", "1,2")
        for asked in (generate, ("--scope", "model")):
            self.refuses("model/config.json: 'architectures' is [\"Qwen3Model\"] and", *weights, *asked)
        self.succeeds(1, *weights, "--scope", "layer", "--seq-len", "8", "--rounds", "2")
        self.edit_config(is_causal=False)
        for asked in (generate, ("--scope", "model"), ("--scope", "block")):
            self.refuses("model/config.json: 'is_causal' is false", *weights, *asked)

    def test_what_cannot_be_embedded(self) -> None:
        asked = ("--weights", "model", "--threads", "1", "--embed", "texts.txt")
        for text, complaint in (
            ("1 2\nhello", "texts.txt:2: token ids, separated by white space or commas, are expected; found 'hello'"),
            (" \n", "texts.txt: holds no token ids; one text a line is expected"),
            ("1\n97", "texts.txt: 97 is not in the vocabulary, which has 97 tokens"),
        ):
            (self.directory / "texts.txt").write_text(text)
            self.refuses(complaint, *asked)
        self.refuses("--pooling: unknown value 'first', allowed are last, mean", *asked, "--pooling", "first")
        self.refuses("--seq-len means nothing with --embed", *asked, "--seq-len", "4")
        self.refuses("--pooling is for --embed", "--pooling", "last")
        self.spoil("model.norm.weight", 0.0)
        (self.directory / "texts.txt").write_text("1 2")
        for ranks in RANKS:
            done = self.start(ranks, *asked)
            self.assertEqual(done.returncode, 1)
            self.assertIn("benchmark_qwen3: embedding: hidden states of norm 0 have no direction", done.stderr)

    def test_texts_that_have_no_perplexity(self) -> None:
        asked = ("--weights", "model", "--threads", "1", "--perplexity")
        for text, complaint in (
            ("1 2\nhello", "ids.txt:2: token ids, separated by white space or commas, are expected; found 'hello'"),
            ("5", "ids.txt: holds 1 token ids, at least 2 are needed"),
            ("1 97", "ids.txt: 97 is not in the vocabulary, which has 97 tokens"),
        ):
            (self.directory / "ids.txt").write_text(text)
            self.refuses(complaint, *asked, "ids.txt")
        self.refuses("nowhere: cannot be opened", *asked, "nowhere")
        self.refuses("--prompt-ids means nothing with --perplexity", *asked, "ids.txt", "--prompt-ids", "1")
        self.refuses("--seq-len: a whole number from 2", *asked, "ids.txt", "--seq-len", "1")

    def test_one_off_runs_are_accurate_on_the_weights(self) -> None:
        for scope in ("block", "layer", "model"):
            for phase in ("prefill", "decode"):
                for path in (self.model, self.model / "model.safetensors.index.json", TESTDATA / "model_tied_bfloat16"):
                    output = self.succeeds(
                        3, "--weights", str(path), "--scope", scope, "--phase", phase, "--seq-len", "21",
                        "--parallel-strategy", "sequence", "--rounds", "2", "--threads", "1",
                    )  # fmt: skip
                    self.assertRegex(output, r"(?m)^sequence\+online_softmax .* ok( oversubscribed)?$")

    def test_the_experiment_file_names_them_and_the_manifest_too(self) -> None:
        (self.directory / "run.yaml").write_text(
            "name: weights\nweights: model\nscope: model\n"
            "grid:\n  variant: [sequence+online_softmax, headwise+online_softmax]\n  seq_len: [12]\n  ranks: [2]\n"
            "measure: {rounds: 2}\n"
        )
        self.succeeds(2, "--experiment", "run.yaml", "--output", "run")
        launch = json.loads((self.directory / "run" / "manifest.json").read_text())["launches"][0]
        self.assertEqual(launch["weights"]["path"], "model")
        self.assertEqual(len(launch["weights"]["files"]), 3)
        self.assertIn("h4kv2d32n48l2", (self.directory / "run" / "cases.csv").read_text())
        self.assertIn("1 cells were complete", self.succeeds(2, "--resume", "run"))

    def test_missing_files(self) -> None:
        asked = ("--scope", "model", "--weights")
        self.refuses("nowhere: cannot be opened: No such file or directory", *asked, "nowhere")
        (self.directory / "empty").mkdir()
        self.refuses("empty: holds neither model.safetensors nor model.safetensors.index.json", *asked, "empty")
        (self.model / "model-00002-of-00003.safetensors").unlink()
        self.refuses("model-00002-of-00003.safetensors: cannot be opened", *asked, "model")
        (self.model / "config.json").unlink()
        single = TESTDATA / "model_tied_bfloat16" / "model.safetensors"
        shutil.copy(single, self.directory / "alone.safetensors")
        self.refuses("config.json: cannot be opened", *asked, "alone.safetensors")

    def test_missing_and_misshaped_tensors(self) -> None:
        asked = ("--scope", "model", "--weights", "model")
        self.edit_config(num_hidden_layers=3)
        self.refuses("tensor 'model.layers.2.self_attn.q_proj.weight' is missing", *asked)
        self.edit_config(num_hidden_layers=2, vocab_size=98)
        self.refuses("tensor 'model.embed_tokens.weight': expected shape [98, 48], is [97, 48]", *asked)
        self.edit_config(vocab_size=97, model_type="llama")
        self.refuses("'model_type' is \"llama\", only \"qwen3\" is supported", *asked)

    def test_truncated_and_lying_files(self) -> None:
        asked = ("--scope", "model", "--weights", "model")
        shard = self.model / "model-00001-of-00003.safetensors"
        data = shard.read_bytes()
        shard.write_bytes(data[: len(data) // 2])
        self.refuses("model-00001-of-00003.safetensors: tensor '", *asked)
        shard.write_bytes(data[:5])
        self.refuses("5 bytes are too few for a safetensors file (truncated?)", *asked)
        shard.write_bytes(b"\xff" * 8 + data[8:])
        self.refuses("the header claims", *asked)
        shard.write_bytes(data.replace(b'"F32"', b'"I32"', 1))
        self.refuses("expected dtype F32, BF16 or F16, is I32", *asked)

    def spoil(self, name: str, value: float) -> None:
        """Sets all values of a tensor."""
        for shard in self.model.glob("*.safetensors"):
            tensors, metadata = safetensors_io.read(shard)
            if name in tensors:
                tensors[name] = np.full_like(tensors[name], value)
                safetensors_io.write(shard, {key: ("F32", values) for key, values in tensors.items()}, metadata)
                return
        self.fail(name)

    def test_what_is_not_finite(self) -> None:
        generate = ("--generate", "2", "--prompt-ids", "1,2", "--threads", "1", "--weights", "model")
        measure = ("--scope", "model", "--seq-len", "8", "--rounds", "2", "--threads", "1", "--weights", "model")
        for value, complaint, status in (
            (float("nan"), "tensor 'model.norm.weight': holds NaN or infinity", 2),
            (3.4e38, "model: logits after 2 tokens are not finite", 1),
        ):
            self.spoil("model.norm.weight", value)
            self.refuses(complaint, *generate, status=status)
            for ranks in RANKS:
                done = self.start(ranks, *measure)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("failed", done.stdout)

    def test_what_would_go_unread(self) -> None:
        asked = ("--scope", "model", "--weights", "model")
        self.edit_config(num_hidden_layers=1)
        self.refuses("'model.layers.1.input_layernorm.weight': is no part of a Qwen3 of 1 layers", *asked)
        self.edit_config(num_hidden_layers=2, rope_parameters={"rope_type": "longrope", "factor": 4.0})
        self.refuses("'rope_parameters' is of 'rope_type' \"longrope\"", *asked)
        self.edit_config(rope_parameters=None, tie_word_embeddings=True)
        self.refuses("tensor 'lm_head.weight': differs from model.embed_tokens.weight", *asked)
        self.edit_config(tie_word_embeddings=False)
        shutil.copy(TESTDATA / "model_tied_bfloat16" / "model.safetensors", self.model)
        self.refuses("model: holds both model.safetensors and model.safetensors.index.json", *asked)

    def test_places_that_block_or_never_end(self) -> None:
        asked = ("--scope", "model", "--weights", "model")
        for name in ("config.json", "model-00002-of-00003.safetensors", "model.safetensors.index.json"):
            (self.model / name).unlink()
            os.mkfifo(self.model / name)
            self.refuses(f"model/{name}: is not a regular file", *asked)
        self.refuses("/dev/zero: is not a regular file", "--verify", "/dev/zero")

    def test_conflicts(self) -> None:
        weights = ("--weights", "model")
        self.refuses("qwen3-0.6b has hidden_size 1024, model/config.json says 48", *weights, "--scope", "block",
                     "--model", "qwen3-0.6b")  # fmt: skip
        self.refuses("attention reads no weights", *weights)
        self.refuses("leave --heads out", *weights, "--heads", "4", "--kv-heads", "2", "--head-dim", "32")
        self.refuses("--weights is for one-off runs", *weights, "--experiment", "x.yaml")
        self.refuses("97 is not in the vocabulary", *weights, "--generate", "2", "--prompt-ids", "1,97")
        self.refuses("token ids with commas", *weights, "--generate", "2", "--prompt-ids", "1,,2")
        self.refuses("--prompt-ids is for --generate", "--prompt-ids", "1")
        self.refuses("--stop-ids is for --generate", "--stop-ids", "1")
        self.refuses("--rounds means nothing with --generate", "--generate", "2", "--rounds", "3")


if __name__ == "__main__":
    sys.exit(unittest.main())
