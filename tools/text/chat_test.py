"""tools/chat as users start it, from text to text: what a float64 reference says on ids written by hand, or one line."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Sequence

import numpy as np

from src.mpi.testing.mpi_job import MpiScratch, root_allowed
from tools.golden import qwen3_reference as reference
from tools.text.testing import tiny_checkpoint as tiny

CHAT = Path("tools/chat").absolute()
BINARY = Path("src/benchmark_qwen3").absolute()
LIBRARY = Path(".cache/text").absolute()
IDS = tiny.token_ids()
END = IDS["<|im_end|>"]
NEW_TOKENS = 24
# A greedy token that wins by less could be lost to fp32 rounding.
SMALLEST_LEAD = 1e-3

ASSISTANT = ["<|im_start|>", *"assistant", "Ċ"]
NO_THOUGHT = ["<think>", "Ċ", "Ċ", "</think>", "Ċ", "Ċ"]


def user(*tokens: str) -> list[str]:
    """A turn of the user's."""
    return ["<|im_start|>", "user", "Ċ", *tokens, "<|im_end|>", "Ċ"]


def ids_of(tokens: Sequence[str]) -> list[int]:
    """Of tokens as tokenizer.json writes them."""
    return [IDS[token] for token in tokens]


# "a us 日": a merge across a space, one inside a word, and three bytes of which the first two are one token.
QUESTION, QUESTION_TOKENS = "a us日", ["a", "Ġ", "us", "æ", "Ĺ", "¥"]


class ChatTest(unittest.TestCase):
    """Every test has a directory of its own."""

    def setUp(self) -> None:
        scratch = MpiScratch("chat.")
        self.addCleanup(scratch.close)
        self.directory = scratch.directory
        self.model = self.directory / "model"
        self.environment = scratch.environment | root_allowed() | {"CHAT_LIBRARY": str(LIBRARY)}
        # /bin first, as some users have it: see mpirun_command().
        self.environment["PATH"] = "/bin:" + self.environment.get("PATH", "/usr/bin")

    def command(self, *arguments: str) -> list[str]:
        # Options of the binary may follow the arguments.
        return [str(CHAT), "--model", "model", "--binary", str(BINARY), *arguments]

    def start(self, *arguments: str, typed: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """A hang is an exception."""
        return subprocess.run(
            self.command(*arguments), cwd=self.directory, env=self.environment | environment, input=typed,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    def says(self, expected: str, *arguments: str, typed: bytes = b"") -> str:
        """It prints that and a line end; returns what it says beside it."""
        done = self.start(*arguments, typed=typed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.decode(), expected)
        return done.stderr.decode()

    def refuses(self, complaint: str, *arguments: str, typed: bytes = b"", status: int = 2, **environment: str) -> None:
        """One line, and nothing else."""
        with self.subTest(complaint=complaint):
            done = self.start(*arguments, typed=typed, **environment)
            self.assertEqual(done.returncode, status, done.stderr)
            said = done.stderr.decode()
            self.assertRegex(said, r"\Achat: [^\n]+\n\Z")
            self.assertIn(complaint, said)
            self.assertEqual(done.stdout, b"")

    def random_model(self, prompts: Sequence[Sequence[str]], end_ids: Sequence[int] = (END,)) -> list[str]:
        """Writes a model that has no near ties on these prompts; returns what it answers to each, with its line end."""
        for seed in range(1, 100):
            weights, answers = tiny.random_weights(seed), []
            for prompt in prompts:
                ids = np.array([ids_of(prompt)])
                whole, lead = reference.generate(ids, NEW_TOKENS, weights, tiny.CONFIG)
                said = [int(number) for number in whole[0, ids.shape[1] :]]
                if lead < SMALLEST_LEAD or set(end_ids) & set(said):
                    break
                answers.append(tiny.bytes_of(said).decode(errors="replace"))
            if len(answers) == len(prompts):
                tiny.write_checkpoint(self.model, weights, list(end_ids))
                return [answer + ("" if answer.endswith("\n") else "\n") for answer in answers]
        self.fail("no seed does")

    def chain_model(self, *pieces: Sequence[str], end_ids: object = END) -> None:
        """Writes a model that, after the assistant's turn has begun without a thought, says these tokens one by one."""
        before = ids_of(NO_THOUGHT)[-1]
        tiny.write_checkpoint(self.model, tiny.chain_weights([before, *ids_of([t for p in pieces for t in p])]), end_ids)

    def test_answers_are_the_reference_models(self) -> None:
        plain = [*user(*QUESTION_TOKENS), *ASSISTANT]
        system = ["<|im_start|>", *"syst", "e", "m", "Ċ", "x", "<|im_end|>", "Ċ"]
        prompts = [[*plain, *NO_THOUGHT], plain, QUESTION_TOKENS, [*system, *plain, *NO_THOUGHT]]
        without, thinking, raw, with_system = self.random_model(prompts)
        asked = ("--tokens", str(NEW_TOKENS))
        note = self.says(without, *asked, QUESTION)
        self.assertEqual(note, f"chat: note: the answer was cut off after {NEW_TOKENS} tokens (--tokens)\n")
        self.says(without, *asked, typed=QUESTION.encode() + b"\n")
        self.says(thinking, *asked, QUESTION, "--thinking")
        self.says(raw, *asked, "--raw", typed=QUESTION.encode())
        self.says(with_system, *asked, "--system", "x", QUESTION)
        self.says(without, *asked, "--ranks", "2", QUESTION, "--", "--parallel-strategy", "sequence", "--threads", "1")
        # Without a template, Qwen3's plain form; a file of its own wins over tokenizer_config.json.
        (self.model / "chat_template.jinja").write_text("{{ messages[0].content }}")
        self.says(raw, *asked, QUESTION)
        (self.model / "chat_template.jinja").unlink()
        (self.model / "tokenizer_config.json").unlink()
        self.says(thinking, *asked, QUESTION)
        self.refuses("--thinking: the chat template of model has no such form", "--thinking", QUESTION)

    def test_a_conversation_remembers(self) -> None:
        # What is thought is not said again, as the template has it.
        self.chain_model([*"no", "</think>", *"yes", "<|im_end|>"])
        answer = "no</think>yes\n"
        self.says(answer * 2, "--interactive", typed="a\n\nus日\n".encode())
        prompt = [*user("a"), "<|im_start|>", *"assistant", "Ċ", *"yes", "<|im_end|>", "Ċ", *user("us", "æ", "Ĺ", "¥")]
        length = len([*prompt, *ASSISTANT, *NO_THOUGHT])
        # One more position than the second prompt has: it is taken, with one token; one fewer, and it is refused.
        for positions, status in ((length + 1, 0), (length, 2)):
            config = json.loads((self.model / "config.json").read_text()) | {"max_position_embeddings": positions}
            (self.model / "config.json").write_text(json.dumps(config))
            done = self.start("--interactive", typed="a\nus日\n".encode())
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(f"has {length} tokens" if status else "(max_position_embeddings)", done.stderr.decode())

    def test_a_terminal_is_asked_for_turns(self) -> None:
        self.chain_model([*"hi", "<|im_end|>"])
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen(
            self.command(), cwd=self.directory, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs
        ) as chat:
            try:
                os.close(theirs)
                for typed in (b"a\n", b"us\n"):
                    self.shown_until(ours, b"> ")
                    os.write(ours, typed)
                    self.shown_until(ours, b"hi\r\n")
                self.shown_until(ours, b"> ")
                os.write(ours, b"\x04")  # Ctrl-D
                self.assertEqual(chat.wait(timeout=60), 0)
            finally:
                chat.kill()

    def shown_until(self, terminal: int, end: bytes) -> bytes:
        """What a terminal shows, up to `end`; a hang ends with the test's own limit."""
        shown = b""
        while not shown.endswith(end):
            shown += os.read(terminal, 1)
        return shown

    def test_it_stops_at_every_end_token(self) -> None:
        other = IDS["<|endoftext|>"]
        for name, end_ids in (("<|im_end|>", END), ("<|im_end|>", None), ("<|endoftext|>", [END, other]), ("Z", IDS["Z"])):
            self.model = self.directory / f"model_{name.strip('<|>')}_{end_ids}"
            self.chain_model([*"hi", name, *"no"], end_ids=end_ids)
            done = self.start("a", "--model", str(self.model))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"hi\n", b""), name)
        config = json.loads((self.model / "config.json").read_text()) | {"eos_token_id": None}
        (self.model / "config.json").write_text(json.dumps(config))
        (self.model / "generation_config.json").write_text(json.dumps({"eos_token_id": [other, IDS["Z"]]}))
        self.assertEqual(self.start("a", "--model", str(self.model)).stdout, b"hi\n")

    def test_characters_come_whole_and_at_once(self) -> None:
        letters = tiny.byte_letters()
        text = "né 日🙂"
        # The last two bytes begin a character that never comes.
        tokens = [letters[byte] for byte in text.encode() + b"\xe1\x80"]
        self.chain_model(tokens, ["<|im_end|>"])
        self.says(text + "\ufffd\n", "a")
        # A model that never ends: what it has said can be read while it goes on; then Ctrl-C.
        self.model = self.directory / "endless"
        self.chain_model(tokens[:-2], tokens[:1])
        for number in (signal.SIGINT, signal.SIGTERM):
            status, said, complaint = self.read_then(text * 3, lambda chat, end=number: chat.send_signal(end))
            self.assertEqual((status, complaint), (130, "chat: interrupted\n"))
            self.assertTrue((text * 100000).startswith(said[: len(text) * 100]))

    def test_a_reader_may_close_the_pipe(self) -> None:
        self.model = self.directory / "endless"
        self.chain_model([*"round"], ["r"])
        status, _, complaint = self.read_then("roundround", lambda chat: chat.stdout.close())
        self.assertEqual((status, complaint), (0, ""))

    def test_a_binary_that_says_nothing_is_ended_too(self) -> None:
        # As one does that is still loading: no pipe breaks under it.
        self.chain_model([*"hi", "<|im_end|>"])
        idle = self.directory / "idle"
        idle.write_text("#!/bin/sh\necho $$ >started\nsleep 600\n")
        idle.chmod(0o755)
        command = self.command("a", "--model", str(self.model), "--binary", str(idle))
        with subprocess.Popen(command, cwd=self.directory, env=self.environment, stderr=subprocess.PIPE) as chat:
            try:
                while not (self.directory / "started").exists():
                    self.assertIsNone(chat.poll())
                    time.sleep(0.05)
                chat.send_signal(signal.SIGINT)
                self.assertEqual(chat.wait(timeout=60), 130)
            finally:
                chat.kill()
        self.assertEqual(self.left_running(), [])

    def test_a_model_that_fails(self) -> None:
        weights = tiny.chain_weights(ids_of([NO_THOUGHT[-1], *"hi"]))
        weights["model.norm.weight"] = np.full_like(weights["model.norm.weight"], 3.4e38)
        tiny.write_checkpoint(self.model, weights)
        self.refuses("are not finite", "a", status=1)

    def read_then(self, begin: str, act: object) -> tuple[int, str, str]:
        """Starts an endless answer, reads so much of it, acts on it; status, what was read, and what was complained. Nothing
        of it is left running."""
        command = self.command("a", "--model", str(self.model), "--tokens", "100000", "--", "--threads", "1")
        with subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as chat:
            try:
                assert chat.stdout is not None and chat.stderr is not None
                said = b""
                while len(said) < len(begin.encode()):
                    chunk = os.read(chat.stdout.fileno(), 1 << 16)
                    # Strict: no chunk ends inside a character.
                    self.assertNotEqual(chunk.decode(), "", "it ended")
                    said += chunk
                self.assertIsNone(chat.poll())
                act(chat)  # type: ignore[operator]
                status = chat.wait(timeout=60)
                complaint = chat.stderr.read().decode()
            finally:
                chat.kill()
        self.assertTrue(said.decode().startswith(begin))
        self.assertEqual(self.left_running(), [])
        return status, said.decode(), complaint

    def left_running(self) -> list[str]:
        """Processes that were given this test's model."""
        for _ in range(50):
            found = []
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                if str(self.model) in words:
                    found.append(" ".join(words))
            if not found:
                return []
            time.sleep(0.1)  # a killed process takes a moment
        return found

    def test_what_cannot_be_run(self) -> None:
        self.chain_model([*"hi", "<|im_end|>"])
        self.refuses("TEXT: the text is empty", "")
        self.refuses("standard input: the text is empty", typed=b" \n")
        self.refuses("standard input: is not UTF-8 at byte 2", typed=b"ab\xff\n")
        self.refuses("standard input: is not UTF-8 at byte 0", "--interactive", typed=b"\xc3\n")
        self.refuses("TEXT: is not UTF-8 at byte 1", os.fsdecode(b"a\xff"))
        self.refuses("--system: the text is empty", "--system", "", "a")
        self.refuses("nowhere: there is no such directory", "a", "--model", "nowhere")
        self.refuses("nothing: is not there; `bazel build", "a", "--binary", "nothing")
        self.refuses("empty; tools/setup chat installs it", "a", CHAT_LIBRARY="empty")
        self.refuses("there is no node on PATH", "a", PATH="/nowhere")
        self.refuses("there is no nothing on PATH", "a", "--ranks", "2", MPIRUN="nothing")
        self.refuses("--tokens: '0' is not a whole number from 1", "a", "--tokens", "0")
        self.refuses("--system means nothing with --raw", "a", "--raw", "--system", "x")
        self.refuses("--interactive and TEXT exclude each other", "a", "--interactive")
        self.refuses("benchmark_qwen3: --generate is given twice", "a", "--", "--generate", "3")
        done = subprocess.run([str(CHAT), "a"], env=self.environment, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--model", done.stderr)
        full = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >/dev/full', "sh", *self.command("a")],
            cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((full.returncode, full.stderr), (2, "chat: standard output: No space left on device\n"))

    def test_files_that_do_not_fit(self) -> None:
        self.chain_model([*"hi", "<|im_end|>"])

        def config(**changes: object) -> None:
            path = self.model / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | changes))

        config(max_position_embeddings=5)
        self.refuses("tokens, at most 4 are possible (max_position_embeddings 5 of model)", "a")
        config(max_position_embeddings=1000, vocab_size=END)
        self.refuses(f"tokenizer.json gives '</think>' the id {IDS['</think>']}, but config.json has a vocabulary of {END}", "a")
        config(vocab_size=tiny.VOCABULARY, hidden_size=47)
        self.refuses("benchmark_qwen3: model/", "a")
        config(hidden_size=48, eos_token_id="<|im_end|>")
        self.refuses("model/config.json: 'eos_token_id' is neither a token id nor a list", "a")
        config(eos_token_id=END)
        (self.model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{% if %}"}))
        self.refuses("chat: model: ", "a")
        for text, complaint in (
            ("{", "tokenizer.json: "),
            (json.dumps(tiny.tokenizer_json() | {"decoder": {"type": "Metaspace"}}), "tokenizer.json: its decoder is not"),
            (json.dumps(tiny.tokenizer_json() | {"model": {"type": "Other"}}), "tokenizer.json: "),
        ):
            (self.model / "tokenizer.json").write_text(text)
            self.refuses(complaint, "a")
        (self.model / "tokenizer.json").unlink()
        self.refuses("model: holds no tokenizer.json", "a")
        (self.model / "config.json").write_text("[]")
        (self.model / "tokenizer.json").write_text("{}")
        self.refuses("model/config.json: is not a JSON object", "a")

    def test_help(self) -> None:
        done = subprocess.run([str(CHAT), "--help"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 130)
        self.assertTrue(re.search("Exit status: 0 ", done.stdout))


if __name__ == "__main__":
    sys.exit(unittest.main())
