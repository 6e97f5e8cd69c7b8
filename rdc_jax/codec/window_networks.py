"""The networks at inference: analysis of images of any size, and reconstruction of one window.

Every call of a network sees one window of WINDOW_PIXELS, so each function below compiles once.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.decoding.reconstruction import WindowFunction
from rdc_jax.decoding.windows import OVERLAP_PIXELS, WINDOW_PIXELS, assembled, windowed_rows
from rdc_jax.diffusion import residual, sampling
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.fusion import Decoded, Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps, level_timesteps
from rdc_jax.progress import ReportShare, nothing

Params = dict[str, Any]


class FusionNetwork(NamedTuple):
    """The network of a fusion module, and its parameters on the device."""

    fusion: Fusion
    params: Params


class Received(NamedTuple):
    """What a decoder knows about a window of the latent.

    Attributes:
        yhat: float32 [h,w,C], the coded values, or the sampler's current ones.
        mean: float32 [h,w,C], predicted means.
        scale: float32 [h,w,C], predicted standard deviations.
        levels: uint8 [h,w], importance levels.
    """

    yhat: jax.Array
    mean: jax.Array
    scale: jax.Array
    levels: jax.Array


def analyse(
    networks: Networks, params: Params, pixels: np.ndarray, *, report: ReportShare = nothing
) -> np.ndarray:
    """The clean latent of an image.

    Args:
        networks: The networks of the model.
        params: Their parameters.
        pixels: uint8 [H,W,3]. The edges are repeated up to multiples of the downsampling factor.
        report: Called with the share that is done, 0 to 1.

    Returns:
        float32 [h,w,C].
    """
    f = networks.downsampling
    height, width = (-(-n // f) for n in pixels.shape[:2])

    def bands(top: int, bottom: int, left: int, right: int) -> list[np.ndarray]:
        band = pixels[top * f : bottom * f, left * f : right * f]
        missing = (0, (bottom - top) * f - band.shape[0]), (0, (right - left) * f - band.shape[1])
        return [np.pad(band, [*missing, (0, 0)], mode="edge")]

    rows = windowed_rows(
        lambda window: _analysis(networks, params, window),
        bands,
        (height, width),
        input_scale=f,
        output_scale=1,
        window=WINDOW_PIXELS // f,
        overlap=OVERLAP_PIXELS // f,
        report=report,
    )
    return assembled(rows, height)


def reconstruction(
    networks: Networks,
    params: Params,
    timesteps: np.ndarray,
    *,
    steps: int,
    clock: sampling.Clock,
    fusion: FusionNetwork | None = None,
) -> WindowFunction:
    """Returns the function that denoises and synthesises one window.

    The faithful latent is the denoiser's, in one step. The realistic latent is the fusion module's
    sample, or without a module that of the denoiser's own sampler. Tau chooses between the two.
    Windows where tau is 0 everywhere are decoded by the base codec alone.

    Args:
        networks: The networks of the model.
        params: Their parameters.
        timesteps: float32 [L], timestep of each importance level.
        steps: Steps of the sampler.
        clock: How timesteps fall during these steps.
        fusion: The network of the fusion module.
    """
    if networks.unet is None and fusion is None:
        steps = 1  # no network to sample with
    clocks = np.asarray(sampling.clock_timesteps(jnp.asarray(timesteps), steps, clock))

    def window(
        yhat: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        levels: np.ndarray,
        tau: np.ndarray,
        noise: np.ndarray,
    ) -> np.ndarray:
        received = Received(*map(jnp.asarray, (yhat, mean, scale, levels)))
        if not tau.any() or (steps == 1 and fusion is None):
            return _one_step(networks, params, received, clocks[0])
        if fusion is not None:
            decoded = _decoded(networks, params, received, clocks[0])
            values = residual.clock(steps)
            for now, after in itertools.pairwise(np.asarray(values, np.float32)):
                noise = _fusion_step(fusion.fusion, fusion.params, noise, decoded, now, after)
            return _fused(networks, params, decoded, noise, tau)
        faithful = _clean(networks, params, received, clocks[0])
        for now, after in itertools.pairwise(clocks[:-1]):
            less_noisy = _sampler_step(networks, params, received, now, after)
            received = received._replace(yhat=less_noisy)
        return _last_step(networks, params, received, clocks[-2], faithful, tau)

    return window


@functools.partial(jax.jit, static_argnums=0)
def _analysis(networks: Networks, params: Params, pixels: jax.Array) -> jax.Array:
    return networks.encode(params, pixels[None].astype(jnp.float32) / PIXEL_RANGE - 1.0)[0]


@functools.partial(jax.jit, static_argnums=0)
def _one_step(networks: Networks, params: Params, received: Received, now: jax.Array) -> jax.Array:
    """Faithful image of a window; now: timestep of each level [L]."""
    clean, _ = _denoise(networks, params, received, now)
    return _pixels(networks, params, clean)


@functools.partial(jax.jit, static_argnums=0)
def _sampler_step(
    networks: Networks, params: Params, received: Received, now: jax.Array, after: jax.Array
) -> jax.Array:
    """One DDIM step of a window; now and after: timestep of each level [L]."""
    clean, timesteps = _denoise(networks, params, received, now)
    later = timesteps._replace(values=after[None])
    steps = (networks.steps_at_pixels(params, t) for t in (timesteps, later))
    return sampling.ddim_step(clean, received.yhat[None], *steps)[0]


@functools.partial(jax.jit, static_argnums=0)
def _last_step(
    networks: Networks,
    params: Params,
    received: Received,
    now: jax.Array,
    faithful: jax.Array,
    tau: jax.Array,
) -> jax.Array:
    """Last denoising step of a window, fusion by tau, and synthesis."""
    clean, _ = _denoise(networks, params, received, now)
    return _pixels(networks, params, residual.fuse(faithful, clean, tau[None, :, :, None]))


@functools.partial(jax.jit, static_argnums=0)
def _clean(networks: Networks, params: Params, received: Received, now: jax.Array) -> jax.Array:
    """Faithful latent of a window."""
    return _denoise(networks, params, received, now)[0]


@functools.partial(jax.jit, static_argnums=0)
def _decoded(networks: Networks, params: Params, received: Received, now: jax.Array) -> Decoded:
    """The decoded latent of a window, with what the fusion module needs to know about it."""
    yhat, mean, scale, levels = (array[None] for array in received)
    timesteps = level_timesteps(now[None], levels.astype(jnp.int32))
    return decoded_latent(networks, params, yhat, timesteps, mean, scale)


@functools.partial(jax.jit, static_argnums=0)
def _fusion_step(
    fusion: Fusion,
    params: Params,
    noisy: jax.Array,
    decoded: Decoded,
    now: jax.Array,
    after: jax.Array,
) -> jax.Array:
    """One DDIM step of the fusion module's residual; now and after: clock values []."""
    now, after = now[None], after[None]
    v = fusion.velocity(params, noisy[None], now, decoded)
    return residual.ddim_step(noisy[None], v, now, after)[0]


@functools.partial(jax.jit, static_argnums=0)
def _fused(
    networks: Networks, params: Params, decoded: Decoded, clean: jax.Array, tau: jax.Array
) -> jax.Array:
    """Fusion by tau, and synthesis."""
    transformed = decoded.latent + decoded.deviation * clean[None]
    latent = residual.fuse(decoded.latent, transformed, tau[None, :, :, None])
    return _pixels(networks, params, latent)


def _pixels(networks: Networks, params: Params, latent: jax.Array) -> jax.Array:
    return PIXEL_RANGE * (networks.decode(params, latent)[0] + 1.0)


def _denoise(
    networks: Networks, params: Params, received: Received, now: jax.Array
) -> tuple[jax.Array, LevelTimesteps]:
    yhat, mean, scale, levels = (array[None] for array in received)
    timesteps = level_timesteps(now[None], levels.astype(jnp.int32))
    return networks.denoise(params, yhat, timesteps, mean, scale), timesteps
