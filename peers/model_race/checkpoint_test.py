"""Both files hold the same numbers, at the places that their formats say."""

from __future__ import annotations

import json
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from peers.model_race import checkpoint
from peers.model_race.checkpoint import ALIGNMENT, Shape, tensors, write_checkpoint
from tools.golden import safetensors_io

SHAPE = Shape(12, 4, 2, 6, 20, 31, 2, 0.05)


class Gguf:
    """A reader of its own, from the format's description."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        magic, version = self._take("<4sI")
        assert (magic, version) == (b"GGUF", 3)
        count, pairs = self._take("<QQ")
        self.pairs = {self._text(): self._value() for _ in range(pairs)}
        described = [self._tensor() for _ in range(count)]
        begin = self._at + -self._at % ALIGNMENT
        self.tensors: dict[str, npt.NDArray[np.float32]] = {}
        for name, shape, kind, offset in described:
            assert offset % ALIGNMENT == 0
            size = int(np.prod(shape))
            if kind == 0:
                values = np.frombuffer(data, "<f4", size, begin + offset)
            else:
                assert kind == 30
                values = (np.frombuffer(data, "<u2", size, begin + offset).astype(np.uint32) << 16).view(np.float32)
            self.tensors[name] = values.reshape(shape)

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _text(self) -> str:
        (length,) = self._take("<Q")
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def _value(self) -> object:
        (kind,) = self._take("<I")
        return self._text() if kind == 8 else self._take({4: "<I", 6: "<f"}[kind])[0]

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text()
        (dimensions,) = self._take("<I")
        fastest_first = self._take(f"<{dimensions}Q")
        kind, offset = self._take("<IQ")
        return name, tuple(reversed(fastest_first)), kind, offset


class CheckpointTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def test_both_files_say_the_same(self) -> None:
        whole: dict[str, npt.NDArray[np.float32]] = {}
        for dtype in ("fp32", "bf16"):
            directory = self.directory / dtype
            write_checkpoint(directory, SHAPE, dtype)
            gguf = Gguf((directory / "model.gguf").read_bytes())
            values, _ = safetensors_io.read(directory / "model.safetensors")
            described = tensors(SHAPE, dtype)
            self.assertEqual(set(values), {tensor.name for tensor in described})
            self.assertEqual(set(gguf.tensors), {tensor.gguf_name for tensor in described})
            for tensor in described:
                self.assertEqual(values[tensor.name].shape, tensor.shape)
                np.testing.assert_array_equal(gguf.tensors[tensor.gguf_name], values[tensor.name])
                if dtype == "fp32":
                    whole[tensor.name] = values[tensor.name]
                else:
                    # Eight bits of a number, the first one not stored: at most half of 2^-7 away.
                    np.testing.assert_allclose(values[tensor.name], whole[tensor.name], rtol=2**-8 if len(tensor.shape) > 1 else 0)
            config = json.loads((directory / "config.json").read_text())
            for key, name in (("qwen3.attention.head_count_kv", "num_key_value_heads"), ("qwen3.block_count", "num_hidden_layers"),
                              ("qwen3.attention.key_length", "head_dim"), ("qwen3.rope.freq_base", "rope_theta")):  # fmt: skip
                self.assertEqual(gguf.pairs[key], config[name])
        # Neither zeros nor all the same.
        self.assertAlmostEqual(float(whole["model.layers.1.mlp.up_proj.weight"].std()), SHAPE.deviation, delta=0.01)
        self.assertFalse(np.array_equal(whole["model.layers.0.mlp.up_proj.weight"], whole["model.layers.1.mlp.up_proj.weight"]))

    def test_pieces_join(self) -> None:
        write_checkpoint(self.directory / "whole", SHAPE, "bf16")
        with mock.patch.object(checkpoint, "_PIECE", 7):
            write_checkpoint(self.directory / "pieces", SHAPE, "bf16")
        for name in ("model.gguf", "model.safetensors"):
            self.assertEqual((self.directory / "pieces" / name).read_bytes(), (self.directory / "whole" / name).read_bytes())

    def test_what_is_there_is_kept(self) -> None:
        write_checkpoint(self.directory, SHAPE, "fp32")
        (self.directory / "model.gguf").write_bytes(b"kept")
        write_checkpoint(self.directory, SHAPE, "fp32")
        self.assertEqual((self.directory / "model.gguf").read_bytes(), b"kept")
        (self.directory / "config.json").unlink()
        write_checkpoint(self.directory, SHAPE, "fp32")
        self.assertGreater((self.directory / "model.gguf").stat().st_size, 4)


if __name__ == "__main__":
    unittest.main()
