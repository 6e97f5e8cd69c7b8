"""How onnxruntime is started wherever we use it."""

import os
from typing import Any


def options() -> Any:
    """onnxruntime.SessionOptions: as many threads as this process may use, quiet, and polite.

    Raises ImportError where onnxruntime is not installed.
    """
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    allowed = getattr(os, "sched_getaffinity", None)
    chosen.intra_op_num_threads = len(allowed(0)) if allowed else os.cpu_count() or 1
    # Threads that spin while they wait take three times as long where others use the CPU, too.
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen.log_severity_level = 4
    return chosen
