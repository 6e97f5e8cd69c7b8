"""The fixed validation rule: held-out training images, uniform maps at a few timesteps.

Never the evaluation set. The numbers are ideal code lengths and one-step decoding, so a run's
progress is visible without writing files.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion import losses
from rdc_jax.diffusion.quantization import add_uniform_noise
from rdc_jax.models.autoencoder import DOWNSAMPLING
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training.stages import Noised, entropy_bits

TIMESTEPS = (250, 400, 550, 700)


def validation_crops(source: Any, indices: np.ndarray, size: int) -> np.ndarray:
    """Centre crops of the held-out images, uint8 [N,size,size,3]; smaller images are tiled up."""
    crops = []
    for index in indices:
        image = source[int(index)]["image"]
        repeat = [-(-size // n) for n in image.shape[:2]]
        image = np.tile(image, (*repeat, 1))
        top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
        crops.append(image[top : top + size, left : left + size])
    return np.stack(crops)


def make_validate(networks: Networks):
    """Returns a jitted (params, image uint8 [1,S,S,3], timestep) -> (bpp, psnr dB, uint8 image)."""

    @jax.jit
    def validate(params: Mapping[str, Any], image: jax.Array, timestep: jax.Array):
        x = image.astype(jnp.float32) / losses.PIXEL_RANGE - 1.0
        size = x.shape[1] // DOWNSAMPLING
        index = jnp.zeros((1, size, size), jnp.int32)
        timesteps = level_timesteps(timestep.astype(jnp.float32).reshape(1, 1), index)
        y = networks.encode(params, x)
        noise_key, z_key = jax.random.split(jax.random.key(0))
        yhat = add_uniform_noise(noise_key, y, networks.steps_at_pixels(params, timesteps))
        importance = jnp.ones((1, size, size, 1))
        noised = Noised(x, y, yhat, timesteps, importance)
        y_bits, z_bits, mean, scale = entropy_bits(networks, params, noised, z_key)
        x0 = networks.denoise(params, yhat, timesteps, mean, scale)
        decoded = jnp.round(losses.PIXEL_RANGE * (jnp.clip(networks.decode(params, x0), -1, 1) + 1))
        mse = jnp.mean(jnp.square(decoded - image.astype(jnp.float32)))
        bpp = jnp.sum(y_bits + z_bits) / (x.shape[1] * x.shape[2])
        return bpp, 10 * jnp.log10(255.0**2 / mse), decoded[0].astype(jnp.uint8)

    return validate


def run(validate, params: Any, crops: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Mean bpp and PSNR per timestep, and a sheet: originals on top, one row per timestep."""
    scalars, rows = {}, [np.concatenate(crops[:6], axis=1)]
    for t in TIMESTEPS:
        results = [jax.device_get(validate(params, crop[None], jnp.asarray(t))) for crop in crops]
        scalars[f"bpp@{t}"] = float(np.mean([r[0] for r in results]))
        scalars[f"psnr@{t}"] = float(np.mean([r[1] for r in results]))
        rows.append(np.concatenate([r[2] for r in results[:6]], axis=1))
    return scalars, np.concatenate(rows, axis=0)
