"""Makes the golden files in src/qwen3/testdata.

    /usr/bin/python3 -m tools.golden.make_goldens src/qwen3/testdata

Weights and inputs are first rounded to the type they are stored in, so that the float64 result is the exact
answer for the bytes in the file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.golden import qwen3_reference as reference
from tools.golden import safetensors_io
from tools.golden.qwen3_reference import Config, Weights

GREEDY_TOKENS = 64
# A ramp over seven pairs of a head of 32; sequences of over 64 tokens pass the original length.
YARN: dict[str, float | str] = {
    "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64, "beta_fast": 8, "beta_slow": 0.25
}
# A greedy token that wins by less could be lost to fp32 rounding: such a seed makes no golden file.
SMALLEST_LEAD = 1e-3


@dataclass(frozen=True)
class BlockCase:
    """One attention block or layer: shape, storage type and scale of the q/k norm weights."""

    name: str
    config: Config
    tokens: int
    batch: int = 1
    dtype: str = "F32"
    norm_scale: float = 1.0


def block_cases() -> list[BlockCase]:
    """The shapes that break implementations: odd, tiny, uneven, and softmax pushed to one-hot."""

    def config(hidden: int, heads: int, kv_heads: int, head_dim: int, **rest: object) -> Config:
        return Config(hidden, heads, kv_heads, head_dim, **rest)  # type: ignore[arg-type]

    return [
        BlockCase("block_causal", config(64, 4, 2, 32), tokens=37, batch=2),
        BlockCase("block_full", config(64, 4, 2, 32, causal=False), tokens=37),
        BlockCase("block_one_token", config(48, 4, 4, 32), tokens=1),
        BlockCase("block_three_tokens_eight_heads", config(40, 8, 2, 16), tokens=3),
        BlockCase("block_five_heads_one_kv", config(50, 5, 1, 16), tokens=21, batch=3),
        BlockCase("block_head_dim_80", config(33, 3, 3, 80), tokens=18),
        BlockCase("block_head_dim_256", config(24, 2, 1, 256), tokens=11),
        BlockCase("block_one_hot", config(64, 4, 2, 32), tokens=29, norm_scale=10.0),
        BlockCase("block_bfloat16", config(64, 6, 2, 32, rope_theta=1e4), tokens=23, dtype="BF16"),
        BlockCase("block_float16", config(64, 6, 3, 32, rms_norm_eps=1e-5), tokens=23, dtype="F16"),
        BlockCase("layer_causal", config(64, 4, 2, 32, intermediate_size=112), tokens=26, batch=2),
        BlockCase("layer_head_dim_80", config(33, 5, 1, 80, intermediate_size=45), tokens=9),
        BlockCase("layer_bias", config(40, 6, 3, 16, intermediate_size=48, attention_bias=True), tokens=19, batch=2),
        BlockCase("block_yarn", config(40, 4, 2, 32, rope_theta=1e4, rope_scaling=YARN), tokens=83),
        BlockCase("block_linear", config(40, 4, 2, 32, rope_scaling={"rope_type": "linear", "factor": 8}), tokens=83),
    ]


def round_to(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values as they will be read back from storage of that type, in float64."""
    if dtype == "BF16":
        return safetensors_io.round_to_bfloat16(values).astype(np.float64)
    return values.astype({"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float64)


def layer_weights(rng: np.random.Generator, config: Config, prefix: str, norm_scale: float) -> Weights:
    """Weights of one layer, of the size that keeps activations near 1 (MLP only if the config has one)."""
    hidden, head_dim = config.hidden_size, config.head_dim

    def matrix(outputs: int, inputs: int) -> np.ndarray:
        return rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)

    def norm(size: int, scale: float = 1.0) -> np.ndarray:
        return scale * (1 + 0.3 * rng.standard_normal(size))

    attention = prefix + "self_attn."
    weights = {
        attention + "q_proj.weight": matrix(config.num_attention_heads * head_dim, hidden),
        attention + "k_proj.weight": matrix(config.num_key_value_heads * head_dim, hidden),
        attention + "v_proj.weight": matrix(config.num_key_value_heads * head_dim, hidden),
        attention + "o_proj.weight": matrix(hidden, config.num_attention_heads * head_dim),
        attention + "q_norm.weight": norm(head_dim, norm_scale),
        attention + "k_norm.weight": norm(head_dim, norm_scale),
    }
    if config.attention_bias:
        for projection, outputs in (
            ("q_proj", config.num_attention_heads * head_dim),
            ("k_proj", config.num_key_value_heads * head_dim),
            ("v_proj", config.num_key_value_heads * head_dim),
            ("o_proj", hidden),
        ):
            weights[f"{attention}{projection}.bias"] = rng.standard_normal(outputs)
    if config.intermediate_size:
        weights |= {
            prefix + "input_layernorm.weight": norm(hidden),
            prefix + "post_attention_layernorm.weight": norm(hidden),
            prefix + "mlp.gate_proj.weight": matrix(config.intermediate_size, hidden),
            prefix + "mlp.up_proj.weight": matrix(config.intermediate_size, hidden),
            prefix + "mlp.down_proj.weight": matrix(hidden, config.intermediate_size),
        }
    return weights


def block_metadata(config: Config) -> dict[str, str]:
    """What `benchmark_qwen3 --verify` reads; all strings."""
    return {
        "num_attention_heads": str(config.num_attention_heads),
        "num_key_value_heads": str(config.num_key_value_heads),
        "head_dim": str(config.head_dim),
        "rms_norm_eps": repr(config.rms_norm_eps),
        "rope_theta": repr(config.rope_theta),
        "causal": "true" if config.causal else "false",
    } | ({"attention_bias": "true"} if config.attention_bias else {}) | (
        {"rope_scaling": json.dumps(config.rope_scaling)} if config.rope_scaling else {}
    )


def make_block(case: BlockCase, directory: Path, seed: int) -> None:
    """Writes NAME.safetensors: hidden states, weights, expected output."""
    rng = np.random.default_rng(seed)
    prefix = "model.layers.0."
    weights = layer_weights(rng, case.config, prefix, case.norm_scale)
    weights = {name: round_to(values, case.dtype) for name, values in weights.items()}
    shape = (case.batch, case.tokens, case.config.hidden_size)
    hidden = round_to(rng.standard_normal(shape), case.dtype)
    if case.config.intermediate_size:
        expected = reference.decoder_layer(hidden, weights, prefix, case.config)
    else:
        expected = reference.attention_block(hidden, weights, prefix + "self_attn.", case.config)
    tensors = {"hidden_states": (case.dtype, hidden)}
    tensors |= {name: (case.dtype, values) for name, values in weights.items()}
    tensors["expected_output"] = ("F32", expected)
    safetensors_io.write(directory / f"{case.name}.safetensors", tensors, block_metadata(case.config))


def config_json(config: Config, dtype: str) -> str:
    """config.json as Hugging Face writes it, as far as it is used here."""
    fields = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "attention_bias": config.attention_bias,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": {"F32": "float32", "BF16": "bfloat16"}[dtype],
    }
    if config.rope_scaling:
        fields["rope_scaling"] = config.rope_scaling
    if config.layer_types:
        fields |= {
            "layer_types": config.layer_types, "sliding_window": config.sliding_window, "use_sliding_window": True
        }
    return json.dumps(fields, indent=2) + "\n"


def make_model(name: str, config: Config, dtype: str, shards: int, prompt: int, directory: Path, seed: int) -> None:
    """Writes a checkpoint directory NAME/ and NAME.golden.safetensors: token ids and logits of all positions."""
    rng = np.random.default_rng(seed)
    weights: Weights = {"model.embed_tokens.weight": rng.standard_normal((config.vocab_size, config.hidden_size))}
    for layer in range(config.num_hidden_layers):
        weights |= layer_weights(rng, config, f"model.layers.{layer}.", 1.0)
    weights["model.norm.weight"] = 1 + 0.3 * rng.standard_normal(config.hidden_size)
    if not config.tie_word_embeddings:
        weights["lm_head.weight"] = rng.standard_normal((config.vocab_size, config.hidden_size))
    weights = {key: round_to(values, dtype) for key, values in weights.items()}

    ids, lead = reference.generate(
        rng.integers(config.vocab_size, size=(1, prompt)), GREEDY_TOKENS, weights, config
    )
    if lead < SMALLEST_LEAD:
        raise RuntimeError(f"{name}: a greedy token leads by {lead:.1e} only; choose another seed")
    expected = reference.model_logits(ids, weights, config)

    folder = directory / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config_json(config, dtype))
    stored = {key: (dtype, values) for key, values in weights.items()}
    if shards == 1:
        safetensors_io.write(folder / "model.safetensors", stored, {"format": "pt"})
    else:
        weight_map: dict[str, str] = {}
        for shard in range(shards):
            file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
            part = dict(list(stored.items())[shard::shards])
            safetensors_io.write(folder / file, part, {"format": "pt"})
            weight_map |= {key: file for key in part}
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    safetensors_io.write(
        directory / f"{name}.golden.safetensors",
        {"input_ids": ("I64", ids), "expected_logits": ("F32", expected)},
        {"prompt_tokens": str(prompt)},
    )


def make_all(directory: Path) -> None:
    """Every golden file, into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for index, case in enumerate(block_cases()):
        make_block(case, directory, seed=100 + index)
    untied = Config(48, 4, 2, 32, intermediate_size=80, num_hidden_layers=2, vocab_size=97)
    make_model("model_untied", untied, "F32", shards=3, prompt=13, directory=directory, seed=1)
    tied = Config(
        40, 5, 1, 16, intermediate_size=52, num_hidden_layers=2, vocab_size=101, tie_word_embeddings=True
    )
    make_model("model_tied_bfloat16", tied, "BF16", shards=1, prompt=7, directory=directory, seed=2)
    # Prompt and generated tokens pass the original length.
    stretched = Config(
        40, 4, 2, 32, intermediate_size=52, num_hidden_layers=2, vocab_size=89, rope_theta=1e4, rope_scaling=YARN,
        attention_bias=True,
    )
    make_model("model_yarn_bias", stretched, "F32", shards=1, prompt=11, directory=directory, seed=3)
    # A window that no number of ranks divides; the first and the last layer slide.
    windows = Config(
        40, 4, 2, 32, intermediate_size=52, num_hidden_layers=3, vocab_size=83, sliding_window=11,
        layer_types=("sliding_attention", "full_attention", "sliding_attention"),
    )
    make_model("model_windows", windows, "F32", shards=1, prompt=13, directory=directory, seed=4)


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
