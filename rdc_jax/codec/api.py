"""`rdc_jax.encode` and `rdc_jax.decode`: the codec in one call, its model loaded once and kept."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdc_jax import installation
from rdc_jax.codec.keywords import check_keywords
from rdc_jax.decoding.decoder import Decoder
from rdc_jax.decoding.opened_file import Source
from rdc_jax.model_folder import files

if TYPE_CHECKING:
    from rdc_jax.codec.codec import Codec

KEPT = 2  # models in memory at once


def encode(
    image: Any,
    *,
    model: str | Path | None = None,
    fusion: str | Path | None = None,
    **options: Any,
) -> Any:
    """Encodes an image, or each image of a list.

        data = rdc_jax.encode("photo.jpg", target_bpp=0.2, importance="auto")

    Args:
        image: Path, PIL image, or array: uint8 [H,W,3] or [H,W], float 0..1 [H,W,3] or [3,H,W].
            A list of these is a batch, and an empty list gives an empty list. Alpha and metadata of
            files and PIL images are kept.
        model: As in `rdc_jax.load`. The model is loaded at the first call and kept.
        fusion: As in `rdc_jax.load`.
        **options: The other arguments of `Codec.encode`, such as quality and importance.

    Returns:
        The bytes of an `.rdc` file, or a list of them.

    Raises:
        RdcError: The image, the model or an option is unusable, there is no such option, or JAX
            is not installed.
    """
    installation.check_jax()
    from rdc_jax.codec.codec import Codec

    check_keywords("encode", options, encode, Codec.encode)
    return _codec(_key(model, "model"), _key(fusion, "fusion")).encode(image, **options)


def decode(
    data: Source | list[Source] | tuple[Source, ...],
    *,
    model: str | Path | None = None,
    fusion: str | Path | None = None,
    **options: Any,
) -> np.ndarray | list[np.ndarray]:
    """Decodes an `.rdc` file, or each file of a list.

        pixels = rdc_jax.decode("photo.rdc", tau=1.0)

    Where JAX is not installed, onnxruntime decodes, in one step only.

    Args:
        data: The file's bytes, its path, or the file opened for reading bytes. A list of these is
            a batch, and an empty list gives an empty list.
        model: As in `rdc_jax.load`. The model is loaded at the first call and kept.
        fusion: As in `rdc_jax.load`.
        **options: The other arguments of `Codec.decode`, such as tau, steps and crop.

    Returns:
        Pixels uint8 [H,W,3], or a list of them. `Codec.decode_image` returns alpha, too.

    Raises:
        RdcError: A file is damaged or was made by another model, an option is unusable, or there
            is no such option.
    """
    check_keywords("decode", options, decode, Decoder.decode)
    kept = _codec if installation.installed("jax") else _without_jax
    decoder = kept(_key(model, "model"), _key(fusion, "fusion"))
    if isinstance(data, list | tuple):
        return [decoder.decode(one, **options) for one in data]
    return decoder.decode(data, **options)


@functools.lru_cache(KEPT)
def _codec(model: str | None, fusion: str | None) -> "Codec":
    from rdc_jax.codec.codec import load

    return load(model, fusion)


@functools.lru_cache(KEPT)
def _without_jax(model: str | None, fusion: str | None) -> Decoder:
    from rdc_jax.interop.onnx.decoder import load

    return load(model, fusion)


def _key(name: str | Path | None, parameter: str) -> str | None:
    return None if name is None else files.name_or_path(name, parameter)
