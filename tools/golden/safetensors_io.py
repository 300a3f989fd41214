"""Writes and reads safetensors files with numpy only (the format: github.com/huggingface/safetensors)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def round_to_bfloat16(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The nearest bfloat16 of each value (ties to even), as float32."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype("<u4").view("<f4")


def encode(values: npt.NDArray[Any], dtype: str) -> bytes:
    """As they lie in a file: little-endian, bfloat16 rounded as above."""
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    if dtype == "I64":
        return values.astype("<i8").tobytes()
    if dtype == "BF16":
        return (round_to_bfloat16(values).view("<u4") >> 16).astype("<u2").tobytes()
    raise ValueError(f"no such dtype here: {dtype}")


def _decode(data: bytes, dtype: str) -> npt.NDArray[Any]:
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, {"F32": "<f4", "F16": "<f2", "I64": "<i8"}[dtype])


def write(path: Path, tensors: dict[str, tuple[str, npt.NDArray[Any]]], metadata: dict[str, str]) -> None:
    """Writes `tensors` (name -> dtype, values) in their order; the header is padded to 8 bytes as usual."""
    header: dict[str, object] = {"__metadata__": metadata}
    chunks: list[bytes] = []
    offset = 0
    for name, (dtype, values) in tensors.items():
        chunk = encode(values, dtype)
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [offset, offset + len(chunk)],
        }
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Reads a file `write` made: tensors by name, and the metadata."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = data[8 + length :]
    tensors = {
        name: _decode(body[slice(*entry["data_offsets"])], entry["dtype"]).reshape(entry["shape"])
        for name, entry in header.items()
    }
    return tensors, metadata
