"""The same random weights of Qwen3 as llama.cpp and as this project read them: a GGUF file, and safetensors with config.json.

GGUF, version 3 (ggml's docs/gguf.md): magic, counts, key-value pairs, a header for each tensor, then the tensors' bytes, each
aligned to 32. Dimensions stand with the fastest first. Matrices have the type that is asked for, norms are float32 in both.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Iterator

import numpy as np

from tools.golden.safetensors_io import encode

ALIGNMENT = 32
_STRING, _UINT32, _FLOAT32 = 8, 4, 6  # types of GGUF's values
_GGML_TYPES = {"fp32": 0, "bf16": 30}
_SAFETENSORS_TYPES = {"fp32": "F32", "bf16": "BF16"}
_WIDTHS = {"fp32": 4, "bf16": 2}
_NORM_EPSILON = 1e-6
_ROPE_BASE = 1e6
_LONGEST = 40960
_PIECE = 1 << 22  # elements that are drawn and encoded at once


@dataclass(frozen=True)
class Shape:
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    layers: int
    deviation: float  # of the elements of matrices


SHAPES = {
    "qwen3-0.6b": Shape(1024, 16, 8, 128, 3072, 151936, 28, 0.02),
    "tiny": Shape(256, 4, 2, 64, 512, 1000, 2, 0.05),
}


@dataclass(frozen=True)
class Tensor:
    gguf_name: str
    name: str  # in safetensors
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape)) * _WIDTHS[self.dtype]


def tensors(shape: Shape, dtype: str) -> list[Tensor]:
    """In the order of both files. The head is tied to the embedding."""
    matrix, queries, keys = dtype, shape.query_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    found = [
        Tensor("token_embd.weight", "model.embed_tokens.weight", (shape.vocabulary, shape.hidden), matrix),
        Tensor("output_norm.weight", "model.norm.weight", (shape.hidden,), "fp32"),
    ]
    for layer in range(shape.layers):
        for gguf_name, name, dimensions in (
            ("attn_norm", "input_layernorm", (shape.hidden,)),
            ("attn_q", "self_attn.q_proj", (queries, shape.hidden)),
            ("attn_k", "self_attn.k_proj", (keys, shape.hidden)),
            ("attn_v", "self_attn.v_proj", (keys, shape.hidden)),
            ("attn_output", "self_attn.o_proj", (shape.hidden, queries)),
            ("attn_q_norm", "self_attn.q_norm", (shape.head_dim,)),
            ("attn_k_norm", "self_attn.k_norm", (shape.head_dim,)),
            ("ffn_norm", "post_attention_layernorm", (shape.hidden,)),
            ("ffn_gate", "mlp.gate_proj", (shape.intermediate, shape.hidden)),
            ("ffn_up", "mlp.up_proj", (shape.intermediate, shape.hidden)),
            ("ffn_down", "mlp.down_proj", (shape.hidden, shape.intermediate)),
        ):
            kind = "fp32" if len(dimensions) == 1 else matrix
            found.append(Tensor(f"blk.{layer}.{gguf_name}.weight", f"model.layers.{layer}.{name}.weight", dimensions, kind))
    return found


def _pieces(shape: Shape, tensor: Tensor, generator: np.random.Generator) -> Iterator[bytes]:
    """Of its bytes; whatever the type the same numbers before they are rounded."""
    elements = int(np.prod(tensor.shape))
    for begin in range(0, elements, _PIECE):
        values = generator.standard_normal(min(_PIECE, elements - begin), dtype=np.float32)
        values = 1 + 0.1 * values if len(tensor.shape) == 1 else shape.deviation * values
        yield encode(values, _SAFETENSORS_TYPES[tensor.dtype])


def _gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _gguf_pair(key: str, value: int | float | str) -> bytes:
    if isinstance(value, str):
        packed = struct.pack("<I", _STRING) + _gguf_text(value)
    elif isinstance(value, int):
        packed = struct.pack("<II", _UINT32, value)
    else:
        packed = struct.pack("<If", _FLOAT32, value)
    return _gguf_text(key) + packed


def gguf_header(shape: Shape, dtype: str) -> bytes:
    """All that stands before the first tensor's bytes."""
    pairs: dict[str, int | float | str] = {
        "general.architecture": "qwen3",
        "qwen3.context_length": _LONGEST,
        "qwen3.embedding_length": shape.hidden,
        "qwen3.block_count": shape.layers,
        "qwen3.feed_forward_length": shape.intermediate,
        "qwen3.attention.head_count": shape.query_heads,
        "qwen3.attention.head_count_kv": shape.kv_heads,
        "qwen3.attention.key_length": shape.head_dim,
        "qwen3.attention.value_length": shape.head_dim,
        "qwen3.attention.layer_norm_rms_epsilon": _NORM_EPSILON,
        "qwen3.rope.freq_base": _ROPE_BASE,
        "qwen3.vocab_size": shape.vocabulary,
        "tokenizer.ggml.model": "none",
    }
    described, offset = b"", 0
    for tensor in tensors(shape, dtype):
        described += _gguf_text(tensor.gguf_name) + struct.pack("<I", len(tensor.shape))
        described += b"".join(struct.pack("<Q", size) for size in reversed(tensor.shape))
        described += struct.pack("<IQ", _GGML_TYPES[tensor.dtype], offset)
        offset += tensor.bytes + -tensor.bytes % ALIGNMENT
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors(shape, dtype)), len(pairs))
    header += b"".join(_gguf_pair(key, value) for key, value in pairs.items()) + described
    return header + b"\0" * (-len(header) % ALIGNMENT)


def safetensors_header(shape: Shape, dtype: str) -> bytes:
    """The length of the JSON, and the JSON."""
    described, offset = {}, 0
    for tensor in tensors(shape, dtype):
        described[tensor.name] = {
            "dtype": _SAFETENSORS_TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.bytes],
        }
        offset += tensor.bytes
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def config(shape: Shape, dtype: str) -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "rms_norm_eps": _NORM_EPSILON,
        "rope_theta": _ROPE_BASE,
        "rope_scaling": None,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "attention_bias": False,
        "max_position_embeddings": _LONGEST,
        "use_sliding_window": False,
        "sliding_window": None,
        "torch_dtype": {"fp32": "float32", "bf16": "bfloat16"}[dtype],
    }


def _write(gguf: BinaryIO, safetensors: BinaryIO, shape: Shape, dtype: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    gguf.write(gguf_header(shape, dtype))
    safetensors.write(safetensors_header(shape, dtype))
    for tensor in tensors(shape, dtype):
        for data in _pieces(shape, tensor, generator):
            gguf.write(data)
            safetensors.write(data)
        gguf.write(b"\0" * (-tensor.bytes % ALIGNMENT))


def write_checkpoint(directory: Path, shape: Shape, dtype: str, seed: int = 1) -> None:
    """model.gguf, model.safetensors and config.json; config.json comes last, and what is there with it is kept."""
    if (directory / "config.json").exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "model.gguf", "wb") as gguf, open(directory / "model.safetensors", "wb") as safetensors:
        _write(gguf, safetensors, shape, dtype, seed)
    (directory / "config.json").write_text(json.dumps(config(shape, dtype), indent=1) + "\n", encoding="utf-8")
