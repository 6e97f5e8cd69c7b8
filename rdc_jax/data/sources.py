"""Random-access image sources for the training pipeline, and the function that opens them.

A source has

    len(source)
    source[i]         {"image": uint8 [height, width, 3]}, and if the set has segmentations also
                      "mask": uint8 [height, width], the segment number of each pixel.
                      For tiles of encoded photos {"latent": float16 [h, w, C],
                      "mask": uint8 [h, w]}
    source.skipped    damaged images found so far, which were replaced by others
    source.subset(indices)

Sources of images also have

    source.read(i)          like source[i], but raises RdcError for an unreadable image
    source.name(i)          the name of image i
    source.fingerprint()    a text that changes if the set changes

Sources of stored images also have `make`, which applies a function to an image that is not decoded
yet (see ReplacingSource). The training pipeline needs only the first two, or `make`. An unreadable
image is never fatal. A missing or unreadable set is an RdcError that names the setting.
"""

import glob
from pathlib import Path

from rdc_jax import paths
from rdc_jax.data.array_record_source import ArrayRecordSource
from rdc_jax.data.folder_source import CACHE_BYTES, FolderSource
from rdc_jax.data.latent_source import LatentSource
from rdc_jax.data.replacing_source import ReplacingSource
from rdc_jax.data.shards import kind_of_folder
from rdc_jax.data.subset_source import SubsetSource
from rdc_jax.data.synthetic_source import SyntheticSource
from rdc_jax.data.tfds_source import TfdsSource
from rdc_jax.errors import RdcError

__all__ = [
    "ArrayRecordSource",
    "FolderSource",
    "LatentSource",
    "ReplacingSource",
    "SubsetSource",
    "SyntheticSource",
    "TfdsSource",
    "kind_of",
    "open_source",
]

KINDS = ("auto", "folder", "array_record", "tfds", "latents", "synthetic")
SYNTHETIC_IMAGES = 64


def open_source(
    kind: str,
    path: str | Path,
    *,
    split: str = "train",
    tfds_dir: str = "",
    synthetic_size: int = 256,
    seed: int = 0,
    cache: bool = True,
    processes: int = 1,
) -> ReplacingSource | SyntheticSource:
    """Opens the image source that a config names.

    Args:
        kind: data.kind, one of KINDS.
        path: data.path: a folder of images; a folder of ArrayRecord shards, a shard or a pattern;
            the name of a TFDS set; or the output folder of `rdc data encode-latents`. Synthetic
            images need no path. Shards and latents may be in a bucket (gs://...).
        split: data.split, the split of a TFDS set.
        tfds_dir: data.tfds_dir, the folder where TFDS keeps its sets; "" for the default of TFDS.
        synthetic_size: Side of the synthetic images in pixels.
        seed: Seed of the synthetic images.
        cache: True to keep decoded images of a folder in memory.
        processes: Number of processes that will read. They share the memory for decoded images.

    Raises:
        RdcError: the source cannot be opened. The message names data.kind or data.path.
    """
    kind = kind_of(kind, path)
    if kind == "synthetic":
        return SyntheticSource(SYNTHETIC_IMAGES, synthetic_size, seed=seed)
    if not str(path):
        raise RdcError(f"data.path is empty; with data.kind={kind} it names the images")
    if kind == "folder":
        if paths.is_remote(path):
            raise RdcError(
                f"data.path: data.kind=folder reads local files, and {path} is in a bucket; make "
                "shards with `rdc data prepare`, copy them there, and set data.kind=array_record"
            )
        return FolderSource(path, cache, cache_bytes=CACHE_BYTES // max(1, processes))
    if kind == "array_record":
        return ArrayRecordSource(path)
    if kind == "latents":
        return LatentSource(path)
    return TfdsSource(str(path), split, tfds_dir or None)


def kind_of(kind: str, path: str | Path) -> str:
    """Returns the kind of images at a path.

    Args:
        kind: data.kind. With "auto", shards are recognised by their names and manifest, an empty
            path means synthetic images, and everything else is a folder of images.
        path: data.path.

    Returns:
        One of KINDS, except "auto".

    Raises:
        RdcError: the kind is unknown.
    """
    if kind not in KINDS:
        raise RdcError(f"data.kind must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, not {kind!r}")
    if kind != "auto":
        return kind
    if not str(path):
        return "synthetic"
    place = paths.of(path) if paths.is_remote(path) else Path(path).expanduser()
    with paths.errors(path):
        if glob.has_magic(str(place)) or place.is_file():
            return "array_record"
        return kind_of_folder(place) or "folder"
