#!/usr/bin/python3
"""A process that runs llama.cpp as it is told: a JSON object a line in, one out.

usage: llama_worker.py LIBRARIES MODEL.gguf THREADS [BUILD]

    {"do": "way", "room": 4096, "ubatch": 512, "flash": true, "kv": "f16"}   the context that follows is of this kind
    {"do": "prefill", "tokens": 1024, "rounds": 3}       -> {"seconds": [...]}
    {"do": "decode", "tokens": 1024, "rounds": 9}        the last of so many tokens, again and again -> {"seconds": [...]}
    {"do": "losses", "ids": [...]}                       -> {"nats": [...]}, of each token but the first
    {"do": "greedy", "ids": [...], "count": 16}          -> {"ids": [...]}

Each answer has `peak_rss_bytes`, or `error` alone. Token ids that are timed are seeded. A time is of llama_decode and the reading of
one logit, which waits for it.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# Run as a script, Python finds only this directory.
sys.path.insert(0, str(Path(__file__).absolute().parents[2]))

from peers.model_race.llama_library import Context, Library, LlamaError, Model

_MOST = 1 << 17


def peak_rss_bytes() -> int:
    """Pages of the mapped file among them."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


class Worker:
    def __init__(self, library: Library, model: Model, threads: int) -> None:
        self._model, self._threads = model, threads
        generator = random.Random(3)
        self._ids = [generator.randrange(model.vocabulary) for _ in range(_MOST)]
        self._context: Context | None = None
        self._way: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        handle = {"way": self._set_way, "prefill": self._prefill, "decode": self._decode, "losses": self._losses, "greedy": self._greedy}
        return handle[request["do"]](request)

    def _set_way(self, request: dict[str, Any]) -> dict[str, Any]:
        if request != self._way:
            if self._context is not None:
                self._context.close()
            self._context, self._way = None, {}
            self._context = Context(self._model, request["room"], request["ubatch"], request["flash"], request["kv"], self._threads)
            self._way = request
        return {}

    @property
    def context(self) -> Context:
        if self._context is None:
            raise LlamaError("no way was asked for")
        return self._context

    def _timed(self, ids: list[int]) -> float:
        begin = time.perf_counter()
        self.context.advance(ids)
        return time.perf_counter() - begin

    def _prefill(self, request: dict[str, Any]) -> dict[str, Any]:
        ids = self._ids[: request["tokens"]]
        seconds = []
        for _ in range(request["rounds"] + 1):
            self.context.clear()
            seconds.append(self._timed(ids))
        # The first one plans graphs and touches memory.
        return {"seconds": seconds[1:]}

    def _decode(self, request: dict[str, Any]) -> dict[str, Any]:
        cached = request["tokens"] - 1
        self.context.clear()
        self.context.advance(self._ids[:cached])
        seconds = []
        for round_number in range(request["rounds"] + 1):
            seconds.append(self._timed([self._ids[cached + round_number]]))
            self.context.forget_behind(cached)
        return {"seconds": seconds[1:]}

    def _losses(self, request: dict[str, Any]) -> dict[str, Any]:
        ids = request["ids"]
        self.context.clear()
        logits = self.context.run_for_all_logits(ids)[:-1].astype(np.float64)
        most = logits.max(axis=1)
        logs = np.log(np.exp(logits - most[:, None]).sum(axis=1)) + most
        return {"nats": [float(value) for value in logs - logits[np.arange(len(ids) - 1), ids[1:]]]}

    def _greedy(self, request: dict[str, Any]) -> dict[str, Any]:
        self.context.clear()
        found = [int(self.context.run(request["ids"]).argmax())]
        while len(found) < request["count"]:
            found.append(int(self.context.run(found[-1:]).argmax()))
        return {"ids": found}


def main() -> int:
    if len(sys.argv) not in (4, 5):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        library = Library(Path(sys.argv[1]), sys.argv[4] if len(sys.argv) == 5 else "")
        worker = Worker(library, Model(library, Path(sys.argv[2])), int(sys.argv[3]))
    except (LlamaError, OSError) as problem:
        print(json.dumps({"error": str(problem)}), flush=True)
        return 1
    print(json.dumps({"version": library.version, "system": library.system().decode()}), flush=True)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line)) | {"peak_rss_bytes": peak_rss_bytes()}
        except LlamaError as problem:
            answer = {"error": str(problem)}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
