"""ReFrame's configuration for one machine without a batch system: mpirun, started here. Sites have their own."""

from __future__ import annotations

import os

# Open MPI refuses to run as root unless told; containers and fresh machines have nothing but root.
_ROOT = [["OMPI_ALLOW_RUN_AS_ROOT", "1"], ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"]] if os.geteuid() == 0 else []

site_configuration = {
    "systems": [
        {
            "name": "here",
            "descr": "This machine",
            "hostnames": [".*"],
            "partitions": [
                {
                    "name": "default",
                    "scheduler": "local",
                    "launcher": "mpirun",
                    "environs": ["builtin"],
                    "env_vars": _ROOT,
                    "max_jobs": 1,
                }
            ],
        }
    ],
}
