"""What the entropy model knows of each latent pixel in advance: importance level and timestep."""

import numpy as np

from rdc_jax.bitstream.container import Header
from rdc_jax.entropy import coded_latent
from rdc_jax.entropy.coded_latent import Conditions
from rdc_jax.importance.maps import cells_to_latent
from rdc_jax.importance.timesteps import level_timesteps


def conditions_of(header: Header, grid: np.ndarray, downsampling: int) -> Conditions:
    """Returns what encoder and decoder both know before the latent.

    Args:
        header: Header of the file.
        grid: uint8 [rows, columns], the decoded importance map.
        downsampling: Image pixels per latent pixel along a side.
    """
    f = downsampling
    height, width = (-(-n // f) for n in (header.height, header.width))
    padded = coded_latent.padded_size(height), coded_latent.padded_size(width)
    return Conditions(
        height=height,
        width=width,
        levels=cells_to_latent(grid, *padded, header.cell_size // f),
        timesteps=level_timesteps(
            header.timestep_background, header.timestep_roi, header.num_levels
        ),
        dither_seed=header.dither_seed,
    )
