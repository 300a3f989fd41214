#!/usr/bin/env bash
# What starts a run launch by launch has in common; sourced by ./reproduce, tools/cluster/over_links and slurm/*.sbatch from the
# repository's top directory. A library of the shell and no program, because what is shared is about the caller's own children
# and traps: only the shell that started the ranks can wait for them, and Slurm signals the batch shell and nobody else.
#
# The caller sets: python, the Python of the analysis. From here it gets: child, status, signals, launch_arguments, verdict_status.
# shellcheck disable=SC2034,SC2154 # for the caller, and from it

child=           # the process that a signal is passed on to
signals=0        # how many came
status=0         # of the child that was waited for
verdict_status=0 # of the analysis
launch_arguments=()

# Open MPI refuses to run as root unless told; containers and fresh machines have nothing but root.
let_root_start_ranks() {
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

# --resume if RUN has a manifest to go on with, else --output.
mode_of() { # RUN
  if [ -e "$1/manifest.json" ]; then echo --resume; else echo --output; fi
}

# What the benchmark is told of one launch, in $launch_arguments. Cells in which all is decided are left out.
set_launch_arguments() { # MODE RUN LAUNCH [FURTHER...]
  launch_arguments=("$1" "$2" --launch "$3" "${@:4}")
  [ ! -s "$2/open_cells.txt" ] || launch_arguments+=(--cells "$2/open_cells.txt")
}

# What the launch begun last wrote of itself: its exit status, or null if it could not or still runs.
last_launch_status() { # RUN
  grep -o '"exit_status": *[0-9a-z]*' "$1/manifest.json" 2>/dev/null | tail -n 1 | sed 's/.*: *//'
}

# For a trap. Without a name the signal only counts: it went to the child as well.
note_signal() { # [NAME]
  signals=$((signals + 1))
  [ $# = 0 ] || [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null || true
}

# Waits for the child to end, however many signals come meanwhile; leaves its status in $status.
wait_for_child() {
  local seen=$signals result
  status=0
  wait "$child" || status=$?
  # wait returns early when a trap ran.
  while [ "$signals" != "$seen" ]; do
    seen=$signals
    result=0
    wait "$child" || result=$?
    [ "$result" = 127 ] || status=$result # 127: the status before was already the child's
  done
  child=
}

# Prints the verdict on RUN and writes it beside the data, with the analysis' status in $verdict_status: 0, 1, 3 are verdicts, 2 is
# unusable input. Fails if the analysis crashed; a Python that cannot even start exits 1, as a verdict does.
write_verdict() { # RUN
  verdict_status=0
  rm -f "$1"/{verdict.txt,verdict.json,report.html}
  "$python" analysis/verify_ordering.py --write "$1" || verdict_status=$?
  [ "$verdict_status" = 2 ] || [ -s "$1/verdict.json" ]
}

# The page of what the verdict and the samples say already: a run without it is as good, so the caller only says that it failed.
write_report() { # RUN
  [ "$verdict_status" = 2 ] || "$python" analysis/report.py "$1"
}
