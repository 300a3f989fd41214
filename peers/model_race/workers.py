"""The process that runs llama.cpp, from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from peers.model_race.columns import Column, Way

# Behind the prompt: a token that is decoded and taken back.
_ROOM = 64


class RaceError(Exception):
    """One line: what went wrong, and with whom."""


class LlamaWorker:
    """A context manager. Times of a column are in seconds, one for each round."""

    def __init__(self, program: Path, libraries: Path, model: Path, threads: int, build: str) -> None:
        command = [sys.executable, str(program), str(libraries), str(model), str(threads)] + ([build] if build else [])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.peak_rss_bytes = 0
        try:
            self.hello = self._read()
        except RaceError:
            self._end()
            raise

    def __enter__(self) -> LlamaWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:  # it is gone already
            pass
        self._process.wait()
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RaceError(f"llama.cpp's process ended (status {self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RaceError(str(answer["error"]))
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise RaceError(f"llama.cpp's process ended (status {self._process.wait()})") from None
        answer = self._read()
        self.peak_rss_bytes = int(answer["peak_rss_bytes"])
        return answer

    def set_way(self, way: Way, tokens: int) -> None:
        """For prompts of up to so many tokens."""
        self.ask(do="way", room=tokens + _ROOM, ubatch=way.ubatch, flash=way.flash, kv=way.kv)

    def times(self, column: Column, rounds: int) -> list[float]:
        return [float(value) for value in self.ask(do=column.phase, tokens=column.tokens, rounds=rounds)["seconds"]]
