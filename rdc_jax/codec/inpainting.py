"""Replaces a part of an image by what the model expects there from its surroundings.

    fill -> latent -> noise (high timestep inside, low outside) -> denoiser, fusion module -> pixels

The masked part is first filled in smoothly from around it, so no network sees what it was, and it
cannot leak into the result. Only the part of the image near the mask is computed.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from rdc_jax.bitstream import container
from rdc_jax.codec.codec import Codec
from rdc_jax.entropy import latent_coding
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, smooth_fill, transparency
from rdc_jax.images.arrays import as_image
from rdc_jax.importance import maps, timesteps
from rdc_jax.importance.conditions import conditions_of

CONTEXT = 160  # pixels around the mask that are computed with it
TRAINED_GAP = 400  # largest gap of timesteps within one image during training
FEATHER = 8  # pixels, inside the mask, over which the fill turns into the model's image


def inpaint(
    codec: Codec,
    image: Any,
    mask: np.ndarray,
    *,
    steps: int | None = None,
    tau: float | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Replaces the masked part of an image.

    Small gaps in hair, grass or cloth close. Parts larger than some 50 pixels become a soft patch,
    and in smooth areas `smooth_fill.filled` alone is closer to the truth. No object is invented.

    Args:
        codec: The codec whose networks are used.
        image: As in `Codec.encode`.
        mask: bool [H,W], true where to replace. The pixels there do not influence the result.
        steps: As in `Codec.decode`; by default the fusion module's.
        tau: As in `Codec.decode`; by default 1, realistic.
        seed: Seed of the noise.

    Returns:
        uint8 [H,W,3]. Pixels outside of the mask are unchanged.

    Raises:
        RdcError: The mask has another size or type, is empty, or covers the whole image.
    """
    pixels = as_image(image).pixels
    mask = np.asarray(mask)
    if mask.shape != pixels.shape[:2] or mask.dtype != bool:
        raise RdcError(f"the mask must be bool {pixels.shape[:2]}, not {mask.dtype} {mask.shape}")
    if not mask.any() or mask.all():
        raise RdcError(
            "the mask replaces nothing; make the part to replace white" if not mask.any()
            else "the mask replaces the whole image; leave a part of it black"
        )  # fmt: skip
    where = _surroundings(mask)
    near, hidden = pixels[where], mask[where]
    filled = smooth_fill.filled(near, hidden)
    invented = _invented(codec, filled, hidden, steps, 1.0 if tau is None else tau, seed)
    depth = ndimage.distance_transform_edt(hidden)  # the sides of the image are no border
    share = np.clip(depth / (FEATHER + 1), 0.0, 1.0)[..., None]
    blend = np.rint(filled * (1.0 - share) + invented * share).astype(np.uint8)
    result = pixels.copy()
    result[where] = np.where(hidden[..., None], blend, near)
    return result


def inpaint_image(codec: Codec, image: LoadedImage, mask: np.ndarray, **how: Any) -> LoadedImage:
    """Replaces the masked part of an image, of its alpha plane too.

    Nothing that could show the replaced part is kept. Of the metadata, that leaves the ICC profile:
    EXIF and XMP can hold thumbnails, earlier versions and texts about the image.

    Args:
        codec: The codec whose networks are used.
        image: The image.
        mask: bool [H,W], true where to replace.
        **how: The settings of `inpaint`.

    Raises:
        RdcError: As `inpaint`.
    """
    pixels, alpha = image.pixels, image.alpha
    usable = mask.shape == pixels.shape[:2] and mask.dtype == bool and mask.any() and not mask.all()
    if alpha is not None and usable:
        planes = alpha[..., None].repeat(3, axis=-1)
        alpha = smooth_fill.filled(planes, mask)[..., 0]
        # Colours under transparent pixels were made from their surroundings, and so from what is
        # replaced.
        hidden = mask | (image.alpha == 0)
        pixels = pixels if hidden.all() else smooth_fill.filled(pixels, hidden)
    pixels = inpaint(codec, pixels, mask, **how)
    if image.grey:
        pixels = pixels.mean(axis=-1, keepdims=True).round().astype(np.uint8).repeat(3, axis=-1)
    if alpha is not None:
        pixels = transparency.filled(pixels, alpha)
    return LoadedImage(pixels=pixels, grey=image.grey, alpha=alpha, icc=image.icc)


def _surroundings(mask: np.ndarray) -> tuple[slice, slice]:
    """The bounding box of the mask, and up to CONTEXT pixels more on every side."""
    found = []
    for axis in (1, 0):
        places = np.flatnonzero(mask.any(axis=axis))
        found.append(slice(max(0, int(places[0]) - CONTEXT), int(places[-1]) + CONTEXT + 1))
    return found[0], found[1]


def _invented(
    codec: Codec, filled: np.ndarray, hidden: np.ndarray, steps: int | None, tau: float, seed: int
) -> np.ndarray:
    """The filled image after the codec and the networks, uint8 [H,W,3]."""
    height, width = hidden.shape
    cell = codec.model.downsampling
    grid = maps.from_mask_array(~hidden, height, width, cell, 256) // 255  # 1: known
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
