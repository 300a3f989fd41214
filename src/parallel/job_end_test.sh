#!/usr/bin/env bash
# job_end_test.sh RUNNER PROGRAM: a rank that hangs, throws or dies ends the job on all ranks, non-zero, in seconds.
set -euo pipefail
runner=$1 program=$2
export MPI_TEST_SECONDS=40

check() { # MODE SECONDS PATTERN...: the job must fail within SECONDS and its output match every PATTERN
  local mode=$1 limit=$2 begin=$SECONDS output status=0
  shift 2
  output=$("$runner" 3 "$program" "$mode" 2>&1) || status=$?
  local took=$((SECONDS - begin))
  if [ "$status" = 0 ] || [ "$status" = 124 ] || [ "$took" -gt "$limit" ]; then
    printf '%s: exit status %s after %s s\n%s\n' "$mode" "$status" "$took" "$output" >&2
    exit 1
  fi
  for pattern in "$@"; do
    if ! grep -Eq "$pattern" <<<"$output"; then
      printf '%s: no line matches "%s" in\n%s\n' "$mode" "$pattern" "$output" >&2
      exit 1
    fi
  done
  printf '%s: ended after %s s\n' "$mode" "$took"
}

# Limits are for a loaded machine; an unwatched job would only end at MPI_TEST_SECONDS.
check hang 30 'rank [02] of 3 has made no progress for 1 s: it waits in step [0-9] of ring, .*rank [0-2]' \
  'watchdog: ending all ranks'
check throw 30 'rank 1 failed: ending all ranks'
check throw-agreed 30 "test: rank 1: this rank's kernel failed"
check die 30 'signal 9|Killed'
