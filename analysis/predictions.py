#!/usr/bin/python3
"""How good the choices of a run's automatic variants were, as Markdown.

usage: predictions.py RUN_DIR...

A row for each candidate that was measured in the cell it is a candidate of: what the cost model predicted, what it took, and
by how much the prediction is off. Then all of them together: the median and the 90th percentile of the absolute error, the
share within 7 %, and of the choices the share that is at most 2 % slower than the fastest candidate of the cell.
So the experiment file names the candidates beside `auto`. Exit status: 0, or 2 for input that cannot be used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

# Run as a script, Python finds only this directory; the modules are named from the directory above.
sys.path.insert(0, str(Path(__file__).absolute().parent.parent))

from analysis.estimate.predictions import ChoiceResult, Prediction, predictions, results_of_choices, summary
from analysis.read.csv_table import UnusableInput
from analysis.read.read_run import read_run
from analysis.show.text_table import markdown_table, print_quietly

WITHIN = 0.07
MOST_REGRET = 0.02
_SHOWN_FACTORS = ("model", "phase", "contract", "dtype", "seq_len", "mask", "ranks", "nodes")


def table(found: Sequence[Prediction], chosen: Sequence[ChoiceResult]) -> list[str]:
    """Rows in the order of the manifest; `*` is what was chosen."""
    best = {choice.case: choice.chosen for choice in chosen}
    shown = [
        name for name in _SHOWN_FACTORS if len({prediction.factors.get(name, "") for prediction in found}) > 1
    ]
    rows = [
        [
            *(prediction.factors.get(name, "") for name in shown),
            prediction.variant + (" *" if best.get(prediction.case) == prediction.variant else ""),
            f"{1e3 * prediction.predicted_s:.3g}",
            f"{1e3 * prediction.measured_s:.3g}",
            f"{100 * prediction.error:+.1f}",
        ]
        for prediction in found
    ]
    return markdown_table([*shown, "variant", "predicted ms", "measured ms", "error %"], rows)


def verdict(found: Sequence[Prediction], chosen: Sequence[ChoiceResult]) -> list[str]:
    """What they come to together."""
    total = summary([prediction.error for prediction in found], WITHIN)
    lines = [
        f"{len(found)} predictions: {100 * total.median_error:.1f} % off in the median, "
        f"{100 * total.error_at_90_percent:.1f} % at the 90th percentile; {100 * total.within:.0f} % within {100 * WITHIN:.0f} %."
    ]
    if chosen:
        good = sum(choice.regret <= MOST_REGRET for choice in chosen)
        worst = max(chosen, key=lambda choice: choice.regret)
        lines.append(
            f"{len(chosen)} choices: {good} at most {100 * MOST_REGRET:.0f} % slower than the fastest candidate measured; the worst, "
            f"{worst.chosen} for {worst.fastest}, {100 * worst.regret:.1f} % slower."
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print_quietly(__doc__ or "")
        return 0 if arguments else 2
    found: list[Prediction] = []
    chosen: list[ChoiceResult] = []
    try:
        for argument in arguments:
            run = read_run(Path(argument))
            found += predictions(run)
            chosen += results_of_choices(run)
    except UnusableInput as problem:
        print(f"predictions.py: {problem}", file=sys.stderr)
        return 2
    if not found:
        print_quietly("No automatic variant has a candidate that was measured.")
        return 0
    print_quietly("\n".join([*table(found, chosen), "", *verdict(found, chosen)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
