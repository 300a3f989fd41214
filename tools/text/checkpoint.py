"""What a checkpoint's directory says beside its weights: vocabulary, positions, end tokens, chat template.

Only what a conversation needs; whether the model can be run is for benchmark_qwen3 to say, which reads config.json whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.text.problem import Problem


@dataclass(frozen=True)
class Checkpoint:
    """end_ids: of generation_config.json and config.json. template: None if the checkpoint has none."""

    directory: Path
    vocabulary: int
    positions: int | None
    end_ids: tuple[int, ...]
    template: str | None


def read_checkpoint(directory: Path) -> Checkpoint:
    """Of a directory as Hugging Face writes them."""
    if not directory.is_dir():
        raise Problem(f"{directory}: there is no such directory")
    if not (directory / "tokenizer.json").is_file():
        raise Problem(f"{directory}: holds no tokenizer.json; it comes with the model's other files")
    config = _read_json(directory / "config.json")
    generation = _read_json(directory / "generation_config.json", optional=True)
    vocabulary = _count(config.get("vocab_size"), f"{directory}/config.json: 'vocab_size'")
    end_ids = [
        *_end_ids(generation, directory / "generation_config.json"),
        *_end_ids(config, directory / "config.json"),
    ]
    return Checkpoint(
        directory, vocabulary, _positions(config, directory), tuple(dict.fromkeys(end_ids)), _template(directory)
    )


def _count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Problem(f"{what} is not a whole number from 1")
    return value


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Problem(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise Problem(f"{path}: is not UTF-8 at byte {problem.start}") from None


def _read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    if optional and not path.exists():
        return {}
    text = _read_text(path)
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise Problem(f"{path}: is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise Problem(f"{path}: is not a JSON object")
    return value


def _end_ids(config: dict[str, Any], path: Path) -> list[int]:
    """eos_token_id: absent, null, an id, or a list of ids."""
    value = config.get("eos_token_id")
    ids = [] if value is None else value if isinstance(value, list) else [value]
    for number in ids:
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise Problem(f"{path}: 'eos_token_id' is neither a token id nor a list of them")
    return ids


def _positions(config: dict[str, Any], directory: Path) -> int | None:
    """max_position_embeddings, or what YaRN stretches the original length to where that is more."""
    stated = config.get("max_position_embeddings")
    if stated is None:
        return None
    value = _count(stated, f"{directory}/config.json: 'max_position_embeddings'")
    for key in ("rope_parameters", "rope_scaling"):
        scaling = config.get(key)
        if not isinstance(scaling, dict) or scaling.get("rope_type", scaling.get("type")) != "yarn":
            continue
        original, factor = scaling.get("original_max_position_embeddings"), scaling.get("factor")
        if isinstance(original, int) and isinstance(factor, (int, float)):
            value = max(value, int(original * factor))
    return value


def _template(directory: Path) -> str | None:
    """chat_template.jinja where there is one, as in transformers; otherwise that of tokenizer_config.json."""
    path = directory / "chat_template.jinja"
    if path.exists():
        return _read_text(path)
    path = directory / "tokenizer_config.json"
    template = _read_json(path, optional=True).get("chat_template")
    if isinstance(template, list):  # named ones; the plain one is called default
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if template is None or isinstance(template, str):
        return template
    raise Problem(f"{path}: 'chat_template' is not a text")
