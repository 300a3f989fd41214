"""The one exception that says what is wrong with what a command was given."""

from __future__ import annotations


class UnusableInput(Exception):
    """Bad usage or a run directory that cannot be analysed; the message is one line for the user."""

    def __init__(self, message: str) -> None:
        # A quoted field may hold line breaks, and a broken one half the file.
        line = " ".join(message.split())
        super().__init__(line if len(line) <= 500 else line[:497] + "...")
