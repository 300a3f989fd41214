"""llama.cpp by ctypes, as far as a race needs it: load a model, make a context, run tokens, read logits.

There is no header: the npm package has libraries only. The parameters are structs that are passed by value; what is set in them
is set by offset, and the layout is checked against the defaults that the library itself fills in, so that another version is
refused and not misread.
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import numpy.typing as npt

KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30}
# Of llama_context_params: offset and what it is by default.
_FIELDS = {
    "n_ctx": (0, 512),
    "n_batch": (4, 2048),
    "n_ubatch": (8, 512),
    "n_seq_max": (12, 1),
    "n_threads": (28, 4),
    "n_threads_batch": (32, 4),
    "flash_attention": (52, 0xFFFFFFFF),  # auto
    "type_k": (104, 1),
    "type_v": (108, 1),
}
_PARAMETER_BYTES = 512  # more than either struct has: it lies on the stack, and the callee reads its beginning


class LlamaError(Exception):
    """What llama.cpp cannot do, in one line."""


class _Parameters(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * _PARAMETER_BYTES)]

    def read(self, offset: int) -> int:
        return int(struct.unpack_from("<I", bytes(self.bytes), offset)[0])

    def write(self, offset: int, value: int) -> None:
        struct.pack_into("<i", self.bytes, offset, value)


class _Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.c_void_p),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.c_void_p),
        ("n_seq_id", ctypes.c_void_p),
        ("seq_id", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
    ]


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    try:
        function = getattr(library, name)
    except AttributeError:
        raise LlamaError(f"{library._name}: has no {name}; this is for another version") from None
    function.restype, function.argtypes = result, list(arguments)
    return function


def _only(directory: Path, pattern: str) -> str:
    found = sorted(directory.glob(pattern))
    if len(found) != 1:
        raise LlamaError(f"{directory}: {len(found)} files are named {pattern}; one is expected")
    return str(found[0])


class Library:
    """libllama of a directory, with the CPU build that ggml likes best, or one that is named (`haswell`)."""

    def __init__(self, directory: Path, build: str = "") -> None:
        pointer, integer = ctypes.c_void_p, ctypes.c_int32
        ggml = ctypes.CDLL(_only(directory, "libggml.v*.so"), ctypes.RTLD_GLOBAL)
        llama = ctypes.CDLL(_only(directory, "libllama.v*.so"))
        self.version = Path(_only(directory, "libllama.v*.so")).name
        if build:
            path = directory / f"libggml-cpu-{build}.so"
            if not path.exists() or not _function(ggml, "ggml_backend_load", pointer, ctypes.c_char_p)(str(path).encode()):
                raise LlamaError(f"{path}: cannot be loaded")
        else:
            _function(ggml, "ggml_backend_load_all_from_path", None, ctypes.c_char_p)(str(directory).encode())
        _function(llama, "llama_backend_init", None)()
        # What it says of loading goes to standard error, page after page.
        self._silence = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda _level, _text, _data: None)
        _function(llama, "llama_log_set", None, pointer, pointer)(self._silence, None)
        self.model_defaults = _function(llama, "llama_model_default_params", _Parameters)
        self.context_defaults = _function(llama, "llama_context_default_params", _Parameters)
        self.load = _function(llama, "llama_model_load_from_file", pointer, ctypes.c_char_p, _Parameters)
        self.new_context = _function(llama, "llama_init_from_model", pointer, pointer, _Parameters)
        self.free_context = _function(llama, "llama_free", None, pointer)
        self.decode = _function(llama, "llama_decode", integer, pointer, _Batch)
        self.logits = _function(llama, "llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), pointer, integer)
        self.memory = _function(llama, "llama_get_memory", pointer, pointer)
        self.clear_memory = _function(llama, "llama_memory_clear", None, pointer, ctypes.c_bool)
        self.remove = _function(llama, "llama_memory_seq_rm", ctypes.c_bool, pointer, integer, integer, integer)
        self.vocabulary = _function(llama, "llama_model_get_vocab", pointer, pointer)
        self.vocabulary_size = _function(llama, "llama_vocab_n_tokens", integer, pointer)
        self.system = _function(llama, "llama_print_system_info", ctypes.c_char_p)
        defaults = self.context_defaults()
        wrong = [name for name, (offset, value) in _FIELDS.items() if defaults.read(offset) != value]
        if wrong:
            raise LlamaError(f"{self.version}: llama_context_params is laid out differently (defaults of {', '.join(wrong)})")


class Model:
    def __init__(self, library: Library, path: Path) -> None:
        self.library = library
        self.handle = library.load(str(path).encode(), library.model_defaults())
        if not self.handle:
            raise LlamaError(f"{path}: llama.cpp does not load it")
        self.vocabulary = int(library.vocabulary_size(library.vocabulary(self.handle)))


class Context:
    """Room for so many tokens, and what was run so far. Freed by close()."""

    def __init__(self, model: Model, room: int, ubatch: int, flash: bool, kv_type: str, threads: int) -> None:
        self._library, self._vocabulary = model.library, model.vocabulary
        parameters = self._library.context_defaults()
        for name, value in {
            "n_ctx": room,
            "n_batch": max(room, ubatch),
            "n_ubatch": ubatch,
            "n_threads": threads,
            "n_threads_batch": threads,
            "flash_attention": int(flash),
            "type_k": KV_TYPES[kv_type],
            "type_v": KV_TYPES[kv_type],
        }.items():
            parameters.write(_FIELDS[name][0], value)
        self._handle = self._library.new_context(model.handle, parameters)
        if not self._handle:
            raise LlamaError(f"no context of {room} tokens, K/V cache {kv_type}, flash {'on' if flash else 'off'}")
        self.tokens = 0

    def close(self) -> None:
        self._library.free_context(self._handle)
        self._handle = None

    def clear(self) -> None:
        self._library.clear_memory(self._library.memory(self._handle), False)
        self.tokens = 0

    def forget_behind(self, tokens: int) -> None:
        if not self._library.remove(self._library.memory(self._handle), 0, tokens, -1):
            raise LlamaError(f"the K/V cache cannot be cut back to {tokens} tokens")
        self.tokens = tokens

    def advance(self, ids: Sequence[int]) -> float:
        """Runs them behind what was run, to the end: a logit of the last one."""
        self._run(ids, None)
        return float(self._library.logits(self._handle, -1)[0])

    def run(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """The same; all logits of the last one."""
        self._run(ids, None)
        return self._logits(-1)

    def run_for_all_logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """[tokens, vocabulary]"""
        self._run(ids, (ctypes.c_int8 * len(ids))(*([1] * len(ids))))
        return np.array([self._logits(row) for row in range(len(ids))])

    def _logits(self, row: int) -> npt.NDArray[np.float32]:
        return np.array(np.ctypeslib.as_array(self._library.logits(self._handle, row), (self._vocabulary,)))

    def _run(self, ids: Sequence[int], wanted: Any) -> None:
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        # Positions and sequence are the next ones where nothing is said.
        batch = _Batch(len(ids), ctypes.addressof(tokens), None, None, None, None, ctypes.addressof(wanted) if wanted else None)
        status = self._library.decode(self._handle, batch)
        if status != 0:
            raise LlamaError(f"llama_decode of {len(ids)} tokens behind {self.tokens}: status {status}")
        self.tokens += len(ids)
