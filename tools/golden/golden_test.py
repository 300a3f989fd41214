"""The reference obeys the definition's identities, and the checked-in goldens are what it makes."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np

from tools.golden import make_goldens, safetensors_io
from tools.golden import qwen3_reference as reference
from tools.golden.qwen3_reference import Config

TESTDATA = Path("src/qwen3/testdata")


class ReferenceTest(unittest.TestCase):
    def test_rotary_keeps_length_and_depends_on_distance_only(self) -> None:
        rng = np.random.default_rng(0)
        q, k = rng.standard_normal((2, 1, 1, 1, 80))

        def turned(x: np.ndarray, position: int) -> np.ndarray:
            return reference.rotary(x, np.array([position]), 1e6)[0, 0, 0]

        self.assertAlmostEqual(np.linalg.norm(turned(q, 1000)), np.linalg.norm(q), places=12)
        self.assertAlmostEqual(turned(q, 7) @ turned(k, 3), turned(q, 1007) @ turned(k, 1003), places=9)

    def test_rotary_first_pair_turns_by_the_position(self) -> None:
        x = np.zeros((1, 1, 3, 8))
        x[..., 0] = 1
        turned = reference.rotary(x, np.arange(3), 1e6)[0, 0]
        np.testing.assert_allclose(turned[:, 0], np.cos([0, 1, 2]))
        np.testing.assert_allclose(turned[:, 4], np.sin([0, 1, 2]))

    def test_one_token_attends_to_itself(self) -> None:
        rng = np.random.default_rng(1)
        config = Config(hidden_size=6, num_attention_heads=4, num_key_value_heads=2, head_dim=4)
        weights = make_goldens.layer_weights(rng, config, "", 1.0)
        hidden = rng.standard_normal((1, 1, 6))
        value = (hidden @ weights["self_attn.v_proj.weight"].T).reshape(2, 4)
        expected = np.repeat(value, 2, axis=0).reshape(-1) @ weights["self_attn.o_proj.weight"].T
        actual = reference.attention_block(hidden, weights, "self_attn.", config)
        np.testing.assert_allclose(actual[0, 0], expected)

    def test_causal_output_ignores_later_tokens(self) -> None:
        rng = np.random.default_rng(2)
        config = Config(hidden_size=6, num_attention_heads=2, num_key_value_heads=1, head_dim=4)
        weights = make_goldens.layer_weights(rng, config, "", 1.0)
        hidden = rng.standard_normal((1, 5, 6))
        whole = reference.attention_block(hidden, weights, "self_attn.", config)
        part = reference.attention_block(hidden[:, :3], weights, "self_attn.", config)
        np.testing.assert_allclose(whole[:, :3], part)

    def test_bfloat16_rounds_to_nearest_even(self) -> None:
        values = np.array([1.0, 1.00390625, 1.01171875, -2.7], dtype=np.float32)
        np.testing.assert_array_equal(
            safetensors_io.round_to_bfloat16(values), np.array([1.0, 1.0, 1.015625, -2.703125], dtype=np.float32)
        )


class CheckedInFilesTest(unittest.TestCase):
    def test_files_are_what_the_generator_makes(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch)
            make_goldens.make_all(made)
            names = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
            checked_in = sorted(str(path.relative_to(TESTDATA)) for path in TESTDATA.rglob("*") if path.is_file())
            self.assertEqual(names, checked_in)
            for name in names:
                if not name.endswith(".safetensors"):
                    self.assertEqual((made / name).read_text(), (TESTDATA / name).read_text(), name)
                    continue
                tensors, metadata = safetensors_io.read(made / name)
                expected, expected_metadata = safetensors_io.read(TESTDATA / name)
                self.assertEqual(metadata, expected_metadata)
                self.assertEqual(tensors.keys(), expected.keys())
                for key, values in tensors.items():
                    # Another numpy may sum in another order in float64: one float32 rounding at most.
                    np.testing.assert_allclose(values, expected[key], rtol=2e-7, atol=1e-9, err_msg=f"{name} {key}")


if __name__ == "__main__":
    unittest.main()
