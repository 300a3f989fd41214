#!/usr/bin/env bash
# benchmark_qwen3_test.sh BINARY GOLDEN: the binary as users start it, under mpirun: bad input, one-off runs, resuming.
set -euo pipefail
binary=$(realpath "$1")
golden=$(realpath "$2")
directory=$(mktemp -d /tmp/bq3.XXXXXX) # Open MPI's sockets want short paths
export TMPDIR=$directory
# Shared memory of its own, because the sandbox's process ids are not unique (see tools/bazel/run_mpi_test.sh).
shared_memory=$directory
if [ -w /dev/shm ]; then shared_memory=$(mktemp -d /dev/shm/bq3.XXXXXX); fi
export OMPI_MCA_btl_vader_backing_directory=$shared_memory OMPI_MCA_osc_sm_backing_directory=$shared_memory
trap 'rm -rf "$directory" "$shared_memory"' EXIT
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
failures=0
fail() {
  echo "FAILED: $1"
  sed 's/^/    /' "$directory/out" "$directory/err" | head -40
  failures=$((failures + 1))
}

# start RANKS ARGUMENT...: status in $status, output in out and err. 124 would be a hang.
start() {
  local ranks=$1
  shift
  status=0
  timeout --kill-after=5 60 mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -np "$ranks" \
    "$binary" "$@" >"$directory/out" 2>"$directory/err" || status=$?
}

# refuses COMPLAINT ARGUMENT...: one line, from one rank, exit 2, nothing run.
refuses() {
  local complaint=$1
  shift
  start 2 "$@"
  local lines
  lines=$(grep -c '^benchmark_qwen3: ' "$directory/err") || true
  [ "$status" = 2 ] || fail "$*: exit status $status, expected 2"
  [ "$lines" = 1 ] || fail "$*: $lines lines, expected one"
  grep -qF -- "$complaint" "$directory/err" || fail "$*: does not say '$complaint'"
  [ ! -s "$directory/out" ] || fail "$*: printed something all the same"
}

expect_line() { # WHAT PATTERN FILE
  grep -qE -- "$2" "$directory/$3" || fail "$1: no line like '$2'"
}

experiment() { # FILE GRID_AND_MORE
  printf 'name: tiny\ngrid:\n  model: [{heads: 2, kv_heads: 1, head_dim: 32}]\n%b' "$2" >"$directory/$1"
}
good='  variant: [sequence+online_softmax, headwise+standard]\n  seq_len: [16, 24]\n  ranks: [2]\nmeasure: {rounds: 3}\n'
experiment good.yaml "$good"

# --- bad input -----------------------------------------------------------------------------------------------
cd "$directory"
experiment key.yaml "$good"'graphics: none\n'
refuses "key.yaml:8:1: unknown key 'graphics', allowed are" --experiment key.yaml
experiment type.yaml '  variant: [headwise+standard]\n  seq_len: [long]\n'
refuses "type.yaml:5:13: grid.seq_len: a whole number" --experiment type.yaml
experiment empty.yaml '  variant: []\n'
refuses "empty.yaml:4:12: grid.variant: the list is empty" --experiment empty.yaml
experiment zero.yaml '  variant: [headwise+standard]\n  seq_len: [0]\n'
refuses "zero.yaml:5:13: grid.seq_len: 0 is out of range" --experiment zero.yaml
experiment huge.yaml '  variant: [headwise+standard]\n  seq_len: [16000000]\n'
refuses "of memory on a node" --experiment huge.yaml
experiment isa.yaml '  variant: [headwise+standard]\n  isa: [avx3]\n'
refuses "did you mean avx2?" --experiment isa.yaml
experiment ranks.yaml '  variant: [headwise+standard]\n  ranks: [1, 3]\n'
refuses "ranks.yaml:5:14: grid.ranks: 3 ranks asked, but 2 started; start with mpirun -np 3" --experiment ranks.yaml
experiment combination.yaml '  variant: [sequence(ring)+standard]\n'
refuses "combination.yaml:4:13: grid.variant:" --experiment combination.yaml
printf 'name: x\nmodel: qwen3-7b\ngrid: {variant: [headwise+standard]}\n' >model.yaml
refuses "model.yaml:2:8: model: unknown value 'qwen3-7b', allowed are" --experiment model.yaml
printf 'name: [\n' >syntax.yaml
refuses "not valid YAML" --experiment syntax.yaml
: >nothing.yaml
refuses "nothing.yaml: a map is expected" --experiment nothing.yaml
refuses "missing.yaml: cannot be opened: No such file or directory" --experiment missing.yaml
refuses "is not a regular file" --experiment "$directory"
head -c 2000000 /dev/zero | tr '\0' ' ' >large.yaml
refuses "longer than the 1048576 bytes" --experiment large.yaml
refuses "cannot be made" --experiment good.yaml --output /proc/nowhere
touch precious
refuses "is not empty and holds no run" --experiment good.yaml --output "$directory"
refuses "there is no run to resume" --experiment good.yaml --resume "$directory/none"
refuses "exclude each other" --experiment good.yaml --resume a --output b
refuses "did you mean --parallel-strategy?" --paralel-strategy headwise
refuses "unknown strategy 'headwize', allowed are headwise, sequence, auto; did you mean headwise?" --parallel-strategy headwize
refuses "every argument is an option" good.yaml
refuses "--seq-len: a whole number from 1 to 16777216 is expected; found 'x'" --seq-len x
refuses "--seq-len: 0 is out of range" --seq-len 0
refuses "--isa: unknown value 'sse5'" --isa sse5
refuses "--model: unknown value 'qwen3-7b'" --model qwen3-7b
refuses "--kv-heads is missing" --heads 4
refuses "does not divide --heads" --heads 4 --kv-heads 3 --head-dim 8
refuses "--rounds: a whole number from 1" --rounds -1
refuses "is given twice" --seq-len 4 --seq-len 5
refuses "is for one-off runs" --experiment good.yaml --seq-len 5
refuses "--profile is for --experiment" --profile cluster
refuses "is no profile of this file, which has none" --experiment good.yaml --profile cluster
refuses "allgather" --parallel-strategy sequence --exchange ring --attention-algo standard

# --- what a newcomer types -----------------------------------------------------------------------------------
start 2 --help
[ "$status" = 0 ] || fail "--help: exit status $status"
[ "$(grep -c '^Measures attention' out)" = 1 ] || fail "--help: not printed exactly once"
start 1 --list
expect_line --list 'qwen3-32b +64 +8 +128' out
expect_line --list '^ISAs of this machine: scalar' out
start 1 --version
expect_line --version '^benchmark_qwen3, revision ' out
start 1 --experiment good.yaml --print-geometry
[ "$(cat out)" = "name tiny
ranks 2
threads 1
launches 1" ] || fail "--print-geometry"
start 1 --experiment good.yaml --dry-run
expect_line --dry-run '2 cells, 4 cases, 2 ranks, 1 launch; about' out
for variant in "headwise --attention-algo standard" "headwise --attention-algo online_softmax" \
  "sequence --attention-algo online_softmax"; do
  # shellcheck disable=SC2086 # two words
  start 2 --parallel-strategy $variant --seq-len 128 --rounds 3
  [ "$status" = 0 ] || fail "$variant: exit status $status"
  expect_line "$variant" 'ms +GFLOP/s +% peak +exposed ms +rel_l2_err +status' out
  expect_line "$variant" "^${variant%% *}\+${variant##* } .* ok$" out
  [ "$(grep -c 'FMA peak' out)" = 1 ] || fail "$variant: other ranks are not silent"
done
start 1 --attention streaming --seq-len 64 --rounds 1
[ "$status" = 0 ] || fail "--attention: exit status $status"
expect_line --attention 'deprecated; it means --parallel-strategy headwise --attention-algo online_softmax' err

# --- a strategy that is chosen here ---------------------------------------------------------------------------
for ranks in 1 2 3; do
  start "$ranks" --parallel-strategy auto --seq-len 96 --threads 1 --rounds 2
  [ "$status" = 0 ] || fail "auto on $ranks ranks: exit status $status"
  expect_line "auto on $ranks ranks" '^auto\+online_softmax: (headwise|sequence)\([a-z_]+,[a-z]+\)\+online_softmax .* ok( oversubscribed)?$' out
  start "$ranks" --parallel-strategy auto --seq-len 96 --threads 1 --explain
  [ "$status" = 0 ] || fail "--explain on $ranks ranks: exit status $status"
  expect_line --explain 'variant +predicted ms +compute ms +exchange ms +sent MiB' out
  expect_line --explain '^ *1 +(headwise|sequence)\([a-z_]+,[a-z]+\)\+online_softmax' out
  expect_line --explain '^measured here: .*GFLOP/s by shape$' out
done
refuses "--exchange: --parallel-strategy auto chooses it" --parallel-strategy auto --exchange ring
refuses "scope block has no auto" --parallel-strategy auto --scope block
refuses "no variant is auto" --parallel-strategy sequence --explain
refuses "unknown strategy 'auto', allowed are headwise, sequence" --verify none.safetensors --parallel-strategy auto
refuses "valid" --parallel-strategy auto --contract token_sharded --phase decode
refuses "--weights: the path is no text in UTF-8" --weights $'w\xff' --generate 2 --prompt-ids 1

# --- nobody can hear it: without a launcher, which would take what is printed -----------------------------------
unheard() { # ARGUMENT...
  status=0
  timeout --kill-after=5 60 "$binary" "$@" >/dev/full 2>"$directory/err" || status=$?
  [ "$status" = 2 ] || fail "$*: exit status $status with a full standard output, expected 2"
  expect_line "$*, full standard output" '^benchmark_qwen3: standard output: cannot be written: ' err
}
: >"$directory/out"
for option in --help --version --list --list-columns; do unheard "$option"; done
unheard --seq-len 16 --rounds 2 --threads 1 --output unheard
expect_line "a run that nobody hears" 'the results are in unheard$' err
[ "$(wc -l <unheard/cases.csv)" = 2 ] || fail "a run that nobody hears: its case is not there"

# --- fewer threads than asked for --------------------------------------------------------------------------------
status=0
OMP_THREAD_LIMIT=1 timeout --kill-after=5 60 "$binary" --verify "$golden" --threads 2 >out 2>err || status=$?
[ "$status" = 2 ] || fail "--verify under OMP_THREAD_LIMIT=1: exit status $status, expected 2"
expect_line "--verify under OMP_THREAD_LIMIT=1" '2 threads per rank are asked for, the OpenMP runtime gives 1' err
experiment auto.yaml '  variant: [auto, headwise+online_softmax]\n  seq_len: [16, 24]\n  ranks: [1, 2]\nmeasure: {rounds: 2}\n'
start 1 --experiment auto.yaml --dry-run
[ "$status" = 0 ] || fail "auto, --dry-run: exit status $status"
expect_line "auto, --dry-run" '^auto is chosen where it runs' out
start 2 --experiment auto.yaml --output chosen
[ "$status" = 0 ] || fail "auto in a file: exit status $status"
# The label stays; strategy, exchange, sharding and algorithm are what ran.
[ "$(grep -cE ',auto,,[^,]*,(headwise|sequence),[a-z_]+,[a-z]+,online_softmax,' chosen/cases.csv)" = 4 ] ||
  fail "auto in a file: cases.csv does not say what was chosen"
grep -o '"choices".*' chosen/manifest.json >/dev/null || fail "auto in a file: the manifest has no choices"
chosen=$(grep ',auto,' chosen/cases.csv | cut -d, -f3,5-10 | sort)
# Broken off before its rows: gone on with, each cell has the variant that it had.
head -1 chosen/cases.csv >kept && mv kept chosen/cases.csv
start 2 --resume chosen
[ "$status" = 0 ] || fail "auto, resumed: exit status $status"
[ "$(grep ',auto,' chosen/cases.csv | cut -d, -f3,5-10 | sort)" = "$chosen" ] || fail "auto, resumed: chose anew"

# --- runs that are broken off and gone on with ----------------------------------------------------------------
start 2 --experiment good.yaml --output run
[ "$status" = 0 ] || fail "run: exit status $status"
[ "$(wc -l <run/cases.csv)" = 5 ] || fail "run: cases.csv has not 4 rows"
[ "$(wc -l <run/samples.csv)" = 13 ] || fail "run: samples.csv has not 12 rows"
refuses "launch 0 is already there; --resume" --experiment good.yaml --output run
sed 's/16, 24/16, 32/' good.yaml >other.yaml
refuses "holds a run of another experiment file" --experiment other.yaml --resume run
start 2 --experiment good.yaml --output run --launch 1
[ "$status" = 0 ] || fail "second launch: exit status $status"
start 2 --resume run
[ "$status" = 0 ] || fail "resuming a complete run: exit status $status"
expect_line "resuming a complete run" '2 cells were complete' out
[ "$(wc -l <run/cases.csv)" = 9 ] || fail "resuming a complete run measured again"

# One cell is complete and the next under way when the batch system warns.
experiment long.yaml '  variant: [sequence+online_softmax]\n  seq_len: [16, 64]\n  ranks: [2]\n'
cat >>long.yaml <<'YAML'
measure: {rounds: 100000, max_seconds_per_cell: 1.5}
YAML
rank_process() { # RANK DIRECTORY: the process id
  local place
  for place in /proc/[0-9]*; do
    if tr '\0' '\n' 2>/dev/null <"$place/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" &&
      tr '\0' '\n' 2>/dev/null <"$place/cmdline" | grep -qxF "$2"; then
      echo "${place#/proc/}"
    fi
  done
}
interrupt() { # SIGNAL DIRECTORY [RANK]: into the second cell, then the signal to mpirun or a rank; status in $status
  mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -np 2 "$binary" --experiment "$interrupted" \
    --output "$directory/$2" >out 2>err &
  local child=$! waited=0
  until [ -f "$2/cases.csv" ] && [ "$(wc -l <"$2/cases.csv")" -ge 2 ]; do
    sleep 0.1
    waited=$((waited + 1))
    if [ $waited -gt 400 ]; then fail "$1: the first cell never ended"; break; fi
  done
  if [ $# = 3 ]; then kill -s "$1" "$(rank_process "$3" "$directory/$2")"; else kill -s "$1" "$child"; fi
  status=0
  wait "$child" || status=$?
}
interrupted=long.yaml
interrupt USR1 warned
[ "$status" = 3 ] || fail "USR1: exit status $status, expected 3"
[ "$(wc -l <warned/cases.csv)" = 2 ] || fail "USR1: the cell under way was recorded as complete"
grep -q '"exit_status": 3' warned/manifest.json || fail "USR1: the manifest does not say 3"
start 2 --resume warned
[ "$status" = 0 ] || fail "resume after USR1: exit status $status"
[ "$(wc -l <warned/cases.csv)" = 3 ] || fail "resume after USR1: the second cell is not there once"
grep -q '^[0-9]*,1000,' warned/cases.csv || fail "resume after USR1: no launch id of its own"

# Stopped at once, in order: what was measured stays, and what was under way is measured anew.
goes_on() { # WHAT DIRECTORY
  [ "$(wc -l <"$2/cases.csv")" = 2 ] || fail "$1: the cell under way was recorded as complete"
  grep -q '"exit_status": 3' "$2/manifest.json" || fail "$1: the manifest does not say 3"
  cp "$2/samples.csv" before
  [ "$(tail -c 1 before)" = "" ] || fail "$1: the last row is not whole"
  start 2 --resume "$2"
  [ "$status" = 0 ] || fail "resume after $1: exit status $status"
  cmp -s -n "$(wc -c <before)" before "$2/samples.csv" || fail "resume after $1: earlier samples are gone"
  [ "$(wc -l <"$2/cases.csv")" = 3 ] || fail "resume after $1: the second cell is not there once"
}
# mpirun that is told to stop waits a while, passes SIGTERM on, waits as long again and kills: by default a second each, too
# little for ranks on a loaded machine. The cell under way has to last longer than that.
interrupted=longer.yaml
sed 's/max_seconds_per_cell: 1.5/max_seconds_per_cell: 8/' long.yaml >longer.yaml
OMPI_MCA_odls_base_sigkill_timeout=4 interrupt TERM stopped
interrupted=long.yaml
# mpirun that was itself told to stop reports no rank's status.
[ "$status" != 0 ] || fail "TERM to mpirun: exit status 0"
goes_on "TERM to mpirun" stopped
for rank in 0 1; do
  interrupt TERM "stopped$rank" $rank
  [ "$status" = 3 ] || fail "TERM to rank $rank: exit status $status, expected 3"
  goes_on "TERM to rank $rank" "stopped$rank"
done

interrupt KILL killed
# Ranks without their mpirun end by themselves, a little later.
size=-1
until [ "$size" = "$(wc -c <killed/samples.csv)" ]; do size=$(wc -c <killed/samples.csv); sleep 1; done
start 2 --resume killed
[ "$status" = 0 ] || fail "resume after KILL: exit status $status"
[ "$(cut -d, -f4 killed/cases.csv | sort | uniq -d)" = "" ] || fail "resume after KILL: a case twice"
[ "$(wc -l <killed/cases.csv)" = 3 ] || fail "resume after KILL: not both cells"

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "all as expected"
