"""Weights in safetensors files, one file or shards with an index, read array by array.

    diffusion_pytorch_model.safetensors               one file
    diffusion_pytorch_model.safetensors.index.json    {"weight_map": {key: shard}}
    diffusion_pytorch_model.fp16.safetensors          half precision, used if nothing else exists

Arrays of float16, bfloat16 and float32 are read and returned as float32. Pickled files are never
opened.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import safetensors

from rdc_jax.errors import RdcError

DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
NAMES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
)
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One array in a file.

    Attributes:
        file: The file.
        dtype: A key of DTYPES.
        shape: Shape of the array.
        offset: Position of the array's first byte in the file.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> np.ndarray:
        """Reads the array as float32."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            values = np.fromfile(stream, DTYPES[self.dtype], int(np.prod(self.shape)))
        if self.dtype == "BF16":  # bfloat16 is the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32).reshape(self.shape)


def entries(path: Path) -> dict[str, Entry]:
    """Lists all arrays of a folder, of a single .safetensors file, or of an index of shards.

    Returns:
        Arrays by key.

    Raises:
        RdcError: weights are missing, damaged, pickled, listed twice, or of another dtype.
    """
    weights = path if path.is_file() else weights_file(path)
    if weights.suffix != ".json":
        return file_entries(weights)
    try:
        placed = dict(json.loads(weights.read_bytes())["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RdcError(f"{weights} is not an index of shards; download it again") from error
    found: dict[str, Entry] = {}
    for shard in sorted(set(map(str, placed.values()))):
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise RdcError(f"{weights} names {shard!r}, which is not a .safetensors file beside it")
        of_shard = file_entries(weights.parent / shard)
        listed = {key for key, name in placed.items() if name == shard}
        if wrong := sorted(listed ^ of_shard.keys()):
            raise RdcError(f"{weights.parent / shard} and its index do not agree on {wrong[0]}")
        found |= of_shard
    return found


def weights_file(folder: Path) -> Path:
    """Returns the path of a folder's weights: a file or an index of shards."""
    if not folder.is_dir():
        raise RdcError(f"no folder {folder}")
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    single = sorted(folder.glob("*.safetensors"))
    if len(single) == 1:
        return single[0]
    if len(single) > 1:
        raise RdcError(f"{folder} has several .safetensors files and no index; name one of them")
    if any(next(folder.glob(pattern), None) for pattern in PICKLED):
        raise RdcError(
            f"{folder} has only pickled weights, which are not supported; save it again with "
            "save_pretrained(..., safe_serialization=True)"
        )
    raise RdcError(f"{folder} has no .safetensors weights")


def file_entries(path: Path) -> dict[str, Entry]:
    """Lists the arrays of one safetensors file by key. Raises RdcError for a damaged file."""
    if not path.is_file():
        raise RdcError(f"cannot read {path}: no such file")
    try:
        with safetensors.safe_open(path, framework="numpy"):  # checks header and length
            pass
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RdcError(
            f"{path} is damaged or cut short ({str(error).splitlines()[0]}); download it again"
        ) from error
    header.pop("__metadata__", None)
    found = {}
    for key, about in header.items():
        if about["dtype"] not in DTYPES:
            raise RdcError(f"{path}: {key} is {about['dtype']}; only {', '.join(DTYPES)} are read")
        offset = 8 + length + about["data_offsets"][0]
        found[key] = Entry(path, about["dtype"], tuple(about["shape"]), offset)
    return found
