"""What was measured when, on what: from the manifests."""

from __future__ import annotations

from typing import Any

from analysis.page.records import LINKS, NOT_MEASURED, Record, Results, table

RECORDS = (
    "ordering", "shared_memory", "aa", "kernels", "kernels_long", "kernels_shapes", "kernels_threads", "kernels_bf16", "kernels_decode",
    "kernels_growth", "block_size", "network/unshaped", "network/10gbit", "network/1gbit", "network_ring/shared_memory",
    "network_ring/unshaped", "network_ring/10gbit", "network_ring/1gbit", "network_decode/unshaped",
    "network_decode/10gbit", "network_decode/1gbit", "qwen3_block", "qwen3_model", "decode", "original_threads", "original_blocks",
    "original_memory", "smoke",
)  # fmt: skip


def _row(name: str, record: Record) -> list[str]:
    experiment, _, link = name.partition("/")
    directory = f"{experiment}/reference/{link}".rstrip("/")
    title = f"[{experiment}{f', {LINKS[link]}' if link else ''}](../results/{directory})"
    manifest = record.run.manifest
    facts = record.launch_facts()
    started = str(facts.get("started", ""))[:10]
    per_cycle = facts.get("flop_per_cycle")
    widest = max(per_cycle.values()) if isinstance(per_cycle, dict) and per_cycle else None
    return [
        title, str(record.cells), str(record.launches), record.rounds, NOT_MEASURED if widest is None else f"{widest:.0f}",
        f"`{str(manifest['git_revision'])[:9]}`", started,
    ]  # fmt: skip


def values(results: Results) -> dict[str, str]:
    records = {name: results.record(name) for name in RECORDS}
    facts = [record.launch_facts() for record in records.values()]
    # Virtual machines do not always say what caches they have.
    known: list[dict[str, Any]] = next((fact["caches"] for fact in facts if fact["caches"]), [])
    caches = [cache for cache in known if cache["type"] != "Instruction"]
    sizes = ", ".join(f"L{cache['level']} {cache['bytes'] // 1024} KiB" for cache in caches)
    peaks = results.record("ordering").launch_facts()["one_core_peak_gflops"]
    return {
        "machine.records_table": table(
            ["record", "cells", "launches", "rounds per launch", "FLOP a cycle", "revision", "measured on"],
            [_row(name, record) for name, record in records.items()],
        ),
        "machine.cpu": ", ".join(sorted({str(fact.get("cpu")) for fact in facts})),
        "machine.caches": sizes,
        "machine.mpi": ", ".join(sorted({str(fact.get("mpi")) for fact in facts})),
        "machine.compiler": ", ".join(sorted({str(record.run.manifest.get("compiler")) for record in records.values()})),
        "machine.cores": str(max(_cpus(str(host["cpus"])) for fact in facts for host in fact["hosts"])),
        "machine.peak_avx512": f"{peaks['avx512']:.0f} GFLOP/s",
        "machine.peak_avx2": f"{peaks['avx2']:.0f} GFLOP/s",
    }


def _cpus(text: str) -> int:
    """Of a list such as '0-1,4'."""
    total = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total
