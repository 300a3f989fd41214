"""Checkpoints for tests of tools/chat: a byte-level BPE tokenizer of a few merges, and weights of a few thousand numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Sequence

import numpy as np

from tools.golden import make_goldens, safetensors_io
from tools.golden import qwen3_reference as reference

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
OTHER_ADDED = ("<think>", "</think>")  # as in Qwen3, these are shown
MERGES = (("u", "s"), ("e", "r"), ("us", "er"), ("Ġ", "a"), ("é", "Ł"))
# Ids 0 to 255 are the bytes, in the order of their letters below; merges and added tokens follow.
VOCABULARY = 300  # larger than the tokenizer's, as Qwen3's is

# The part of Qwen3's chat template that a conversation without tools uses.
TEMPLATE = """\
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""


def byte_letters() -> dict[int, str]:
    """How byte-level BPE writes each byte: itself where it is a visible Latin-1 character, else a letter from 256 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) if byte in visible else chr(256 + hidden.index(byte)) for byte in range(256)}


def token_ids() -> dict[str, int]:
    """Of every token, as tokenizer.json writes it."""
    tokens = [*byte_letters().values(), *(left + right for left, right in MERGES), *SPECIAL, *OTHER_ADDED]
    return {token: number for number, token in enumerate(tokens)}


def bytes_of(ids: Sequence[int]) -> bytes:
    """What the tokens stand for; special ones, and ids that no token has, for nothing."""
    letters = {letter: byte for byte, letter in byte_letters().items()}
    tokens = {number: token for token, number in token_ids().items()}
    said = b""
    for number in ids:
        token = tokens.get(number, "")
        if token in OTHER_ADDED:
            said += token.encode()
        elif token not in SPECIAL:
            said += bytes(letters[letter] for letter in token)
    return said


def tokenizer_json() -> dict[str, object]:
    """As Qwen3's, but for the vocabulary."""
    ids = token_ids()
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, "special": token in SPECIAL, **plain} for token in SPECIAL + OTHER_ADDED
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for token, number in ids.items() if token not in SPECIAL + OTHER_ADDED},
            "merges": [list(merge) for merge in MERGES],
        },
    }


CONFIG = reference.Config(48, 4, 2, 32, intermediate_size=64, num_hidden_layers=2, vocab_size=VOCABULARY)


def random_weights(seed: int) -> reference.Weights:
    """As they are stored, in float64."""
    rng = np.random.default_rng(seed)
    weights: reference.Weights = {"model.embed_tokens.weight": rng.standard_normal((VOCABULARY, CONFIG.hidden_size))}
    for layer in range(CONFIG.num_hidden_layers):
        weights |= make_goldens.layer_weights(rng, CONFIG, f"model.layers.{layer}.", 1.0)
    weights["model.norm.weight"] = 1 + 0.3 * rng.standard_normal(CONFIG.hidden_size)
    weights["lm_head.weight"] = rng.standard_normal((VOCABULARY, CONFIG.hidden_size))
    return {name: values.astype(np.float32).astype(np.float64) for name, values in weights.items()}


def chain_weights(ids: Sequence[int]) -> reference.Weights:
    """A model that says ids[i + 1] after ids[i], whatever came before: its layers add nothing. No id but the last twice."""
    weights = random_weights(seed=1)
    for name in weights:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights[name] = np.zeros_like(weights[name])
    weights["model.norm.weight"] = np.ones_like(weights["model.norm.weight"])
    embedding, head = weights["model.embed_tokens.weight"], np.zeros_like(weights["lm_head.weight"])
    for before, after in zip(ids, ids[1:]):
        head[after] += embedding[before]
    weights["lm_head.weight"] = head
    return weights


def write_checkpoint(directory: Path, weights: reference.Weights, end_ids: object = None) -> None:
    """config.json, weights, tokenizer.json, tokenizer_config.json."""
    directory.mkdir(parents=True)
    config = json.loads(make_goldens.config_json(CONFIG, "F32")) | {"max_position_embeddings": 200000, "eos_token_id": end_ids}
    (directory / "config.json").write_text(json.dumps(config))
    stored = {name: ("F32", values) for name, values in weights.items()}
    safetensors_io.write(directory / "model.safetensors", stored, {"format": "pt"})
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
