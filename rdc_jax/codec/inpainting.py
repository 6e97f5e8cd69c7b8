"""Replacing a part of a picture by what its surroundings lead the model to expect.

    fill -> latent -> noise (highest timestep inside, low outside) -> denoiser, module -> pixels

What lies under the mask is filled in smoothly from around it before any network sees the picture,
so that it cannot leak into the result. Only the part of the picture near the mask is computed.
"""

import numpy as np
from scipy import ndimage

from rdc_jax.bitstream import container
from rdc_jax.codec.codec import Codec
from rdc_jax.entropy import latent_coding
from rdc_jax.errors import RdcError
from rdc_jax.images import checked_pixels, smooth_fill
from rdc_jax.importance import maps, timesteps
from rdc_jax.importance.conditions import conditions_of

CONTEXT = 160  # pixels around the mask that are computed with it
TRAINED_GAP = 400  # timesteps between parts of a picture that training shows; more does no good
FEATHER = 8  # pixels, inside the mask, over which the fill turns into the model's picture


def inpaint(
    codec: Codec,
    pixels: np.ndarray,
    mask: np.ndarray,
    *,
    steps: int | None = None,
    tau: float | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The picture with the masked part replaced: uint8 [H,W,3].

    Small gaps in hair, grass or cloth close; what is larger than some 50 pixels becomes a soft
    patch, and in smooth areas `smooth_fill.filled` alone is nearer to the truth. No object is
    invented.

    pixels: uint8 [H,W,3] or [H,W]. mask: bool [H,W], true where to replace. steps, tau: as in
    `Codec.decode`, by default the model's steps and 1, all realistic. seed: of the noise. Pixels
    outside the mask are returned as they are, and those inside have no influence on the result.
    Raises RdcError for a mask of another size, or one that leaves nothing or replaces nothing.
    """
    pixels, _ = checked_pixels(pixels)
    mask = np.asarray(mask)
    if mask.shape != pixels.shape[:2] or mask.dtype != bool:
        raise RdcError(f"the mask must be bool {pixels.shape[:2]}, not {mask.dtype} {mask.shape}")
    if not mask.any() or mask.all():
        raise RdcError(
            "the mask replaces nothing; make white what is to go" if not mask.any()
            else "the mask replaces the whole picture; leave something black to go by"
        )  # fmt: skip
    where = _surroundings(mask)
    near, hidden = pixels[where], mask[where]
    filled = smooth_fill.filled(near, hidden)
    invented = _invented(codec, filled, hidden, steps, 1.0 if tau is None else tau, seed)
    depth = ndimage.distance_transform_edt(hidden)  # the picture's own sides are no border
    share = np.clip(depth / (FEATHER + 1), 0.0, 1.0)[..., None]
    blend = np.rint(filled * (1.0 - share) + invented * share).astype(np.uint8)
    result = pixels.copy()
    result[where] = np.where(hidden[..., None], blend, near)
    return result


def _surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    """The mask's bounding box with CONTEXT pixels more on every side, as far as they exist."""
    found = []
    for axis in (1, 0):
        places = np.flatnonzero(mask.any(axis=axis))
        found.append(slice(max(0, int(places[0]) - CONTEXT), int(places[-1]) + CONTEXT + 1))
    return found[0], found[1]


def _invented(codec, filled, hidden, steps, tau, seed) -> np.ndarray:
    """The filled picture through codec and denoiser, uint8 [H,W,3]."""
    height, width = hidden.shape
    cell = codec.model.downsampling
    grid = maps.from_mask_array(~hidden, height, width, cell, 256) // 255  # 1: all is known
    background, best = timesteps.region_only_timesteps(100.0, *codec.timestep_range)
    known = max(best, background - TRAINED_GAP)
    if steps is None:
        steps = codec.module.default_steps if codec.module else 1
    header = container.Header(
        width=width,
        height=height,
        model_id=codec.model.model_id,
        num_levels=2,
        timestep_background=background,
        timestep_roi=known,
        cell_size=cell,
        dither_seed=seed,
        default_steps=steps,
        default_tau=0,
    )
    conditions = conditions_of(header, grid, cell)
    coded = latent_coding.encode_latent(codec.entropy, codec.analyse(filled), conditions)[2]
    return codec.reconstruct(header, coded, conditions, steps=steps, tau=tau)
