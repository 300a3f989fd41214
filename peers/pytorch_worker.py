"""PyTorch's side of the comparison: runs attention when asked on stdin, answers with seconds on stdout.

Started by compare_kernels with a directory (q.bin, k.bin, v.bin: float32, head-major), the shape, and `causal` or
`full`. Says its versions, the ways it has, `end`; then answers `run WAY` with seconds and `output WAY` with `written`
once the result is in output.bin.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

Q_BLOCKS = [64, 128, 256, 512, 1024]

# Debian 12 has PyTorch 1.13, where the function is not public yet; on a CPU it is the "math" path.
sdpa = torch.nn.functional._scaled_dot_product_attention  # pylint: disable=protected-access


def whole(q: Tensor, k: Tensor, v: Tensor, output: Tensor, causal: bool) -> None:
    output.copy_(sdpa(q, k, v, is_causal=causal)[0])


def in_blocks(q: Tensor, k: Tensor, v: Tensor, output: Tensor, masks: list[Tensor] | None, q_block: int) -> None:
    """Blocks of queries; with masks (causal), each block sees keys up to its last query."""
    for index, begin in enumerate(range(0, q.shape[-2], q_block)):
        rows = slice(begin, begin + q_block)
        keys = slice(None) if masks is None else slice(0, begin + q_block)
        mask = None if masks is None else masks[index]
        output[..., rows, :] = sdpa(q[..., rows, :], k[..., keys, :], v[..., keys, :], attn_mask=mask)[0]


def make_ways(q: Tensor, k: Tensor, v: Tensor, output: Tensor, causal: bool) -> dict[str, Callable[[], None]]:
    """q, output: [H, Sq, D]; k, v: [KV, Skv, D]."""
    heads, tokens, head_dim = q.shape
    kv_heads, kv_tokens, _ = k.shape
    group = heads // kv_heads
    ways: dict[str, Callable[[], None]] = {}
    if not causal:
        # The heads of a group as more queries of one head: nothing is repeated.
        folded = [t.view(kv_heads, group * tokens, head_dim) for t in (q, output)]
        ways["sdpa;q_block=all"] = partial(whole, folded[0], k, v, folded[1], False)
        for q_block in Q_BLOCKS:
            if q_block < group * tokens:
                ways[f"sdpa;q_block={q_block}"] = partial(in_blocks, folded[0], k, v, folded[1], None, q_block)
        return ways
    # Repeated for every query head beforehand, untimed.
    k_repeated = k.repeat_interleave(group, dim=0)
    v_repeated = v.repeat_interleave(group, dim=0)
    ways["sdpa;q_block=all"] = partial(whole, q, k_repeated, v_repeated, output, True)
    seen = torch.ones(tokens, kv_tokens, dtype=torch.bool).tril()
    for q_block in Q_BLOCKS:
        if q_block < tokens:
            masks = [seen[b : b + q_block, : b + q_block].contiguous() for b in range(0, tokens, q_block)]
            ways[f"sdpa;q_block={q_block}"] = partial(in_blocks, q, k_repeated, v_repeated, output, masks, q_block)
    return ways


def blas_libraries() -> str:
    """The shared libraries of this process that do its matrix products."""
    paths = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    return " ".join(sorted(Path(p).name for p in paths if "blas" in p or "dnnl" in p))


def keep_freed_memory() -> None:
    """Else the C library gives the scores' memory back after every call and gets it anew, page by page, in the next: twice
    the time at full attention over 512 tokens. In one pass of several it may not, so that the fastest pass looks fine."""
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_max = -1, -4  # malloc.h
    if mallopt(trim_threshold, -1) != 1 or mallopt(mmap_max, 0) != 1:
        sys.exit("pytorch_worker: mallopt failed")


def main() -> None:
    keep_freed_memory()
    directory, mode = Path(sys.argv[1]), sys.argv[7]
    heads, kv_heads, tokens, kv_tokens, head_dim = (int(argument) for argument in sys.argv[2:7])
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)

    def load(name: str, *shape: int) -> Tensor:
        return torch.frombuffer(bytearray((directory / name).read_bytes()), dtype=torch.float32).view(*shape)

    q = load("q.bin", heads, tokens, head_dim)
    k = load("k.bin", kv_heads, kv_tokens, head_dim)
    v = load("v.bin", kv_heads, kv_tokens, head_dim)
    output = torch.zeros_like(q)
    ways = make_ways(q, k, v, output, mode == "causal")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread, libraries {blas_libraries()}")
    for way in ways:
        print(way)
    print("end", flush=True)

    for line in sys.stdin:
        command, way = line.split()
        if command == "run":
            begin = time.perf_counter()
            ways[way]()
            print(time.perf_counter() - begin, flush=True)
        elif command == "output":
            (directory / "output.bin").write_bytes(output.numpy().tobytes())
            print("written", flush=True)


if __name__ == "__main__":
    main()
