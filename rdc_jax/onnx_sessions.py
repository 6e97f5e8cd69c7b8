"""Session options for all uses of onnxruntime."""

import os
from typing import Any


def options() -> Any:
    """Returns onnxruntime.SessionOptions: one thread per available CPU, no spinning, no log.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    allowed = getattr(os, "sched_getaffinity", None)
    chosen.intra_op_num_threads = len(allowed(0)) if allowed else os.cpu_count() or 1
    # Spinning while waiting makes sessions three times slower when other programs use the CPU.
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen.log_severity_level = 4
    return chosen
