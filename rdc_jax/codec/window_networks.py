"""The networks at inference: analysis of pictures of any size, and reconstruction of one tile.

Every network call sees one tile of TILE_PIXELS, so each function below compiles once.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.decoding.windows import OVERLAP_PIXELS, TILE_PIXELS, assembled, tiled_rows
from rdc_jax.diffusion import residual, sampling
from rdc_jax.models.fusion import Decoded, Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps, level_timesteps

Params = dict[str, Any]


def analyse(
    networks: Networks, params: Params, pixels: np.ndarray, *, progress: bool = False
) -> np.ndarray:
    """Clean latent float32 [h,w,C] of pixels uint8 [H,W,3]; edges continued to multiples of f."""
    f = networks.downsampling
    height, width = (-(-n // f) for n in pixels.shape[:2])

    def bands(top, bottom, left, right):
        band = pixels[top * f : bottom * f, left * f : right * f]
        missing = (0, (bottom - top) * f - band.shape[0]), (0, (right - left) * f - band.shape[1])
        return [np.pad(band, [*missing, (0, 0)], mode="edge")]

    rows = tiled_rows(
        lambda tile: _analysis(networks, params, tile),
        bands,
        (height, width),
        input_scale=f,
        output_scale=1,
        tile=TILE_PIXELS // f,
        overlap=OVERLAP_PIXELS // f,
        progress="encode" if progress else "",
    )
    return assembled(rows, height)


class Module(NamedTuple):
    """A plug-and-play module."""

    fusion: Fusion
    params: Params


def picture_of_tile(
    networks: Networks,
    params: Params,
    timesteps: np.ndarray,
    *,
    steps: int,
    clock: sampling.Clock,
    module: Module | None = None,
) -> Callable[..., np.ndarray]:
    """The function that denoises and synthesises one tile, see `decoding.decoder.picture`.

    It takes yhat, mean, scale: float32 [h,w,C] as decoded; levels: uint8 [h,w], importance level of
    each latent pixel; tau: float32 [h,w] in 0..1, how far each latent pixel goes from the faithful
    latent (0) to the realistic one (1); noise: float32 [h,w,C], what a module's sampling starts
    from. It returns pixels float32 [fh,fw,3], about 0..255, not rounded or clipped.

    timesteps: float32 [L] of the levels. The realistic latent is the module's sample after `steps`
    steps, or without a module that of the denoiser's own sampler. Tiles where tau is 0 throughout
    are decoded by the base codec alone.
    """
    if networks.unet is None and module is None:
        steps = 1  # there is nothing to sample with
    clocks = np.asarray(sampling.clock_timesteps(jnp.asarray(timesteps), steps, clock))

    def tile(yhat, mean, scale, levels, tau, noise):
        prior_and_levels = (mean, scale, levels)
        if not tau.any() or (steps == 1 and module is None):
            return _one_step(networks, params, yhat, *prior_and_levels, clocks[0])
        if module is not None:
            decoded = _decoded(networks, params, yhat, *prior_and_levels, clocks[0])
            values = residual.clock(steps)
            for now, after in itertools.pairwise(np.asarray(values, np.float32)):
                noise = _module_step(module.fusion, module.params, noise, decoded, now, after)
            return _fused(networks, params, decoded, noise, tau)
        faithful = _clean(networks, params, yhat, *prior_and_levels, clocks[0])
        for now, after in itertools.pairwise(clocks[:-1]):
            yhat = _sampler_step(networks, params, yhat, *prior_and_levels, now, after)
        last = (*prior_and_levels, clocks[-2], faithful, tau)
        return _last_step(networks, params, yhat, *last)

    return tile


@functools.partial(jax.jit, static_argnums=0)
def _analysis(networks: Networks, params: Params, pixels: jax.Array) -> jax.Array:
    return networks.encode(params, pixels[None].astype(jnp.float32) / 127.5 - 1.0)[0]


@functools.partial(jax.jit, static_argnums=0)
def _one_step(networks, params, yhat, mean, scale, levels, now) -> jax.Array:
    """Faithful picture of a tile; now: timesteps per level [L]."""
    clean, _ = _denoise(networks, params, yhat, mean, scale, levels, now)
    return _pixels(networks, params, clean)


@functools.partial(jax.jit, static_argnums=0)
def _sampler_step(networks, params, yhat, mean, scale, levels, now, after) -> jax.Array:
    """One DDIM step of a tile; now and after: timesteps per level [L]."""
    clean, timesteps = _denoise(networks, params, yhat, mean, scale, levels, now)
    later = timesteps._replace(values=after[None])
    steps = (networks.steps_at_pixels(params, t) for t in (timesteps, later))
    return sampling.ddim_step(clean, yhat[None], *steps)[0]


@functools.partial(jax.jit, static_argnums=0)
def _last_step(networks, params, yhat, mean, scale, levels, now, faithful, tau) -> jax.Array:
    """Last denoising of a tile, the knob, and synthesis."""
    clean, _ = _denoise(networks, params, yhat, mean, scale, levels, now)
    return _pixels(networks, params, residual.fuse(faithful, clean, tau[None, :, :, None]))


@functools.partial(jax.jit, static_argnums=0)
def _clean(networks, params, yhat, mean, scale, levels, now) -> jax.Array:
    """Faithful latent of a tile."""
    return _denoise(networks, params, yhat, mean, scale, levels, now)[0]


@functools.partial(jax.jit, static_argnums=0)
def _decoded(networks, params, yhat, mean, scale, levels, now) -> Decoded:
    """What a module starts from, of a tile."""
    timesteps = level_timesteps(now[None], levels[None].astype(jnp.int32))
    return decoded_latent(networks, params, yhat[None], timesteps, mean[None], scale[None])


@functools.partial(jax.jit, static_argnums=0)
def _module_step(fusion, params, noisy, decoded, now, after) -> jax.Array:
    """One DDIM step of the module's residual; now and after: clock values []."""
    now, after = now[None], after[None]
    v = fusion.velocity(params, noisy[None], now, decoded)
    return residual.ddim_step(noisy[None], v, now, after)[0]


@functools.partial(jax.jit, static_argnums=0)
def _fused(networks, params, decoded, clean, tau) -> jax.Array:
    """The knob and synthesis."""
    transformed = decoded.latent + decoded.deviation * clean[None]
    latent = residual.fuse(decoded.latent, transformed, tau[None, :, :, None])
    return _pixels(networks, params, latent)


def _pixels(networks, params, latent) -> jax.Array:
    return 127.5 * (networks.decode(params, latent)[0] + 1.0)


def _denoise(networks, params, yhat, mean, scale, levels, now) -> tuple[jax.Array, LevelTimesteps]:
    timesteps = level_timesteps(now[None], levels[None].astype(jnp.int32))
    clean = networks.denoise(params, yhat[None], timesteps, mean[None], scale[None])
    return clean, timesteps
