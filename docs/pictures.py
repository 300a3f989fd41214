"""Draws the pictures of the README: the rooms, and each strategy's data movement. Writes docs/*.svg.

Run: /usr/bin/python3 docs/pictures.py
"""

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


def save(figure: plt.Figure, name: str) -> None:
    # A fixed hash salt and no date: the same picture gives the same file.
    figure.savefig(HERE / name, metadata={"Date": None}, bbox_inches="tight", facecolor="white")
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
    figure, axes = plt.subplots(figsize=(10.0, 5.0))
    axes.set_xlim(-0.1, 10)
    axes.set_ylim(0, 5)
    axes.axis("off")
    blue, green, sand = "#DCE9F5", "#E3F1E0", "#FBEFD9"
    box(axes, 0.0, 3.9, 2.35, 0.9, "experiments/*.yaml", "strategies, algorithms, ISAs,\nsizes, expected order", sand)
    box(axes, 3.0, 3.9, 4.0, 0.9, "src/experiment", "YAML -> plan -> runner: timing, accuracy, guards", blue)
    box(axes, 7.9, 3.9, 2.0, 0.9, "results/", "samples.csv  cases.csv\nmanifest.json", sand)
    box(axes, 3.0, 2.75, 4.0, 0.8, "src/qwen3", "weights, QK-norm, RoPE, block, layer, model", blue)
    box(axes, 3.0, 1.6, 4.0, 0.8, "src/parallel", "who owns what + how it moves = the strategies", blue)
    box(axes, 3.0, 0.1, 1.9, 1.1, "src/kernels", "one rank's attention\nper ISA; float64\nreference", blue)
    box(axes, 5.1, 0.1, 1.9, 1.1, "src/mpi", "communicators,\nstrided transfers,\nbyte counters", blue)
    box(axes, 7.9, 2.4, 2.0, 0.9, "analysis/", "paired ratios, intervals,\nverdict per claim", green)
    box(axes, 7.9, 0.9, 2.0, 0.9, "paper/, README", "every number\nis generated", green)
    arrow(axes, (2.42, 4.35), (2.95, 4.35))
    arrow(axes, (7.05, 4.35), (7.85, 4.35))
    arrow(axes, (8.9, 3.85), (8.9, 3.35))
    arrow(axes, (8.9, 2.35), (8.9, 1.85))
    for start, end in [((5, 3.85), (5, 3.6)), ((5, 2.7), (5, 2.45)), ((4, 1.55), (4, 1.25)), ((6, 1.55), (6, 1.25))]:
        arrow(axes, start, end)
    axes.text(1.1, 2.1, "Includes only\ngo down.\n\nKernels know no MPI;\nstrategies know no\nYAML or CSV.", ha="center", va="center", fontsize=9, color=INK)
    save(figure, "rooms.svg")


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


def heads_dealt() -> list[list[int]]:
    return [[h] * 8 for h in range(RANKS)]


def tokens_dealt(zigzag: bool = False) -> list[list[int]]:
    ranks = [min(c, 2 * RANKS - 1 - c) if zigzag else c // 2 for c in range(2 * RANKS)]
    return [ranks for _ in range(RANKS)]


def everywhere() -> list[list[int]]:
    return [[-1] * 8 for _ in range(RANKS)]


def draw_strategies() -> None:
    lines = [
        ("headwise (allgather)", "inputs everywhere; a rank computes its heads;\noutputs are gathered", [(everywhere(), "Q K V"), (heads_dealt(), "computes"), (everywhere(), "output")], "sends its output heads\nto every rank"),
        ("headwise (all_to_all)", "tokens in, tokens out (Ulysses): two\nexchanges swap tokens for heads", [(tokens_dealt(), "Q K V"), (heads_dealt(), "computes"), (tokens_dealt(), "output")], "sends Q, K, V before\nand output after"),
        ("sequence (ring, zigzag)", "a rank keeps its queries; K/V blocks\nrotate past them while it computes", [(tokens_dealt(True), "Q K V"), (tokens_dealt(True), "computes"), (tokens_dealt(True), "output")], "passes K/V on, P-1 times"),
        ("sequence (allgather)", "all K/V gathered first (Llama 3), then each\nrank's queries see them at once", [(tokens_dealt(), "Q K V"), (tokens_dealt(), "computes"), (tokens_dealt(), "output")], "sends its K/V to\nevery rank"),
        ("sequence (merge)", "queries travel; partial results (o, m, l)\nmerge in a fixed order (flash-decoding)", [(tokens_dealt(), "Q K V"), (tokens_dealt(), "computes"), (tokens_dealt(), "output")], "sends Q, then partial\n(o, m, l)"),
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
    save(figure, "strategies.svg")


def main() -> None:
    matplotlib.rcParams["svg.hashsalt"] = "attention"
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", "sans-serif"]
    draw_rooms()
    draw_strategies()


if __name__ == "__main__":
    main()
