#!/usr/bin/env bash
# run_mpi_test.sh RANKS PROGRAM [ARGUMENT...]: runs a test binary under mpirun (or MPIRUN) inside a Bazel test.
set -euo pipefail
ranks=$1
shift

# Bazel's own variables are for one process; several ranks would write the same files.
unset XML_OUTPUT_FILE GTEST_OUTPUT TEST_PREMATURE_EXIT_FILE

# Open MPI puts UNIX sockets in TMPDIR, whose paths must stay short.
TMPDIR=$(mktemp -d /tmp/mpi.XXXXXX)
export TMPDIR
# Open MPI names a job after its mpirun's process id, and its shared memory after the job. Bazel's sandbox gives every
# test process ids of its own, so two tests at once can have the same; their shared memory must not meet.
shared_memory=$TMPDIR
if [ -w /dev/shm ]; then shared_memory=$(mktemp -d /dev/shm/mpi.XXXXXX); fi
trap 'rm -rf "$TMPDIR" "$shared_memory"' EXIT

if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# Less than Bazel's own limit, so that a hang ends with a line that says so and with no rank left behind.
limit=${MPI_TEST_SECONDS:-$((TEST_TIMEOUT > 60 ? TEST_TIMEOUT - 30 : 60))}
status=0
launcher=("${MPIRUN:-mpirun}" -np "$ranks")
# MPICH's launcher (Hydra) binds nothing unless asked and knows no limit of ranks per core.
case $("${launcher[0]}" --version 2>/dev/null || true) in
  *HYDRA*) ;;
  *)
    launcher+=(--oversubscribe --bind-to none --mca mpi_yield_when_idle 1)
    launcher+=(--mca btl_vader_backing_directory "$shared_memory" --mca osc_sm_backing_directory "$shared_memory")
    ;;
esac
timeout --kill-after=10 "$limit" "${launcher[@]}" "$@" || status=$?
if [ "$status" = 124 ]; then
  echo "run_mpi_test: $ranks ranks of $1 did not finish in $limit s" >&2
fi
exit "$status"
