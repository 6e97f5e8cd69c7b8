"""Additional sets of images besides `data.path`, and their shares of the examples."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from rdc_jax import paths
from rdc_jax.data.array_record_source import ArrayRecordSource
from rdc_jax.data.folder_source import CACHE_BYTES, FolderSource
from rdc_jax.data.shards import kind_of_folder
from rdc_jax.errors import RdcError


class Part(NamedTuple):
    """A set of images and its share of all examples, between 0 and 1."""

    source: Any
    share: float


def parse_mix(text: str) -> dict[str, float]:
    """Parses "FOLDER=SHARE,FOLDER=SHARE" to the share of each folder. "" means no folder.

    Raises:
        RdcError: the text is malformed. The message names data.mix.
    """
    shares: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        folder, equals, number = (part.strip() for part in item.rpartition("="))
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not equals or not folder or not 0 < share < 1:
            raise RdcError(
                f"data.mix: cannot read '{item}'; write FOLDER=SHARE with a share between 0 and 1, "
                "such as drawings=0.12"
            )
        if folder in shares:
            raise RdcError(f"data.mix names '{folder}' twice; name it once")
        shares[folder] = share
    if sum(shares.values()) >= 1:
        raise RdcError("data.mix: the shares must leave some for data.path; keep their sum below 1")
    return shares


def open_mix(text: str, *, processes: int = 1) -> list[Part]:
    """Opens the sets that `data.mix` names: folders of images, or shards of `rdc data prepare`.

    Args:
        text: data.mix, see `parse_mix`.
        processes: Number of processes that will read. They share the memory for decoded images.

    Raises:
        RdcError: a set cannot be opened. The message names data.mix.
    """
    return [Part(_open(folder, processes), share) for folder, share in parse_mix(text).items()]


def _open(folder: str, processes: int) -> FolderSource | ArrayRecordSource:
    try:
        if paths.is_remote(folder):
            return ArrayRecordSource(folder)
        if kind_of_folder(Path(folder).expanduser()) == "array_record":
            return ArrayRecordSource(folder)
        return FolderSource(folder, cache_bytes=CACHE_BYTES // max(1, processes))
    except RdcError as error:
        raise RdcError(f"data.mix: {str(error).removeprefix('data.path: ')}") from None
