"""How SIMD sources are compiled."""

# SIMD sources: compiled once per target by Highway. -O3 unrolls the register tiles; the vectoriser is off
# because `scalar` must be scalar and every other target is vectorised by hand. GCC before 12.3 and clang must
# agree on the scalar target.
SIMD_COPTS = [
    "-O3",
    "-fno-tree-vectorize",
    "-fno-tree-slp-vectorize",
    # GCC 12's own intrinsics headers initialise "undefined" vectors with themselves.
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
    "-Wno-unknown-warning-option",  # clang has no -Wmaybe-uninitialized
]

SIMD_DEFINES = ["HWY_BROKEN_EMU128=1"]
