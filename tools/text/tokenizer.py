"""The model's own tokenizer.json, read by Hugging Face's tokenizers for Node.js in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Sequence

from tools.text.problem import Problem

_WORKER = Path(__file__).parent / "tokenizer_worker.mjs"
# What an incomplete or wrong sequence of bytes is decoded to.
_REPLACEMENT = "\ufffd"


class Tokenizer:
    """Of the checkpoint in `directory`; `library` is where tools/setup put node_modules."""

    def __init__(self, library: Path, directory: Path) -> None:
        if not (library / "node_modules" / "@huggingface" / "tokenizers").is_dir():
            raise Problem(f"the tokenizer library is not in {library}; tools/setup chat installs it from npm")
        node = shutil.which("node")
        if node is None:
            raise Problem("there is no node on PATH, which runs the tokenizer library; tools/setup chat installs it")
        self._directory = directory
        # In a session of its own: the terminal's Ctrl-C is for the one who started it.
        self._process = subprocess.Popen(
            [node, str(_WORKER), str(library.resolve()), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tokenizer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def encode(self, text: str) -> list[int]:
        """Special tokens that the text spells count as such, as in transformers."""
        return [int(number) for number in self._ask("encode", text=text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Special tokens are left out, and so are ids that the tokenizer does not have."""
        return str(self._ask("decode", ids=list(ids)))

    def token(self, number: int) -> str | None:
        """How tokenizer.json writes it."""
        token = self._ask("token", id=number)
        return None if token is None else str(token)

    def id_of(self, token: str) -> int | None:
        """Of a whole token."""
        number = self._ask("id", token=token)
        return None if number is None else int(number)

    def render(self, template: str, variables: dict[str, Any]) -> str:
        """A chat template, by Hugging Face's interpreter of them."""
        return str(self._ask("render", template=template, variables=variables))

    def _ask(self, what: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"ask": what, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # there will be no answer either
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Problem(f"{self._directory}: the tokenizer's process ended (status {self._process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise Problem(f"{self._directory}: {answer['error']}")
        return answer["value"]


class TextStream:
    """Ids in, text out as soon as it is whole: a character may take several tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pending: list[int] = []

    def push(self, number: int) -> str:
        """The text that this token completes; empty where bytes are missing yet."""
        self._pending.append(number)
        text = self._tokenizer.decode(self._pending)
        if text.endswith(_REPLACEMENT):
            return ""
        self._pending.clear()
        return text

    def end(self) -> str:
        """What is left, replacement characters and all: no more will come."""
        text = self._tokenizer.decode(self._pending) if self._pending else ""
        self._pending.clear()
        return text
