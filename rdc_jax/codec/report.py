"""What encoding one picture did, for reports and pictures of where the bits went."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Report:
    """What encoding did. Sizes in bytes, ideal_bits without container, bits_map [h,w] in bits."""

    bytes: int
    bpp: float
    quality: float
    timesteps: tuple[int, int]  # background, region of interest
    ideal_bits: float
    section_bytes: dict[str, int]
    bits_map: np.ndarray
    levels: np.ndarray  # importance levels on the latent grid, uint8 [h,w]
    symbol_hash: str
    map_grid: tuple[int, int]  # number of levels, pixels of a cell's side
    codings: int = 1  # how many it took to hit a target
