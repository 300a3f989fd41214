#!/usr/bin/python3
"""Whole Qwen3 models beside llama.cpp on the same cores: the same weights, logits first, then times in turn.

`peers/compare_model` installs, builds and calls this; its --help says what comes out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Sequence

# Run as a script, Python finds only this directory; the modules are named from the repository's top.
sys.path.insert(0, str(Path(__file__).absolute().parents[2]))

from peers.comparison_manifest import caches, first_value, git_state
from peers.model_race.checkpoint import SHAPES, write_checkpoint
from peers.model_race.columns import Column, Way, columns_named, shorter, tried_for, way_named, ways_of
from peers.model_race.ours import OurSide, Times
from peers.model_race.summary import LLAMA, OURS, Sample, read_samples, results, table, write_samples
from peers.model_race.workers import LlamaWorker, RaceError

WORKER = Path(__file__).absolute().parent / "llama_worker.py"
# ggml scores its builds for a CPU and takes the best; that of AVX2 alone has been faster where prompts are short.
BUILDS = ("", "haswell")
_PROMPTS, _GREEDY = 5, 16


def allowed_nats(dtype: str, way: Way) -> float:
    """How far -ln p of a token may be apart. float32: sums in another order move logits of size 1 by 1e-5. Flash attention and f16
    caches round to 2^-11 of a number, and what takes bf16 to 2^-8, at other places than ours; over 28 layers these add up."""
    if dtype == "bf16" or way.kv == "bf16":
        return 0.1
    return 0.02 if way.flash or way.kv == "f16" else 1e-3


class Race:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._columns: list[Column] = options.columns
        self._output: Path = options.output
        self._ours = OurSide([str(options.benchmark)], self._output / "ours", options.threads)

    @property
    def dtypes(self) -> list[str]:
        return list(dict.fromkeys(column.dtype for column in self._columns))

    def weights(self, dtype: str) -> Path:
        directory: Path = self._options.weights / self._options.shape / dtype
        return directory

    def worker(self, dtype: str, build: str) -> LlamaWorker:
        return LlamaWorker(WORKER, self._options.libraries, self.weights(dtype) / "model.gguf", self._options.threads, build)

    def begin(self) -> None:
        """The manifest; refuses to go on with another one's race."""
        path = self._output / "manifest.json"
        with self.worker(self.dtypes[0], "") as worker:
            hello = worker.hello
        manifest = {
            "schema_version": 1,
            "git": _git(),
            "shape": self._options.shape,
            "threads": self._options.threads,
            "cores": os.cpu_count(),
            "cpu": {"model": first_value("/proc/cpuinfo", "model name"), "family": first_value("/proc/cpuinfo", "cpu family"), "caches": caches()},
            "llama": {"version": hello["version"], "system": hello["system"]},
            "agreement": [],
        }
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            for key, value in manifest.items():
                if key != "agreement" and before.get(key) != value:
                    raise RaceError(f"{path}: another race: '{key}' was {before.get(key)} and is {value}; choose another --output")
        else:
            path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

    def agree(self, dtype: str, way: Way, texts: bool) -> None:
        """Raises RaceError if the two compute different models. What is found goes into the manifest."""
        generator = random.Random(5)
        vocabulary = SHAPES[self._options.shape].vocabulary
        ids = [generator.randrange(vocabulary) for _ in range(64)]
        prompts = [[generator.randrange(vocabulary) for _ in range(8)] for _ in range(_PROMPTS)] if texts else []
        with self.worker(dtype, way.build) as worker:
            worker.set_way(way, 512)
            theirs = worker.ask(do="losses", ids=ids)["nats"]
            greedy = [worker.ask(do="greedy", ids=prompt, count=_GREEDY)["ids"] for prompt in prompts]
        own = self._ours.losses(self.weights(dtype), dtype, ids)
        if len(own) != len(theirs):
            raise RaceError(f"{dtype}: {len(own)} tokens were scored by ours, {len(theirs)} by llama.cpp")
        apart = [abs(one - other) for one, other in zip(own, theirs)]
        allowed = allowed_nats(dtype, way)
        # Not max(apart): it passes over what is no number.
        worst = next((value for value in apart if not value <= allowed), max(apart))
        print(f"{dtype}, {way.name}: -ln p of {len(own)} tokens at most {worst:.2g} nats apart", flush=True)
        if not worst <= allowed:
            raise RaceError(f"{dtype}, {way.name}: {worst:.3g} nats apart, allowed are {allowed:g}: not the same model")
        entry: dict[str, Any] = {"dtype": dtype, "way": way.name, "most_nats_apart": worst, "allowed": allowed}
        if prompts:
            alike = sum(self._ours.greedy(self.weights(dtype), dtype, prompt, _GREEDY) == text for prompt, text in zip(prompts, greedy))
            print(f"{dtype}: {alike} of {len(prompts)} greedy texts equal", flush=True)
            entry |= {"prompts": len(prompts), "equal_texts": alike}
        self._note(entry)

    def _note(self, entry: dict[str, Any]) -> None:
        path = self._output / "manifest.json"
        manifest = json.loads(path.read_text(encoding="utf-8"))
        others = [known for known in manifest["agreement"] if (known["dtype"], known["way"]) != (entry["dtype"], entry["way"])]
        manifest["agreement"] = others + [entry]
        path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

    def choose_ways(self) -> dict[Column, Way]:
        """llama.cpp's fastest for each column; ways.csv has all that were tried, and is read again if it is there."""
        given: Path | None = self._options.ways
        if given is not None and not given.exists():
            raise RaceError(f"{given}: no such file; --ways takes the ways.csv of an earlier race")
        tried = _read_ways(given or self._output / "ways.csv")
        builds = [build for build in BUILDS if not build or (self._options.libraries / f"libggml-cpu-{build}.so").exists()]
        for column in self._columns:
            wanted = tried_for(column)
            for target in dict.fromkeys((shorter(wanted), wanted)):
                if any(name == target.name for name, _ in tried):
                    continue
                print(f"{target.name}: trying llama.cpp's ways", flush=True)
                tried |= self._try(target, ways_of(target, builds, _fastest(tried, shorter(wanted))))
                _write_ways(self._output / "ways.csv", tried)
        _write_ways(self._output / "ways.csv", tried)
        return {column: _fastest(tried, tried_for(column))[0] for column in self._columns}

    def _try(self, column: Column, ways: Sequence[Way]) -> dict[tuple[str, Way], float]:
        """A process for each: some combinations are refused, and some end it."""
        found: dict[tuple[str, Way], float] = {}
        complaint = RaceError("nothing was tried")
        for way in ways:
            try:
                with self.worker(column.dtype, way.build) as worker:
                    worker.set_way(way, column.tokens)
                    found[column.name, way] = min(worker.times(column, 1 if column.tokens > 1024 else 3))
            except RaceError as problem:
                complaint = problem
        if not found:
            raise RaceError(f"{column.name}: llama.cpp runs it in no way: {complaint}")
        return found

    def run(self, ways: dict[Column, Way]) -> None:
        samples = read_samples(self._output / "samples.csv")
        done = {(sample.launch, sample.column) for sample in samples}
        begun = time.monotonic()
        for launch in range(self._options.launches):
            # In another order each time.
            for column in random.sample(self._columns, len(self._columns)):
                if (launch, column.name) in done:
                    continue
                if time.monotonic() - begun > 60 * self._options.minutes:
                    print(f"{self._options.minutes:g} minutes are over; the same command goes on", flush=True)
                    return
                print(f"launch {launch + 1} of {self._options.launches}, {column.name}", flush=True)
                samples += self._launch(launch, column, ways[column])
                write_samples(self._output / "samples.csv", samples)

    def _launch(self, launch: int, column: Column, way: Way) -> list[Sample]:
        """Both sides, or neither."""
        found = []
        for place, side in enumerate(random.sample((OURS, LLAMA), 2)):
            times = self._ours.measure(column, self.weights(column.dtype)) if side == OURS else self._run_llama(column, way)
            name = way.name if side == LLAMA else ""
            found += [
                Sample(launch, column.name, side, name, place, number, seconds, times.peak_rss_bytes)
                for number, seconds in enumerate(times.seconds)
            ]
        return found

    def _run_llama(self, column: Column, way: Way) -> Times:
        with self.worker(column.dtype, way.build) as worker:
            worker.set_way(way, column.tokens)
            seconds = worker.times(column, 9 if column.phase == "decode" else max(1, min(5, 2048 // column.tokens)))
            return Times(seconds, worker.peak_rss_bytes)


def _git() -> dict[str, object]:
    try:
        return git_state()
    except (OSError, subprocess.CalledProcessError):
        return {"revision": "unknown", "dirty": True}


def _fastest(tried: dict[tuple[str, Way], float], column: Column) -> list[Way]:
    return [way for (name, way), _ in sorted(tried.items(), key=lambda item: item[1]) if name == column.name]


def _read_ways(path: Path) -> dict[tuple[str, Way], float]:
    if not path.exists():
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        return {(row["column"], way_named(row["way"])): float(row["time_s"]) for row in csv.DictReader(file)}


def _write_ways(path: Path, tried: dict[tuple[str, Way], float]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("column", "way", "time_s"))
        writer.writerows((name, way.name, f"{seconds:.6f}") for (name, way), seconds in tried.items())


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _columns(text: str) -> list[Column]:
    try:
        return columns_named(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", type=Path, required=True, help="of llama.cpp")
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="where checkpoints are made, some 7 GB")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--columns", type=_columns, default=columns_named("all"))
    parser.add_argument("--launches", type=_positive, default=8)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--ways", type=Path)
    parser.add_argument("--threads", type=_positive, default=2)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen3-0.6b")
    return parser.parse_args(arguments)


def _race(options: argparse.Namespace) -> None:
    race = Race(options)
    for dtype in race.dtypes:
        write_checkpoint(race.weights(dtype), SHAPES[options.shape], dtype)
    race.begin()
    plain = {(dtype, Way("", False, "f32" if dtype == "fp32" else "bf16", 512)): None for dtype in race.dtypes}
    for dtype, way in plain:
        race.agree(dtype, way, texts=True)
    ways = race.choose_ways()
    racing = dict.fromkeys((column.dtype, Way(way.build, way.flash, way.kv, 512)) for column, way in ways.items())
    for dtype, way in racing:
        if (dtype, way) not in plain:
            race.agree(dtype, way, texts=False)
    race.run(ways)


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        _race(options)
    except (RaceError, OSError) as problem:
        print(f"compare_model: {problem}", file=sys.stderr)
        return 1
    lines = table(results(read_samples(options.output / "samples.csv")))
    (options.output / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
