"""The library that makes the page interactive, from Debian's package, to be put into the page itself.

D3 and not Chart.js (libjs-chart.js): Chart.js draws on a canvas, which prints as a bitmap, has no text for a screen reader
and needs its script to show anything. Here every drawing is SVG and every map a table made when the page is written, so it
is complete without a script; D3 only binds sorting, filters, hints, the chooser and the samples to what is there. It also
joins data to the page as text, never as markup. jQuery's tables (libjs-jquery-datatables) would bring two libraries for less.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = "node-d3"
D3 = Path("/usr/share/nodejs/d3/dist/d3.min.js")


def read_library(path: Path = D3) -> str | None:
    """Its text; None where the package is not installed, as on a cluster without root."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    # Inside <script> only this sequence ends it; between quotes the two mean the same.
    return text.replace("</script", "<\\/script")
