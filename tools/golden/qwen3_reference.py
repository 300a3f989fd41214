"""Qwen3 in float64, written from the model's definition and for reading, not for speed.

The definition is Hugging Face's `modeling_qwen3.py`: projections with or without bias, RMSNorm of every query
and key head before the rotary embedding, rotate-half rotary embedding, grouped-query attention, SwiGLU, pre-norm
residual layers; and `modeling_rope_utils.py` for scaled rotary embeddings. Arrays are [batch, tokens, features]; weights are [outputs, inputs] as stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Config:
    """The part of config.json that the arithmetic needs."""

    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int = 0
    num_hidden_layers: int = 1
    vocab_size: int = 0
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e6
    causal: bool = True
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    # As config.json has it: rope_type linear with factor, or yarn with factor, original_max_position_embeddings
    # and, where they are not 32 and 1, beta_fast and beta_slow.
    rope_scaling: dict[str, float | str] | None = None
    # By layer, full_attention or sliding_attention: of the latter a token sees the last sliding_window, its own
    # included. None: full attention in all.
    layer_types: tuple[str, ...] | None = None
    sliding_window: int | None = None

    def window(self, layer: int) -> int | None:
        """How many tokens one of that layer sees, if not all before it."""
        slides = self.layer_types is not None and self.layer_types[layer] == "sliding_attention"
        return self.sliding_window if slides else None


def rms_norm(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    """x / sqrt(mean(x^2) + epsilon) * weight, over the last axis."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def rotary_frequencies(
    dim: int, base: float, scaling: dict[str, float | str] | None = None
) -> tuple[np.ndarray, float]:
    """Angle per position of each pair, and what cos and sin are multiplied by.

    The names are those of `_compute_yarn_parameters`, so that the two can be laid side by side.
    """
    pos_freqs = base ** (np.arange(0, dim, 2) / dim)
    if scaling is None:
        return 1.0 / pos_freqs, 1.0
    factor = float(scaling["factor"])
    if scaling["rope_type"] == "linear":
        return 1.0 / pos_freqs / factor, 1.0
    max_position_embeddings = float(scaling["original_max_position_embeddings"])

    def find_correction_dim(num_rotations: float) -> float:
        return (dim * math.log(max_position_embeddings / (num_rotations * 2 * math.pi))) / (2 * math.log(base))

    low = max(math.floor(find_correction_dim(float(scaling.get("beta_fast", 32)))), 0)
    high = min(math.ceil(find_correction_dim(float(scaling.get("beta_slow", 1)))), dim - 1)
    linear_func = (np.arange(dim // 2) - low) / (high - low if high > low else 0.001)
    extrapolation_factor = 1 - np.clip(linear_func, 0, 1)
    frequencies = 1.0 / (factor * pos_freqs) * (1 - extrapolation_factor) + 1.0 / pos_freqs * extrapolation_factor
    return frequencies, 0.1 * math.log(factor) + 1.0


def rotary(
    x: np.ndarray, positions: np.ndarray, theta: float, scaling: dict[str, float | str] | None = None
) -> np.ndarray:
    """Rotate-half embedding of x [batch, heads, tokens, head_dim] at global positions [tokens].

    Element i of the first half and element i of the second half are the two coordinates that rotate by
    position * theta^(-2 i / head_dim), or by a scaled frequency.
    """
    half = x.shape[-1] // 2
    frequencies, magnitude = rotary_frequencies(2 * half, theta, scaling)
    angle = positions[:, None] * frequencies
    cos, sin = np.cos(angle) * magnitude, np.sin(angle) * magnitude
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention_block(
    hidden: np.ndarray, weights: Weights, prefix: str, config: Config, window: int | None = None
) -> np.ndarray:
    """The self-attention module: hidden states in, output projection out."""
    batch, tokens, _ = hidden.shape
    head_dim = config.head_dim

    def project(projection: str, x: np.ndarray) -> np.ndarray:
        projected = x @ weights[f"{prefix}{projection}.weight"].T
        return projected + weights[f"{prefix}{projection}.bias"] if config.attention_bias else projected

    def heads(projection: str, count: int) -> np.ndarray:
        projected = project(projection, hidden)
        return projected.reshape(batch, tokens, count, head_dim).transpose(0, 2, 1, 3)

    positions = np.arange(tokens)
    q = heads("q_proj", config.num_attention_heads)
    k = heads("k_proj", config.num_key_value_heads)
    v = heads("v_proj", config.num_key_value_heads)
    q = rms_norm(q, weights[f"{prefix}q_norm.weight"], config.rms_norm_eps)
    k = rms_norm(k, weights[f"{prefix}k_norm.weight"], config.rms_norm_eps)
    q = rotary(q, positions, config.rope_theta, config.rope_scaling)
    k = rotary(k, positions, config.rope_theta, config.rope_scaling)

    # Query heads 0 .. g-1 read KV head 0, the next g read KV head 1, and so on.
    group = config.num_attention_heads // config.num_key_value_heads
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(head_dim)
    if config.causal:
        scores = np.where(positions[None, :] > positions[:, None], -np.inf, scores)
    if window is not None:
        # `sliding_window_overlay` of masking_utils.py: only keys beyond q - window are seen.
        scores = np.where(positions[None, :] > positions[:, None] - window, scores, -np.inf)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
    return project("o_proj", mixed.transpose(0, 2, 1, 3).reshape(batch, tokens, -1))


def mlp(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    """SwiGLU: down(silu(gate(x)) * up(x))."""
    gate = x @ weights[f"{prefix}gate_proj.weight"].T
    up = x @ weights[f"{prefix}up_proj.weight"].T
    return (gate / (1 + np.exp(-gate)) * up) @ weights[f"{prefix}down_proj.weight"].T


def decoder_layer(
    hidden: np.ndarray, weights: Weights, prefix: str, config: Config, window: int | None = None
) -> np.ndarray:
    """One pre-norm residual layer."""
    normed = rms_norm(hidden, weights[f"{prefix}input_layernorm.weight"], config.rms_norm_eps)
    hidden = hidden + attention_block(normed, weights, f"{prefix}self_attn.", config, window)
    normed = rms_norm(hidden, weights[f"{prefix}post_attention_layernorm.weight"], config.rms_norm_eps)
    return hidden + mlp(normed, weights, f"{prefix}mlp.")


def model_hidden(token_ids: np.ndarray, weights: Weights, config: Config) -> np.ndarray:
    """Hidden states behind the final norm: token ids [batch, tokens] -> [batch, tokens, hidden]."""
    hidden = weights["model.embed_tokens.weight"][token_ids]
    for layer in range(config.num_hidden_layers):
        hidden = decoder_layer(hidden, weights, f"model.layers.{layer}.", config, config.window(layer))
    return rms_norm(hidden, weights["model.norm.weight"], config.rms_norm_eps)


def model_logits(token_ids: np.ndarray, weights: Weights, config: Config) -> np.ndarray:
    """Logits of every position: token ids [batch, tokens] -> [batch, tokens, vocabulary]."""
    hidden = model_hidden(token_ids, weights, config)
    head = "model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"
    return hidden @ weights[head].T


def generate(prompt: np.ndarray, new_tokens: int, weights: Weights, config: Config) -> tuple[np.ndarray, float]:
    """Greedy continuation of prompt [batch, tokens]; also the smallest lead of a winning logit.

    Recomputes the whole sequence for every token: a KV cache is what is to be checked, so there is none here.
    """
    ids, smallest_lead = prompt, np.inf
    for _ in range(new_tokens):
        last = model_logits(ids, weights, config)[:, -1]
        ranked = np.sort(last, axis=-1)
        smallest_lead = min(smallest_lead, float((ranked[:, -1] - ranked[:, -2]).min()))
        ids = np.concatenate([ids, last.argmax(axis=-1)[:, None]], axis=1)
    return ids, smallest_lead
