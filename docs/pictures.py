"""Draws the pictures of the README: the rooms, and each strategy's data movement. Writes docs/*.svg.

Run: /usr/bin/python3 docs/pictures.py
With a file as argument, only what each strategy moves, there, in the format that its name says (paper/build).
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

HERE = Path(__file__).resolve().parent
RANK_COLOURS = ["#4C78A8", "#F58518", "#54A24B", "#B279A2"]
REPLICATED = "#D9D9D9"
INK = "#222222"
RANKS = 4


def save(figure: plt.Figure, path: Path) -> None:
    # A fixed hash salt and no date: the same picture gives the same file.
    date = "Date" if path.suffix == ".svg" else "CreationDate"
    figure.savefig(path, metadata={date: None}, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def box(axes: Axes, x: float, y: float, width: float, height: float, title: str, text: str, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.02", facecolor=colour, edgecolor=INK, linewidth=0.8)
    )
    axes.text(x + width / 2, y + height * 0.66, title, ha="center", va="center", fontsize=11, weight="bold", color=INK)
    axes.text(x + width / 2, y + height * 0.28, text, ha="center", va="center", fontsize=8.5, color=INK)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK, **kwargs: object) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.1, **kwargs))


def draw_rooms() -> None:
    figure, axes = plt.subplots(figsize=(11.5, 6.6))
    axes.set_xlim(-0.1, 11.6)
    axes.set_ylim(-0.15, 6.6)
    axes.axis("off")
    blue, green, sand = "#DCE9F5", "#E3F1E0", "#FBEFD9"
    floors = [
        ("src/experiment", "ask -> plan -> workload -> measure -> record"),
        ("src/qwen3", "checkpoint, linear, decoder: block, layer, model"),
        ("src/parallel", "partition: who owns what; exchanges: how it moves;\ncontracts: where it starts and ends"),
        ("src/kernels", "one rank's attention: layout, threads, simd"),
        ("src/attention", "words, row state and its merge,\nwhat a kernel is asked for, float64 reference"),
    ]
    top, step, height = 5.6, 1.12, 0.86
    left, width = 3.2, 4.8  # of the rooms of src/
    middle, right = left + width / 2, 8.75
    for index, (name, text) in enumerate(floors):
        y = top - index * step
        box(axes, left, y, width, height, name, text, blue)
        if index:
            arrow(axes, (middle, y + step - 0.03), (middle, y + height + 0.01))
    ground = top - len(floors) * step
    foundations = [("base", "buffers,\nviews"), ("simd", "instruction\nsets"), ("mpi", "transfers,\nagreement"), ("machine", "caches,\npeaks")]
    for index, (name, text) in enumerate(foundations):
        box(axes, left + index * 1.22, ground, 1.14, height, name, text, blue)
    arrow(axes, (middle, ground + step - 0.03), (middle, ground + height + 0.01))
    box(axes, 0.0, top, 2.6, height, "experiments/*.yaml", "strategies, algorithms,\nsizes, expected order", sand)
    box(axes, right, top, 2.6, height, "results/", "samples.csv  cases.csv\nmanifest.json", sand)
    box(axes, right, top - 2 * step, 2.6, height + 0.2, "analysis/", "read -> estimate -> judge\n-> show -> page", green)
    box(axes, right, top - 4 * step, 2.6, height + 0.2, "docs/  paper/", "results.md, README, paper:\nevery figure is generated", green)
    arrow(axes, (2.67, top + height / 2), (left - 0.05, top + height / 2))
    arrow(axes, (left + width + 0.07, top + height / 2), (right - 0.05, top + height / 2))
    arrow(axes, (right + 1.3, top - 0.05), (right + 1.3, top - 2 * step + height + 0.25))
    arrow(axes, (right + 1.3, top - 2 * step - 0.05), (right + 1.3, top - 4 * step + height + 0.25))
    axes.text(
        1.3, 2.6, "Includes only\ngo down.\n\nKernels know no MPI;\nstrategies know no\nYAML or CSV.",
        ha="center", va="center", fontsize=9, color=INK,
    )  # fmt: skip
    save(figure, HERE / "rooms.svg")


def grid(axes: Axes, x: float, y: float, owner: list[list[int]], label: str) -> None:
    """A heads x tokens square; owner[head][token] is a rank, or -1 for a copy on every rank."""
    rows, columns = len(owner), len(owner[0])
    cell = 1.2 / columns
    height = 0.8 / rows
    for h in range(rows):
        for t in range(columns):
            rank = owner[h][t]
            colour = REPLICATED if rank < 0 else RANK_COLOURS[rank]
            axes.add_patch(
                Rectangle((x + t * cell, y + (rows - 1 - h) * height), cell, height, facecolor=colour, edgecolor="white", linewidth=0.7)
            )
    axes.text(x + 0.6, y - 0.12, label, ha="center", va="top", fontsize=8.5, color=INK)


def heads_of_ranks() -> list[list[int]]:
    return [[h] * 8 for h in range(RANKS)]


def tokens_of_ranks(zigzag: bool = False) -> list[list[int]]:
    ranks = [min(c, 2 * RANKS - 1 - c) if zigzag else c // 2 for c in range(2 * RANKS)]
    return [ranks for _ in range(RANKS)]


def everywhere() -> list[list[int]]:
    return [[-1] * 8 for _ in range(RANKS)]


def draw_strategies(path: Path) -> None:
    lines = [
        ("headwise (allgather)", "inputs everywhere; a rank computes its heads;\noutputs are gathered", [(everywhere(), "Q K V"), (heads_of_ranks(), "computes"), (everywhere(), "output")], "sends its output heads\nto every rank"),
        ("headwise (all_to_all)", "tokens in, tokens out (Ulysses): two\nexchanges swap tokens for heads", [(tokens_of_ranks(), "Q K V"), (heads_of_ranks(), "computes"), (tokens_of_ranks(), "output")], "sends Q, K, V before\nand output after"),
        ("sequence (ring, zigzag)", "a rank keeps its queries; K/V blocks\nrotate past them while it computes", [(tokens_of_ranks(True), "Q K V"), (tokens_of_ranks(True), "computes"), (tokens_of_ranks(True), "output")], "passes K/V on, P-1 times"),
        ("sequence (allgather)", "all K/V gathered first (Llama 3), then each\nrank's queries see them at once", [(tokens_of_ranks(), "Q K V"), (tokens_of_ranks(), "computes"), (tokens_of_ranks(), "output")], "sends its K/V to\nevery rank"),
        ("sequence (merge)", "queries travel; partial results (o, m, l)\nmerge in a fixed order (flash-decoding)", [(tokens_of_ranks(), "Q K V"), (tokens_of_ranks(), "computes"), (tokens_of_ranks(), "output")], "sends Q, then partial\n(o, m, l)"),
    ]
    figure, axes = plt.subplots(figsize=(10.0, 7.4))
    axes.set_xlim(0, 10)
    axes.set_ylim(0.3, 7.4)
    axes.axis("off")
    for index, (name, text, grids, moved) in enumerate(lines):
        y = 6.0 - index * 1.33
        axes.text(0.05, y + 0.62, name, fontsize=11, weight="bold", va="center", color=INK)
        axes.text(0.05, y + 0.2, text, fontsize=8.5, va="center", color=INK)
        for column, (owner, label) in enumerate(grids):
            x = 3.75 + column * 1.6
            grid(axes, x, y, owner, label)
            if column:
                arrow(axes, (x - 0.36, y + 0.4), (x - 0.05, y + 0.4))
        axes.text(8.3, y + 0.4, moved, fontsize=8.5, va="center", color=INK)
    axes.text(4.35, 7.1, "starts", ha="center", fontsize=10, color=INK)
    axes.text(5.95, 7.1, "works", ha="center", fontsize=10, color=INK)
    axes.text(7.55, 7.1, "ends", ha="center", fontsize=10, color=INK)
    axes.text(8.3, 7.1, "each rank moves", fontsize=10, color=INK)
    for rank in range(RANKS):
        axes.add_patch(Rectangle((0.05 + rank * 0.75, 7.05), 0.16, 0.16, facecolor=RANK_COLOURS[rank]))
        axes.text(0.26 + rank * 0.75, 7.13, f"rank {rank}", fontsize=8.5, va="center", color=INK)
    axes.add_patch(Rectangle((3.05, 7.05), 0.16, 0.16, facecolor=REPLICATED))
    axes.text(3.26, 7.13, "all", fontsize=8.5, va="center", color=INK)
    axes.text(0.05, 6.9, "rows: heads, columns: tokens", fontsize=8, color=INK, va="center")
    save(figure, path)


def main() -> None:
    matplotlib.rcParams["svg.hashsalt"] = "attention"
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", "sans-serif"]
    if len(sys.argv) > 1:
        draw_strategies(Path(sys.argv[1]))
        return
    draw_rooms()
    draw_strategies(HERE / "strategies.svg")


if __name__ == "__main__":
    main()
