"""What encoding an image did, for reports and for images of where the bits went."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Report:
    """What encoding an image did.

    Attributes:
        bytes: Size of the file.
        bpp: Bits per pixel of the whole file.
        quality: Quality that was used.
        timesteps: (background, region of interest).
        ideal_bits: Size in bits by the model's probabilities, without the container.
        section_bytes: Bytes of each section without its frame, by name.
        bits_map: float [h,w], bits of each latent pixel.
        levels: uint8 [h,w], importance level of each latent pixel.
        symbol_hash: SHA-256 of the coded symbols.
        map_grid: Number of levels of the importance map, and side of its cells in pixels.
        codings: How often the image was coded, to hit a target size.
    """

    bytes: int
    bpp: float
    quality: float
    timesteps: tuple[int, int]
    ideal_bits: float
    section_bytes: dict[str, int]
    bits_map: np.ndarray
    levels: np.ndarray
    symbol_hash: str
    map_grid: tuple[int, int]
    codings: int = 1
