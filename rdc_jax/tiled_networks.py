"""The networks at inference: analysis and reconstruction of pictures of any size, tile by tile.

Every network call sees one tile of TILE_PIXELS, so each function below compiles once.
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion import sampling
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps, level_timesteps
from rdc_jax.tiling import apply_tiled

TILE_PIXELS = 320
OVERLAP_PIXELS = 64
Params = dict[str, Any]


def analyse(
    networks: Networks, params: Params, pixels: np.ndarray, *, progress: bool = False
) -> np.ndarray:
    """Clean latent float32 [h,w,C] of pixels uint8 [H,W,3]; edges continued to multiples of f."""
    f = networks.downsampling
    missing = [(0, -n % f) for n in pixels.shape[:2]]
    return apply_tiled(
        lambda tile: _analysis(networks, params, tile),
        [np.pad(pixels, [*missing, (0, 0)], mode="edge")],
        input_scale=f,
        output_scale=1,
        tile=TILE_PIXELS // f,
        overlap=OVERLAP_PIXELS // f,
        progress="encode" if progress else "",
    )


def reconstruct(
    networks: Networks,
    params: Params,
    yhat: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    levels: np.ndarray,
    timesteps: np.ndarray,
    *,
    steps: int,
    clock: sampling.Clock,
    progress: bool = False,
) -> np.ndarray:
    """Denoises and synthesises: pixels float32 [fh,fw,3], about 0..255, not rounded or clipped.

    yhat, mean, scale: float32 [h,w,C] as decoded. levels: uint8 [h,w], importance level of each
    latent pixel; timesteps: float32 [L] of the levels. steps: sampler steps, at least 1, of no
    effect without a denoiser.
    """
    f = networks.downsampling
    steps = 1 if networks.unet is None else steps
    clocks = np.asarray(sampling.clock_timesteps(jnp.asarray(timesteps), steps, clock))

    def tile(yhat, *prior_and_levels):
        for now, after in itertools.pairwise(clocks[:-1]):
            yhat = _sampler_step(networks, params, yhat, *prior_and_levels, now, after)
        return _last_step(networks, params, yhat, *prior_and_levels, clocks[-2])

    return apply_tiled(
        tile,
        [yhat, mean, scale, levels],
        input_scale=1,
        output_scale=f,
        tile=TILE_PIXELS // f,
        overlap=OVERLAP_PIXELS // f,
        progress="decode" if progress else "",
    )


@functools.partial(jax.jit, static_argnums=0)
def _analysis(networks: Networks, params: Params, pixels: jax.Array) -> jax.Array:
    return networks.encode(params, pixels[None].astype(jnp.float32) / 127.5 - 1.0)[0]


@functools.partial(jax.jit, static_argnums=0)
def _sampler_step(networks, params, yhat, mean, scale, levels, now, after) -> jax.Array:
    """One DDIM step of a tile; now and after: timesteps per level [L]."""
    clean, timesteps = _denoise(networks, params, yhat, mean, scale, levels, now)
    later = timesteps._replace(values=after[None])
    steps = (networks.steps_at_pixels(params, t) for t in (timesteps, later))
    return sampling.ddim_step(clean, yhat[None], *steps)[0]


@functools.partial(jax.jit, static_argnums=0)
def _last_step(networks, params, yhat, mean, scale, levels, now) -> jax.Array:
    """Last denoising of a tile, and synthesis."""
    clean, _ = _denoise(networks, params, yhat, mean, scale, levels, now)
    return 127.5 * (networks.decode(params, clean)[0] + 1.0)


def _denoise(networks, params, yhat, mean, scale, levels, now) -> tuple[jax.Array, LevelTimesteps]:
    timesteps = level_timesteps(now[None], levels[None].astype(jnp.int32))
    clean = networks.denoise(params, yhat[None], timesteps, mean[None], scale[None])
    return clean, timesteps
