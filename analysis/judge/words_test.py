"""How words of parts make the word of the whole: every rule as a table."""

import unittest

from analysis.judge.words import ClaimWord, Word, combine_cells, combine_pairs, combine_regimes

LETTERS = {
    "F": Word.FASTER, "S": Word.SLOWER, "E": Word.EQUAL, "D": Word.DIFFERS, "?": Word.NOT_RESOLVED, "1": Word.ESTIMATE_ONLY,
    "x": Word.NO_VOTE, "I": Word.INSIDE, "O": Word.OUTSIDE,
}  # fmt: skip


def words(text: str) -> list[Word]:
    return [LETTERS[letter] for letter in text]


class CombinationTest(unittest.TestCase):
    def test_pairs_to_cell(self) -> None:
        """A strict order fails where one of its pairs does."""
        for pairs, cell in {"FF": "F", "F?": "?", "FE": "E", "FS": "S", "E?": "E", "?S": "S", "xF": "F", "xx": "x", "F1": "1",
                            "ED": "D", "II": "I", "IO": "O"}.items():  # fmt: skip
            with self.subTest(pairs):
                self.assertIs(combine_pairs(words(pairs)), LETTERS[cell])

    def test_cells_to_regime(self) -> None:
        for cells, pooled, regime in (
            ("FFF", "?", "F"),  # all alike: nothing to pool
            ("EE", "F", "E"),
            ("FS", "?", "D"),
            ("FS?", "F", "D"),
            ("F??", "F", "F"),
            ("S??", "F", "D"),  # one cell is shown to be the other way
            ("F?E", "E", "E"),
            ("FE", "?", "?"),
            ("???", "F", "F"),  # not one of them alone, but all together
            ("???", "?", "?"),
            ("11", "?", "1"),
            ("xF", "?", "F"),
            ("xx", "?", "x"),
            ("IO", "?", "D"),
        ):
            with self.subTest(cells=cells, pooled=pooled):
                self.assertIs(combine_cells(words(cells), LETTERS[pooled]), LETTERS[regime])

    def test_regimes_to_claim(self) -> None:
        for regimes, claim in {
            "FFF": ClaimWord.CONFIRMED, "FxF": ClaimWord.CONFIRMED, "II": ClaimWord.CONFIRMED,
            "S??": ClaimWord.REFUTED, "E": ClaimWord.REFUTED, "SE": ClaimWord.REFUTED, "O?": ClaimWord.REFUTED,
            "FS": ClaimWord.DEPENDS, "FE?": ClaimWord.DEPENDS, "D": ClaimWord.DEPENDS, "FD": ClaimWord.DEPENDS,
            "F?": ClaimWord.OPEN, "??": ClaimWord.OPEN, "11": ClaimWord.OPEN, "xx": ClaimWord.OPEN, "": ClaimWord.OPEN,
        }.items():  # fmt: skip
            with self.subTest(regimes):
                self.assertIs(combine_regimes(words(regimes)), claim)


if __name__ == "__main__":
    unittest.main()
