"""The measurements of `rdc eval ablations` on one image.

`rdc_jax.cli.commands.ablations` explains what is compared and why.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.entropy.entropy_model import STEP_BITS
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import psnr
from rdc_jax.evaluation.rate_distortion import bd_metric, bd_rate, monotone_part
from rdc_jax.images import read_image
from rdc_jax.importance import shapes
from rdc_jax.models.autoencoder import LATENT_GAIN
from rdc_jax.models.hyperprior import silence_threshold

STEPS = (1, 2, 4, 8, 16)
TAUS = (0.25, 0.5, 0.75, 1.0)


def measure_image(
    codec: dict[str, Any], distance: Any, path: Path, qualities: list[float]
) -> dict[str, float]:
    """The differences of one image, means over the qualities.

    Args:
        codec: Codecs by the name of their variant.
        distance: (original, decoded) -> LPIPS.
        path: The image.
        qualities: The qualities.

    Returns:
        Differences by "what | against | unit".
    """
    pixels = read_image(path).pixels
    mask = shapes.centre(*pixels.shape[:2])
    latent = codec["control"].analyse(pixels)  # every variant has the same autoencoder
    curves: dict[str, list[tuple[int, float]]] = {}
    one_timestep, gaussian = [], []
    for quality in qualities:
        files = {n: c.encode(pixels, quality=quality, importance=mask) for n, c in codec.items()}
        shown = ("base", "rounding", "uniform", "gaussian")
        error = {n: psnr(pixels, codec[n].decode(files[n], tau=0.0)) for n in shown}
        for name in ("no timestep", "no importance", "control"):
            error[name] = latent_psnr(codec[name], latent, files[name])
        for name, data in files.items():
            curves.setdefault(name, []).append((len(data), error[name]))
        one = psnr(pixels, told_one_timestep(codec["base"], files["base"]))
        one_timestep.append(one - error["base"])
        gaussian.append(error["gaussian"] - error["uniform"])
    found = {
        "denoiser: one timestep | one per pixel | dB": float(np.mean(one_timestep)),
        "denoiser: trained on Gaussian noise | uniform | dB": float(np.mean(gaussian)),
    }
    found |= at_equal_bytes(curves)
    found |= sampled(codec["base"], distance, pixels, mask, qualities[len(qualities) // 2])
    return found


def at_equal_bytes(curves: dict[str, list[tuple[int, float]]]) -> dict[str, float]:
    """Bjontegaard differences of (bytes, dB) curves; curves without overlap are omitted."""
    found = {}
    for what, test, against, anchor in (
        ("entropy model: no timestep", "no timestep", "told both", "control"),
        ("entropy model: no importance", "no importance", "told both", "control"),
        ("quantiser: rounding", "rounding", "universal", "base"),
    ):
        try:
            pair = [monotone_part(*zip(*curves[name], strict=True)) for name in (anchor, test)]
            found[f"{what} | {against} | dB at equal bytes"] = bd_metric(*pair).value
            found[f"{what} | {against} | % BD-rate"] = bd_rate(*pair).value
        except RdcError:  # no overlap or too few qualities: the table then has fewer images
            pass
    return found


def latent_psnr(coder: Any, latent: np.ndarray, data: bytes) -> float:
    """PSNR in dB of the best linear estimate of a latent [h,w,C] from a file.

    The autoencoder is nearly orthonormal, so the squared error of a latent is about that of the
    image.

    Args:
        coder: The codec that made the file.
        latent: Latent of the original, float32 [h,w,C].
        data: The file.
    """
    _, coded, conditions = coder.decode_latent(data)
    entropy, levels = coder.entropy, conditions.levels[: conditions.height, : conditions.width]
    step = entropy.step_fixed[conditions.timesteps][levels] * (entropy.latent_unit / 2**STEP_BITS)
    ratio = coded.scale / step
    weight = 1.0 / (1.0 + 1.0 / (12.0 * ratio**2))
    weight[np.log2(ratio) < silence_threshold(entropy.skipped_scales)] = 0.0
    estimate = coded.mean + weight * (coded.yhat - coded.mean)
    square = float(np.mean(np.square(estimate - latent))) * latent.shape[-1]
    factor = PIXEL_RANGE / (LATENT_GAIN * coder.model.downsampling)
    return 10.0 * math.log10(255.0**2 / (square * factor**2))


def told_one_timestep(base: Any, data: bytes) -> np.ndarray:
    """The faithful image of a denoiser that receives the map's mean timestep everywhere."""
    header, coded, conditions = base.decode_latent(data)
    inside = conditions.levels[: conditions.height, : conditions.width]
    mean = round(float(np.mean(conditions.timesteps[inside])))
    timesteps = np.full_like(conditions.timesteps, mean)
    conditions = dataclasses.replace(conditions, timesteps=timesteps)
    return base.reconstruct(header, coded, conditions, tau=0.0)


def sampled(
    base: Any, distance: Any, pixels: np.ndarray, mask: np.ndarray, quality: float
) -> dict[str, float]:
    """(e) and (f) at one quality: differences to one step and to tau 0.

    Args:
        base: The trained codec.
        distance: (original, decoded) -> LPIPS.
        pixels: uint8 [h,w,3].
        mask: float [h,w] in [0,1].
        quality: The quality.

    Returns:
        Differences by "what | against | unit".
    """
    data = base.encode(pixels, quality=quality, importance=mask)
    module, first = base.module, base.decode(data, tau=0.0)
    start = psnr(pixels, first), distance(pixels, first)
    found: dict[str, float] = {}

    def compare(what: str, against: str, image: np.ndarray) -> None:
        """Adds the differences of one decode."""
        found[f"{what} | {against} | dB"] = psnr(pixels, image) - start[0]
        found[f"{what} | {against} | LPIPS"] = distance(pixels, image) - start[1]

    base.module = None  # to use the base's own sampler
    for clock in ("proportional", "clamped"):
        for steps in STEPS[1:]:
            image = base.decode(data, tau=1.0, steps=steps, clock=clock)
            compare(f"sampler: {steps} steps, {clock}", "one step", image)
    base.module = module
    for tau in TAUS if module is not None else ():
        compare(f"module: tau {tau:g}", "tau 0", base.decode(data, tau=tau))
    return found
