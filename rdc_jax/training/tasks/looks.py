"""How an image looks: the perceptual score that the stages of the fusion module minimise.

    score = sum over networks and views of weight x LPIPS
            + pattern weight x excess correlation at a lag of one latent pixel
            + colour weight x error of the means over areas of 4 and 8 pixels

The networks are AlexNet, on which the field trains and reports, and VGG16. AlexNet's strides, the
crop, and the latent share one lattice, so both images are first cropped by the same random offset
and flipped at random. Otherwise most of the gradient is noise of that lattice, and the decoder
learns a fixed pattern of dots. Views of a pair of cropped images:

    whole     as it is
    half      all of it at half size
    quarter   a quarter of the pixels, drawn anew each step: a random window, or all at half size

VGG16 costs 21 times as much as AlexNet, so it sees a quarter view, and of a share of the examples.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.models import lpips, lpips_weights
from rdc_jax.models.layers import area_pool

NETWORKS = ("alexnet", "vgg16")
BOX = 5  # side of the local mean that the pattern term subtracts
LEAST_ENERGY = (0.5 / PIXEL_RANGE) ** 2  # keeps the pattern term finite where nothing was added
COLOUR_AREAS = (4, 8)  # sides in pixels


@dataclasses.dataclass(frozen=True)
class Views:
    """Weights of one network's LPIPS, and the share of the examples that it sees."""

    whole: float = 0.0
    half: float = 0.0
    quarter: float = 0.0
    share: float = 1.0

    @property
    def total(self) -> float:
        """Sum of the weights; 0 for a network that is not used."""
        return self.whole + self.half + self.quarter


@dataclasses.dataclass(frozen=True)
class Looks:
    """The `training.looks` section of a config, see configs/defaults.py."""

    alexnet: Views
    vgg16: Views
    max_offset: int  # pixels that a pair is cropped by at most, in both directions
    pattern: float
    colour: float
    lattice: int = 8  # pixels per latent pixel along a side

    @classmethod
    def from_config(cls, training: Mapping[str, Any], lattice: int) -> "Looks":
        """From a config's `training` section; lattice: the codec's downsampling.

        Raises RdcError where the section `looks` is missing.
        """
        if "looks" not in training:
            raise RdcError("the config has no training.looks; take it from configs/fusion.py")
        section = training["looks"]
        views = {name: Views(**section[name]) for name in NETWORKS}
        offset = section["max_offset"] if section["max_offset"] >= 0 else lattice - 1
        return cls(**{**section, **views, "max_offset": offset, "lattice": lattice})

    def check_crop(self, size: int) -> None:
        """Raises RdcError where a view of a crop of `size` pixels is too small for LPIPS."""
        smaller = any(getattr(self, n).half > 0 or getattr(self, n).quarter > 0 for n in NETWORKS)
        least = lpips.SMALLEST_SIDE * (2 if smaller else 1) + margin(self.max_offset)
        if self.networks and size < least:
            raise RdcError(
                f"data.crop_size {size} is too small for the views of training.looks: they need "
                f"{least} pixels or more"
            )

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks in use."""
        return tuple(name for name in NETWORKS if getattr(self, name).total > 0)


def load_networks(looks: Looks) -> dict[str, Any]:
    """The LPIPS networks in use as parameters: {name: nested dict of arrays}.

    Raises RdcError where their weights are not installed.
    """
    return {name: as_parameters(lpips_weights.load(name)) for name in looks.networks}


def score(
    looks: Looks,
    networks: Mapping[str, Any],
    key: jax.Array,
    original: jax.Array,
    faithful: jax.Array,
    image: jax.Array,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """How far an image is from looking like the original.

    Args:
        looks: Weights of the terms.
        networks: Parameters of `load_networks`.
        key: Draws the offset, the flip, the quarter view, and the examples that a network sees.
        original: float32 [B,H,W,3] in [-1,1].
        faithful: The image at tau = 0, the same shape.
        image: The image to be judged, the same shape.

    Returns:
        The score in units of LPIPS [B], and the means of its unweighted terms, scalars:
        "lpips_alexnet" and "lpips_vgg16" (weighted means over views), "pattern", and "colour" in
        8-bit levels.
    """
    offset_key, *keys = jax.random.split(key, 1 + len(NETWORKS))
    pair = shifted(offset_key, jnp.stack([original, image]), looks.max_offset)
    total = jnp.zeros(original.shape[0])
    terms = {}
    for name, own_key in zip(NETWORKS, keys, strict=True):
        views = getattr(looks, name)
        if views.total > 0:
            weights = as_weights(networks[name])
            index, distance = distances(views, weights, own_key, pair)
            total = total.at[index].add(distance)
            terms[f"lpips_{name}"] = jnp.mean(distance) / views.total
    if looks.pattern > 0:
        excess = pattern_excess(original, faithful, image, looks.lattice)
        total, terms["pattern"] = total + looks.pattern * excess, jnp.mean(excess)
    if looks.colour > 0:
        error = colour_error(original, image)
        total, terms["colour"] = total + looks.colour * error, jnp.mean(error)
    return total, terms


def distances(
    views: Views, weights: lpips_weights.Weights, key: jax.Array, pair: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Indices int32 [n] of the examples that a network sees, and their weighted LPIPS [n].

    Args:
        views: Weights of the views, at least one positive.
        weights: The network's.
        key: Draws the examples and the quarter view.
        pair: Two images of each example, float32 [2,B,H,W,3].
    """
    share_key, view_key = jax.random.split(key)
    index = some_examples(share_key, pair.shape[1], views.share)
    seen = pair if index.shape[0] == pair.shape[1] else pair[:, index]
    total = jnp.zeros(index.shape[0])
    if views.whole > 0:
        total += views.whole * lpips.lpips(weights, *seen)
    if views.half > 0:
        total += views.half * lpips.lpips(weights, *half_size(seen))
    if views.quarter > 0:
        total += views.quarter * lpips.lpips(weights, *quarter_view(view_key, seen))
    return index, total


def shifted(key: jax.Array, images: jax.Array, max_offset: int) -> jax.Array:
    """Crops [...,H,W,3] by one random offset in both directions, and flips at random.

    The sides lose the same even number of pixels for every offset.

    Args:
        key: Draws offset and flip.
        images: To be cropped alike.
        max_offset: Largest offset in pixels.
    """
    row_key, column_key, flip_key = jax.random.split(key, 3)
    lost = margin(max_offset)
    size = images.shape[-3] - lost, images.shape[-2] - lost
    for axis, own_key in ((-3, row_key), (-2, column_key)):
        start = jax.random.randint(own_key, (), 0, max_offset + 1)
        images = jax.lax.dynamic_slice_in_dim(images, start, size[axis + 3], images.ndim + axis)
    return jnp.where(jax.random.bernoulli(flip_key), images[..., ::-1, :], images)


def margin(max_offset: int) -> int:
    """Pixels that `shifted` takes from each side, even so that the rest can be halved."""
    return 2 * -(-max_offset // 2)


def half_size(images: jax.Array) -> jax.Array:
    """[...,H,W,3] -> [...,H/2,W/2,3] by averaging; the sides must be even."""
    flat = images.reshape(-1, *images.shape[-3:])
    pooled = area_pool(flat, 2)
    return pooled.reshape(*images.shape[:-3], *pooled.shape[1:])


def quarter_view(key: jax.Array, images: jax.Array) -> jax.Array:
    """[...,H,W,3] -> [...,H/2,W/2,3]: a random window, or all of it at half size, evenly often."""
    which_key, *keys = jax.random.split(key, 3)
    window = images
    for axis, own_key in zip((-3, -2), keys, strict=True):
        size = images.shape[axis] // 2
        start = jax.random.randint(own_key, (), 0, images.shape[axis] - size + 1)
        window = jax.lax.dynamic_slice_in_dim(window, start, size, images.ndim + axis)
    return jnp.where(jax.random.bernoulli(which_key), window, half_size(images))


def some_examples(key: jax.Array, batch: int, share: float) -> jax.Array:
    """Indices int32 [n] of some examples, evenly spaced from a random start.

    Args:
        key: Draws the start.
        batch: Number of examples.
        share: Of the examples; at least one is taken.
    """
    count = max(1, round(share * batch))
    spaced = jnp.arange(count) * batch // count
    if count == batch:
        return spaced
    return (jax.random.randint(key, (), 0, batch) + spaced) % batch


def pattern_excess(
    original: jax.Array, faithful: jax.Array, image: jax.Array, lag: int = 8
) -> jax.Array:
    """How much of the added detail repeats every `lag` pixels beyond the original's, [B] >= 0.

    Let d be the difference of an image to the faithful one, less its local mean. The term is the
    correlation of d with itself at (lag,0), (0,lag) and (lag,lag), beyond that of the original's
    own d where that is positive, over the energy of d. The energy counts as a constant, so removing
    the pattern lowers the term and adding noise does not.

    Args:
        original: [B,H,W,3].
        faithful: The image at tau = 0, the same shape.
        image: The image to be judged, the same shape.
        lag: In pixels.
    """
    added = high_pass(image - jax.lax.stop_gradient(faithful))
    missing = high_pass(original - jax.lax.stop_gradient(faithful))
    excess = jax.nn.relu(lagged(added, lag) - jax.nn.relu(lagged(missing, lag)))
    energy = jax.lax.stop_gradient(jnp.mean(jnp.square(added), (1, 2, 3)))
    return jnp.mean(excess, 0) / (energy + LEAST_ENERGY)


def lagged(d: jax.Array, lag: int) -> jax.Array:
    """Mean of d(p) d(p + shift) at shifts (lag,0), (0,lag), (lag,lag): [B,H,W,3] -> [3,B]."""
    pairs = (
        (d[:, lag:], d[:, :-lag]),
        (d[:, :, lag:], d[:, :, :-lag]),
        (d[:, lag:, lag:], d[:, :-lag, :-lag]),
    )
    return jnp.stack([jnp.mean(a * b, (1, 2, 3)) for a, b in pairs])


def high_pass(x: jax.Array) -> jax.Array:
    """x [B,H,W,3] less its mean over 5 x 5 pixels, where all of them are inside: [B,H-4,W-4,3].

    Uses sums of shifted arrays: a one-channel convolution is many times slower on a CPU.
    """
    inside = x.shape[1] - BOX + 1, x.shape[2] - BOX + 1
    rows = sum(x[:, i : i + inside[0]] for i in range(BOX))
    box = sum(rows[:, :, j : j + inside[1]] for j in range(BOX)) / BOX**2
    middle = slice(BOX // 2, -(BOX // 2))
    return x[:, middle, middle] - box


def colour_error(original: jax.Array, image: jax.Array) -> jax.Array:
    """Mean absolute error of the means over 4 x 4 and 8 x 8 areas, in 8-bit levels: [B].

    Large areas with a slightly wrong colour cost LPIPS nothing.
    """
    difference = PIXEL_RANGE * (image - original)
    errors = [jnp.mean(jnp.abs(area_pool(difference, n)), (1, 2, 3)) for n in COLOUR_AREAS]
    return sum(errors) / len(errors)


def as_parameters(weights: lpips_weights.Weights) -> dict[str, dict[str, jax.Array]]:
    """An LPIPS network as a nested dict, like the other parameters of a training run."""
    layers = {f"conv_{i}": {"kernel": k, "bias": b} for i, (k, b) in enumerate(weights["conv"])}
    return layers | {f"head_{i}": {"scale": head} for i, head in enumerate(weights["heads"])}


def as_weights(params: Mapping[str, Mapping[str, jax.Array]]) -> lpips_weights.Weights:
    """Inverse of `as_parameters`."""
    kinds = {kind: sum(name.startswith(kind) for name in params) for kind in ("conv_", "head_")}
    convolutions = [params[f"conv_{i}"] for i in range(kinds["conv_"])]
    return {
        "conv": [(layer["kernel"], layer["bias"]) for layer in convolutions],
        "heads": [params[f"head_{i}"]["scale"] for i in range(kinds["head_"])],
    }
