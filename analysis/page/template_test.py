"""Templates: what is filled in, what is refused, and that a typed figure is found wherever it hides."""

from __future__ import annotations

import unittest

from analysis.page.template import BadTemplate, placeholders, render, typed_numbers

HEAD = "For the editor: 90 % of this is left out.\n---\n"


class RenderTest(unittest.TestCase):
    def test_values_are_filled_in_and_the_head_is_left_out(self) -> None:
        page = render(HEAD + "# Title\n\nIt takes {{a.time}}.\n\n{{a.table}}\n", {"a.time": "5 ms", "a.table": "| x |"}, "made")
        self.assertEqual(page, "<!-- made -->\n# Title\n\nIt takes 5 ms.\n\n| x |\n")

    def test_a_block_that_comes_to_nothing_is_left_out(self) -> None:
        page = render(HEAD + "one\n\n{{a.table}}\n\ntwo\n", {"a.table": ""}, "made")
        self.assertEqual(page, "<!-- made -->\none\n\ntwo\n")

    def test_running_text_is_broken_anew_and_lists_stay_lists(self) -> None:
        long = "word " * 40
        page = render(HEAD + "- one {{a}}\n- two\n  goes on\n\nfour {{a}} five\n\nsix\nseven\n", {"a": long.strip()}, "made")
        lines = page.splitlines()
        self.assertTrue(all(len(line) <= 120 for line in lines))
        self.assertEqual(sum(line.startswith("- ") for line in lines), 2)
        self.assertIn("- two goes on", lines)
        self.assertEqual(lines[-2:], ["six", "seven"])

    def test_a_value_that_is_missing_is_named(self) -> None:
        with self.assertRaisesRegex(BadTemplate, "no value for b, c"):
            render(HEAD + "{{a}} {{b}} {{c}}", {"a": ""}, "made")

    def test_a_template_without_a_head_is_refused(self) -> None:
        with self.assertRaisesRegex(BadTemplate, "head"):
            placeholders("{{a}}")


class TypedNumbersTest(unittest.TestCase):
    def found(self, text: str) -> list[str]:
        return typed_numbers(HEAD + text)

    def test_typed_figures_are_found(self) -> None:
        for text in (
            "it reaches 92 % of the peak",
            "it is 1.10 times as fast",
            "between 0.84 and {{b}}",
            "| {{a}} | 0.84 to 1.03 |",
            "**1.10**",
            "(2x)",
            "a gain of ten per cent",
            "half of the peak",
            "five launches",
            "twelve rounds",
            "512 tokens",
            "[up to 92](docs/results.md)",
            "- 12 on a list",
            "1. 12 on a list",
            "# In 2026",
            "Qwen3-0.6B takes 0.6 of it",
            "AVX-5120",
            "Debian 12 % faster",
            "`495 tokens/s`",
            "$92$ %",
            "it is $1.10$ as large",
            "$5$ and 6",
            "as in [@liu20234]",
            "$T = 12 ms$",
            "    ./reproduce   # takes 12 s, about 5 seconds",
            "```\nspeed: 12 ms\n```",
        ):
            with self.subTest(text):
                self.assertTrue(self.found(text))

    def test_names_code_and_values_are_not(self) -> None:
        for text in (
            "Qwen3-0.6B and Qwen3-8B on AVX2 and AVX-512, in bf16 or fp32, against float64.",
            "A fresh Debian 12 with GCC 12 or clang 14, C++20, Bazel 4.2; Apache-2.0.",
            "It takes {{a.b}} of {{c}}.",
            "See [the page](docs/page2.md), `8 (P-1)/P S K D` bytes.",
            "1. first\n2. second",
            r"It sends $8 \frac{P-1}{P} S K D$ bytes [@liu2023; @li2021].",
            "    mpirun -np 2 binary --seq-len 1024",
            "```yaml\nseq_len: [512, 1024]\n```",
            "Two ranks of one core each; half the width.",
        ):
            with self.subTest(text):
                self.assertEqual(self.found(text), [])

    def test_the_line_is_named(self) -> None:
        self.assertEqual(self.found("fine\n\nnot 5\n"), ["line 5: 5"])


if __name__ == "__main__":
    unittest.main()
