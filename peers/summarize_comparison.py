"""Summary and plot of peers/compare: ours over each peer, with 95 % intervals.

Reads samples.csv of a directory (one row per contestant and round of a column), writes summary.csv and
comparison.svg beside it, prints the table.
"""

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import pandas as pd  # noqa: E402
from scipy.stats import binom  # noqa: E402

OURS = "ours"
CONFIDENCE = 0.95
TITLES = {
    "ours": "ours, online_softmax",
    "ours_row_blocked": "ours, row_blocked",
    "onednn": "oneDNN 2.6 composite",
    "openblas": "OpenBLAS 0.3.21 composite",
    "onnxruntime": "ONNX Runtime 1.30",
    "pytorch": "PyTorch 1.13",
}
MARKERS = {"ours": "o", "ours_row_blocked": "s", "onednn": "^", "openblas": "v", "onnxruntime": "D", "pytorch": "x"}


def median_interval(values: list[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Median and its exact interval from order statistics; no distribution assumed.

    The median lies between the (k+1)-th smallest and the (k+1)-th largest of n values unless at most k of them fall on
    one side: probability 2 P(Binomial(n, 1/2) <= k), and k is the largest for which that is within 1 - confidence.
    With fewer than 6 values no such k exists at 95 %: the interval is (nan, nan).
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        raise ValueError("no values to take a median of")
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    k = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    while k >= 0 and 2 * binom.cdf(k, n, 0.5) > 1 - confidence:
        k -= 1
    if k < 0:
        return middle, float("nan"), float("nan")
    return middle, ordered[k], ordered[n - 1 - k]


def is_decode(column: str) -> bool:
    return column.startswith("decode")


def summarize(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per column and contestant.

    ratio_ours_over_peer: median over rounds of peer's time / our time in the same round; over 1, ours is faster.
    """
    rows: list[dict[str, object]] = []
    for column, of_column in samples.groupby("column", sort=False):
        times = of_column.pivot(index="round", columns="contestant", values="time_s")
        for contestant, own in of_column.groupby("contestant", sort=False):
            limit = "pct_read_bandwidth" if is_decode(str(column)) else "pct_peak"
            percent, low, high = median_interval(own[limit].tolist())
            row: dict[str, object] = {
                "column": column,
                "contestant": contestant,
                "way": own["way"].iloc[0],
                "rounds": len(own),
                "median_time_s": own["time_s"].median(),
                "median_gflops": own["gflops"].median(),
                "median_kv_gb_per_s": own["kv_gb_per_s"].median(),
                "limit": limit,
                "pct_of_limit": percent,
                "pct_of_limit_low": low,
                "pct_of_limit_high": high,
            }
            if OURS in times and contestant != OURS:
                paired = (times[contestant] / times[OURS]).dropna().tolist()
                ratio, ratio_low, ratio_high = median_interval(paired)
                row |= {
                    "ratio_ours_over_peer": ratio,
                    "ratio_low": ratio_low,
                    "ratio_high": ratio_high,
                }
            rows.append(row)
    return pd.DataFrame(rows)


def is_peer(contestant: str) -> bool:
    return not contestant.startswith(OURS)


def lines_of_table(summary: pd.DataFrame) -> list[str]:
    """The comparison as text: per column the fractions of the limit, then the ratios."""
    lines: list[str] = []
    for column, of_column in summary.groupby("column", sort=False):
        unit = "read bandwidth" if is_decode(str(column)) else "FMA peak"
        lines.append(f"{column}: per cent of {unit}; ours/peer speed with its 95 % interval")
        for _, row in of_column.sort_values("pct_of_limit", ascending=False).iterrows():
            text = f"  {row['contestant']:<17}{row['pct_of_limit']:6.1f} [{row['pct_of_limit_low']:.1f}, "
            text += f"{row['pct_of_limit_high']:.1f}]"
            if pd.notna(row.get("ratio_ours_over_peer")):
                text += f"   {row['ratio_ours_over_peer']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
            lines.append(f"{text}   {row['way']}")
    if "ratio_low" in summary:
        peers = summary[summary["contestant"].map(is_peer)]
        behind = peers[~(peers["ratio_low"] > 1)]
        if behind.empty:
            names = ", ".join(sorted(set(peers["contestant"])))
            lines.append(f"Ours is ahead of every peer measured ({names}) in every column: every interval is above 1.")
        else:
            names = ", ".join(f"{row['contestant']} in {row['column']}" for _, row in behind.iterrows())
            lines.append(f"Ours is not shown to be ahead of: {names}.")
    return lines


def draw(summary: pd.DataFrame, path: Path) -> None:
    """Per cent of the machine's limit; the top of each axis is the limit."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), width_ratios=[2, 2, 1])
    panels = [("full", "full attention"), ("causal", "causal attention"), ("decode", "decode, 1 query")]
    for axis, (prefix, title) in zip(axes, panels):
        of_panel = summary[summary["column"].str.startswith(prefix + "_")]
        columns = list(dict.fromkeys(of_panel["column"]))
        lengths = [int(column.split("_")[1]) for column in columns]
        for contestant, rows in of_panel.groupby("contestant", sort=False):
            positions = [columns.index(column) for column in rows["column"]]
            below = rows["pct_of_limit"] - rows["pct_of_limit_low"]
            above = rows["pct_of_limit_high"] - rows["pct_of_limit"]
            axis.errorbar(
                positions,
                rows["pct_of_limit"],
                yerr=[below.fillna(0), above.fillna(0)],
                label=TITLES.get(str(contestant), str(contestant)),
                marker=MARKERS.get(str(contestant), "."),
                linestyle="none",  # lengths between these were not measured
                capsize=2,
                color="black" if contestant == OURS else None,
            )
        axis.set_title(title)
        axis.set_ylim(0, 100)
        axis.set_xticks(range(len(columns)), [str(length) for length in lengths])
        axis.set_xlim(-0.5, max(len(columns), 1) - 0.5)
        axis.set_xlabel("keys" if prefix == "decode" else "sequence length")
        axis.set_ylabel(f"per cent of {'read bandwidth' if prefix == 'decode' else 'FMA peak'}")
        axis.grid(axis="y", alpha=0.3)
    handles, labels = next((h, l) for h, l in (a.get_legend_handles_labels() for a in axes) if h)
    figure.legend(handles, labels, loc="lower center", ncol=len(handles), frameon=False, fontsize=8)
    figure.suptitle("One thread, batch 1, 16 query / 8 KV heads, head_dim 128, fp32", fontsize=10)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where samples.csv is")
    directory: Path = parser.parse_args().directory
    try:
        samples = pd.read_csv(directory / "samples.csv")
    except (OSError, pd.errors.EmptyDataError) as error:
        print(f"summarize_comparison: {directory / 'samples.csv'}: {error}", file=sys.stderr)
        return 2
    summary = summarize(samples)
    summary.to_csv(directory / "summary.csv", index=False, float_format="%.6g")
    draw(summary, directory / "comparison.svg")
    print("\n".join(lines_of_table(summary)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
