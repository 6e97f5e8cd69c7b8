"""Joining the processes of one run; what launch/ sets up, in the environment.

RDC_COORDINATOR=host:port RDC_NUM_PROCESSES=4 RDC_PROCESS_ID=0    explicit
RDC_DISTRIBUTED=auto                                              TPU VMs, GKE, SLURM: by JAX
"""

import os
from collections.abc import Mapping

import jax

from rdc_jax.errors import RdcError

TIMEOUT_SECONDS = 300


def initialize(environment: Mapping[str, str] = os.environ) -> None:
    """Connects this process to the others; does nothing in a run of one process.

    Must come before anything else touches JAX's devices. Raises RdcError for settings that are
    incomplete, or when the others do not answer in time.
    """
    names = ("RDC_COORDINATOR", "RDC_NUM_PROCESSES", "RDC_PROCESS_ID")
    given = [environment.get(name, "") for name in names]
    if environment.get("RDC_DISTRIBUTED") == "auto":
        arguments = {}
    elif not any(given):
        return
    else:
        try:
            coordinator, count, index = given[0], int(given[1]), int(given[2])
        except ValueError:
            raise RdcError(f"set all of {', '.join(names)}, the last two to numbers") from None
        if not coordinator or not 0 <= index < count:
            raise RdcError(
                f"{names[2]} {index} must be below {names[1]} {count}, and {names[0]} set"
            )
        arguments = {
            "coordinator_address": coordinator,
            "num_processes": count,
            "process_id": index,
        }
    try:
        jax.distributed.initialize(**arguments, initialization_timeout=TIMEOUT_SECONDS)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RdcError(f"cannot join the other processes of this run: {reason}") from error
