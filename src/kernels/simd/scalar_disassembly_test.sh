#!/usr/bin/env bash
# `scalar` must not profit from vector units: no packed arithmetic in its functions, in whatever the compiler
# made of them. Packed moves and logic (movaps, xorps: zeroing and copying) are no arithmetic.
# Argument: a binary that holds the kernels of every ISA, with symbols.
set -euo pipefail
binary=$1

# Lines of functions of namespace N_<target>.
disassembly_of() {
  objdump --disassemble --demangle --no-show-raw-insn "$binary" |
    awk -v namespace="attention::$1::" '/^[0-9a-f]+ <.*>:$/ { inside = index($0, namespace) > 0 } inside'
}
packed='[[:space:]]v?(add|sub|mul|div|min|max|sqrt|hadd|dp)p[sd][[:space:]]|vfn?m(add|sub)[0-9]+p[sd]|%[yz]mm'

scalar=$(disassembly_of N_SCALAR)
grep -qE '[[:space:]]mulss[[:space:]]' <<<"$scalar" || { echo "no scalar kernels found in $binary"; exit 1; }
if grep -nE "$packed" <<<"$scalar"; then
  echo "packed arithmetic in the scalar kernels"
  exit 1
fi
# The pattern must be able to find something.
grep -qE "$packed" <<<"$(disassembly_of N_SSE4)" || { echo "the pattern does not even match SSE4"; exit 1; }
