"""The exit statuses of tools/cluster and the error that carries them."""

USAGE = 2  # bad options, unknown or already running cluster
UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h: a program is missing
FAILED = 70  # EX_SOFTWARE: the cluster did not come up for another reason
NO_RIGHTS = 77  # EX_NOPERM: the kernel does not let us make namespaces


class ClusterError(Exception):
    """One line for the user and the exit status that goes with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
