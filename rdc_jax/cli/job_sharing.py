"""Large folders: several processes share them, and an interrupted run continues.

--process-index I and --process-count N say which process this is. For folders the environment can
say it too: RDC_PROCESS_INDEX and RDC_PROCESS_COUNT; RDC_PROCESS_ID and RDC_NUM_PROCESSES, which
launch/ sets; or RDC_DISTRIBUTED=auto inside a SLURM job. Process I of N takes files I, I + N,
I + 2 N, ... of the sorted list, which must be the same for all processes.
"""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from rdc_jax.bitstream import container
from rdc_jax.errors import RdcError
from rdc_jax.images import read_image

VARIABLES = (
    ("RDC_PROCESS_INDEX", "RDC_PROCESS_COUNT"),
    ("RDC_PROCESS_ID", "RDC_NUM_PROCESSES"),
)
OF_SLURM = ("SLURM_PROCID", "SLURM_NTASKS")


def place(args: Namespace, environment: Mapping[str, str]) -> tuple[int, int]:
    """(index, count) of this process among those that share the files; (0, 1) for a single one.

    Arguments override the environment. Raises RdcError when only one of the two is set, or when the
    index is not below the count.
    """
    given = args.process_index, args.process_count
    if given != (None, None):
        return _checked(given, ("--process-index", "--process-count"))
    pairs = list(VARIABLES)
    if environment.get("RDC_DISTRIBUTED") == "auto":
        pairs.append(OF_SLURM)
    for names in pairs:
        texts = [environment.get(name) or None for name in names]
        if texts != [None, None]:
            return _checked(texts, names)
    if environment.get("RDC_DISTRIBUTED") == "auto":
        raise RdcError(
            "RDC_DISTRIBUTED=auto shares files only inside a SLURM job; give "
            "--process-index and --process-count"
        )
    return 0, 1


def _checked(values, names: tuple[str, str]) -> tuple[int, int]:
    try:
        index, count = (int(value) for value in values)
    except (TypeError, ValueError):
        raise RdcError(f"give both {names[0]} and {names[1]}, two whole numbers") from None
    if not 0 <= index < count:
        raise RdcError(f"{names[0]} {index} must be 0 to {names[1]} - 1, which is {count - 1}")
    return index, count


def check_complete(path: str, max_pixels: int) -> None:
    """Raises RdcError unless a file is a complete `.rdc` file (all checksums) or a complete image.

    max_pixels: Larger images are refused without reading them.
    """
    try:
        if Path(path).suffix.lower() == ".rdc":
            container.unpack(Path(path).read_bytes(), max_pixels=max_pixels)
        else:
            read_image(path, max_pixels=max_pixels)
    except OSError as error:
        raise RdcError(f"it cannot be read ({error.strerror})") from None
