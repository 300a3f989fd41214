"""What is compared: slices, each one short run of the binary on one experiment file.

A slice has one cell, whose variants are the cases. Everything but the variant is fixed by the file, so that two revisions
whose CSV files name or spell the other factors differently can still be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

ALGORITHMS = ("online_softmax", "row_blocked", "standard")
GROUPS = ("prefill", "decode", "bf16", "ring", "model")
# Which of them are run if the machine has them.
ISAS = ("avx2", "avx512")


@dataclass(frozen=True)
class Slice:
    """One cell of the binary and how it is visited."""

    group: str
    title: str  # of the cell, for people: "512 causal avx512"
    variants: tuple[str, ...]
    seq_len: int
    samples: int  # in one visit
    visits: int = 1  # in one round: what is short is visited more often, it costs little and jumps most
    causal: bool = True
    isa: str = "auto"
    dtype: str = "fp32"
    phase: str = "prefill"
    scope: str = "attention"
    threads: int = 1
    ranks: int = 1
    quick: bool = False  # part of --quick

    @property
    def cores(self) -> int:
        return self.ranks * self.threads

    def experiment(self, seed: int) -> str:
        """The experiment file. `seed` draws data and places in memory, the same for both revisions of a visit."""
        variants = ", ".join(f'"{variant}"' for variant in self.variants)
        return f"""\
name: compare_revisions
model: qwen3-0.6b
scope: {self.scope}
phase: {self.phase}
dtype: {self.dtype}
grid:
  variant: [{variants}]
  contract: [native]
  seq_len: [{self.seq_len}]
  causal: [{"true" if self.causal else "false"}]
  isa: [{self.isa}]
  ranks: [{self.ranks}]
  threads: [{self.threads}]
measure: {{warmup: 1, rounds: {self.samples}, parts: false, seed: {seed}}}
accuracy: {{reference_rows: 1}}
"""


def _kernels(group: str, dtype: str, isa: str, shape: tuple[int, int, int], causal: bool, quick: bool) -> Slice:
    """One rank, one thread, every algorithm. `shape`: tokens, samples in a visit, visits in a round."""
    seq_len, samples, visits = shape
    return Slice(
        group=group,
        title=f"{seq_len} {'causal' if causal else 'full'} {isa}",
        variants=tuple(f"headwise(none)+{algorithm}" for algorithm in ALGORITHMS),
        seq_len=seq_len,
        samples=samples,
        visits=visits,
        causal=causal,
        isa=isa,
        dtype=dtype,
        quick=quick,
    )


def all_slices(isas: Sequence[str]) -> list[Slice]:
    """Every slice, kernels on each of `isas`."""
    slices = []
    for isa in isas:
        for causal in (False, True):
            for shape in ((512, 5, 2), (1024, 3, 2), (2048, 2, 1), (4096, 1, 1)):
                quick = shape[0] == 512 or (shape[0] == 2048 and causal)
                slices.append(_kernels("prefill", "fp32", isa, shape, causal, quick))
            for shape in ((512, 5, 1), (2048, 2, 1)):
                slices.append(_kernels("bf16", "bf16", isa, shape, causal, shape[0] == 512))
    for dtype in ("fp32", "bf16"):
        for threads in (1, 2):
            slices.append(
                Slice(
                    group="decode",
                    title=f"32768 keys {dtype} {threads} {'thread' if threads == 1 else 'threads'}",
                    variants=("headwise(none)+online_softmax",),
                    phase="decode",
                    seq_len=32768,
                    samples=15,
                    dtype=dtype,
                    threads=threads,
                    quick=dtype == "fp32" and threads == 1,
                )
            )
    for seq_len, samples in ((2048, 3), (4096, 2)):
        slices.append(
            Slice(
                group="ring",
                title=f"{seq_len} causal 2 ranks",
                variants=("sequence(ring,zigzag)+online_softmax",),
                seq_len=seq_len,
                samples=samples,
                ranks=2,
                quick=seq_len == 2048,
            )
        )
    slices.append(
        Slice(
            group="model",
            title="qwen3-0.6b 128 tokens 2 threads",
            variants=("headwise+online_softmax",),
            scope="model",
            seq_len=128,
            samples=4,
            threads=2,
            quick=True,
        )
    )
    return slices
