"""argparse whose help, too, ends in one line where standard output takes no more."""

from __future__ import annotations

import argparse
from typing import Any

from analysis.show.text_table import print_quietly


class QuietParser(argparse.ArgumentParser):
    """As every command here reads its arguments."""

    def print_help(self, file: Any = None) -> None:
        if file is None:
            print_quietly(self.format_help().rstrip("\n"))
        else:
            super().print_help(file)
