#!/usr/bin/env bash
# What the scripts that simulate have in common; sourced by tools/scale and tools/cluster/simulated_links from the repository's top
# directory. The caller sets: output, its directory; calibration, a directory of calibration_ISA.csv files made elsewhere, or empty.
# It may set assumed_threads. From here it gets: latency_us, gb_per_s, isa, simulation.
# shellcheck disable=SC2034,SC2154 # for the caller, and from it

assumed_threads=1 # of a rank, whose steps and products take this part of the time that they take on one core
latency_us= # between two ranks, as the probe of `auto` finds it
gb_per_s=   # of one rank while both send
isa=        # that the probe's kernels ran on
simulation=() # a command

give_up() { # TEXT [STATUS]
  echo "${0##*/}: $1" >&2
  exit "${2:-2}"
}

# calibration_of ISA: the file, measured unless it is there.
calibration_of() {
  local file=${calibration:-$output}/calibration_$1.csv
  if [ ! -f "$file" ]; then
    [ -z "$calibration" ] || give_up "$file: is missing"
    local core
    core=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
    echo "Measuring kernels, $1 ..." >&2
    local calibrate=(taskset -c "$core" bazel-bin/src/simulate/write_calibration --isa "$1")
    # Of standard as much as the comparison needs; its scores are whole matrices.
    {
      "${calibrate[@]}" --algorithms online_softmax --groups 1,2,4,8 >"$file.part" &&
        "${calibrate[@]}" --weight-bytes 4096 --algorithms standard --groups 2,4 --keys 256,1024,4096 --queries 64,256,1024,4096 >"$file.standard" &&
        grep -E '^(full|diagonal),' "$file.standard" >>"$file.part" && rm "$file.standard" && mv "$file.part" "$file"
    } || give_up "the calibration failed" 1
  fi
  grep -q '^product,' "$file" || give_up "$file: has no products of linear layers, so it is an older one; move it away to measure anew"
  echo "$file"
}

# threaded FILE: the calibration of one thread as one of assumed_threads, beside it.
threaded() {
  [ "$assumed_threads" != 1 ] || { echo "$1" && return; }
  local file
  file=$output/$(basename "$1" .csv)_${assumed_threads}_threads.csv
  rm -f "$file"
  if ! awk -F, -v OFS=, -v threads="$assumed_threads" '
    NR == 1 { print "# Made of " $0 " Assumed: " threads " threads are so many times as fast as one." }
    $5 == 1 { $5 = threads; $11 = sprintf("%.6e", $11 / threads) }
    NR > 1' "$1" >"$file.part" || ! mv "$file.part" "$file"; then
    give_up "$file could not be made" 1
  fi
  echo "$file"
}

# set_simulation EXPERIMENT PLATFORM_FILE DIRECTORY OPTION...: the command of it, in $simulation.
set_simulation() {
  local kernels
  # Nothing that follows can do without; a caller's || would go on.
  kernels=$(calibration_of "$(sed -n 's/^isa: //p' "$2")") || exit
  kernels=$(threaded "$kernels") || exit
  simulation=(bazel-bin/src/simulate/simulate_attention --experiment "$1" --platform "$2" --calibration "$kernels" --output "$3" "${@:4}")
  [ ! -f "$3/manifest.json" ] || simulation+=(--resume)
}

# simulate EXPERIMENT PLATFORM_FILE DIRECTORY OPTION...
simulate() {
  set_simulation "$@"
  "${simulation[@]}"
}

# probe_link COMMAND...: which runs the benchmark, given what follows, on two ranks. Sets latency_us, gb_per_s and isa.
probe_link() {
  local found
  found=$("$@" --parallel-strategy auto --seq-len 4096 --explain) || give_up "the probe failed" 1
  # Of two ranks on two nodes, all links are between nodes.
  read -r latency_us gb_per_s <<<"$(sed -n 's|.*links \([0-9.e+-]*\) us and \([0-9.e+-]*\) GB/s.*|\1 \2|p' <<<"$found" | head -n 1)"
  # Its lines are wrapped anywhere.
  isa=$(tr -s '\n ' ' ' <<<"$found" | sed -n 's/.*[ ,]isa \([a-z0-9]*\)[, ].*/\1/p')
  local number='^[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$'
  if ! [[ $gb_per_s =~ $number && $latency_us =~ $number && $gb_per_s != 0 && -n $isa ]]; then
    give_up "the probe's answer was not understood" 1
  fi
}
