"""The fixed validation rule: held-out training images, uniform maps at a few timesteps.

Never the evaluation set. The numbers are ideal code lengths and one-step decoding, so a run's
progress is visible without writing files. In a run on encoded latents there are no pictures; what
the autoencoder makes of the clean latent stands for the original, and the metric is `psnr_ae`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.diffusion import losses
from rdc_jax.diffusion.quantization import add_uniform_noise
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training.stages import Noised, entropy_bits, received_latent

TIMESTEPS = (250, 400, 550, 700)


def validation_crops(source: Any, indices: np.ndarray, size: int) -> np.ndarray:
    """Centre crops of the held-out images, uint8 [N,size,size,3]; smaller images are tiled up.

    Of latents: the centre of a tile of each photo, float16 [N,size/8,size/8,C], or the whole tile
    where that is smaller.
    """
    crops = []
    for index in indices:
        example = source[int(index)]
        if "latents" in example:
            tile = example["latents"][len(example["latents"]) // 2]
            side = min(size // LATENT_PIXELS, len(tile))
            start = (len(tile) - side) // 2
            crops.append(tile[start : start + side, start : start + side])
            continue
        image = example["image"]
        repeat = [-(-size // n) for n in image.shape[:2]]
        image = np.tile(image, (*repeat, 1))
        top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
        crops.append(image[top : top + size, left : left + size])
    return np.stack(crops)


def make_validate(networks: Networks):
    """Returns a jitted (params, crop, timestep) -> (bpp, psnr dB, decoded, original).

    crop: an image uint8 [1,S,S,3], or a latent float16 [1,s,s,C]; both results uint8 [S,S,3].
    """

    def decode(params, latent):
        pixels = jnp.clip(networks.decode(params, latent), -1, 1) + 1
        return jnp.round(losses.PIXEL_RANGE * pixels)

    @jax.jit
    def validate(params: Mapping[str, Any], crop: jax.Array, timestep: jax.Array):
        x, y = None, crop.astype(jnp.float32)
        if crop.dtype == jnp.uint8:
            original, x = y, y / losses.PIXEL_RANGE - 1.0
            y = networks.encode(params, x)
        else:
            original = decode(params, y)
        size = y.shape[1]
        index = jnp.zeros((1, size, size), jnp.int32)
        timesteps = level_timesteps(timestep.astype(jnp.float32).reshape(1, 1), index)
        noise_key, z_key = jax.random.split(jax.random.key(0))
        yhat = add_uniform_noise(noise_key, y, networks.steps_at_pixels(params, timesteps))
        importance = jnp.ones((1, size, size, 1))
        noised = Noised(x, y, yhat, timesteps, importance)
        y_bits, z_bits, mean, scale = entropy_bits(networks, params, noised, z_key)
        received = received_latent(networks, params, noised, mean)
        x0 = networks.denoise(params, received, timesteps, mean, scale)
        decoded = decode(params, x0)
        mse = jnp.mean(jnp.square(decoded - original))
        bpp = jnp.sum(y_bits + z_bits) / (size * networks.downsampling) ** 2
        pictures = (picture[0].astype(jnp.uint8) for picture in (decoded, original))
        return bpp, 10 * jnp.log10(255.0**2 / mse), *pictures

    return validate


def run(validate, params: Any, crops: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Mean bpp and PSNR per timestep, and a sheet: originals on top, one row per timestep."""
    psnr = "psnr" if crops.dtype == np.uint8 else "psnr_ae"
    scalars, rows = {}, []
    for t in TIMESTEPS:
        results = [jax.device_get(validate(params, crop[None], jnp.asarray(t))) for crop in crops]
        scalars[f"bpp@{t}"] = float(np.mean([r[0] for r in results]))
        scalars[f"{psnr}@{t}"] = float(np.mean([r[1] for r in results]))
        rows.append(np.concatenate([r[2] for r in results[:6]], axis=1))
    originals = np.concatenate([r[3] for r in results[:6]], axis=1)
    return scalars, np.concatenate([originals, *rows], axis=0)
