"""Metrics for many decodes of one image: the features of the original are computed once.

    found, missing = judges.make(["psnr", "lpips_alex"])
    original = found["lpips_alex"].features(image)                   uint8 [h,w,3] -> anything
    found["lpips_alex"].distance(original, found["lpips_alex"].features(decoded))  -> float

The values equal those of `metric_set`, whose names have hyphens. A network is compiled once per
image size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import dists, external
from rdc_jax.evaluation.metrics.area_colour import colour_error
from rdc_jax.evaluation.metrics.distortion import psnr
from rdc_jax.evaluation.metrics.metric_names import LPIPS_BACKBONES, canonical
from rdc_jax.models import lpips, lpips_weights

CHEAP = ("psnr", "colour", "lpips_alex")
EXPENSIVE = ("lpips_vgg", "dists", "ssimulacra2")  # seconds per image of 256 x 256 on a CPU


class Judge(NamedTuple):
    """A metric computed in two parts; images are uint8 [h,w,3]."""

    features: Callable[[np.ndarray], Any]
    distance: Callable[[Any, Any], Any]  # of original and decoded, a scalar


def make(names: Sequence[str]) -> tuple[dict[str, Judge], dict[str, str]]:
    """The judges of these names, and for each unavailable one the reason."""
    found: dict[str, Judge] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            found[name] = _make(name)
        except RdcError as error:
            missing[name] = str(error)
    return found, missing


def _make(name: str) -> Judge:
    if name == "psnr":
        return Judge(np.asarray, psnr)
    if name == "colour":
        return Judge(np.asarray, colour_error)
    if canonical(name) in LPIPS_BACKBONES:
        weights = jax.device_put(lpips_weights.load(LPIPS_BACKBONES[canonical(name)]))
        return Judge(partial(_lpips_features, weights), partial(_lpips_distance, weights))
    if name == "dists":
        parameters = jax.device_put(dists.load_parameters())
        weights = jax.device_put(lpips_weights.load("vgg16"))
        return Judge(partial(_dists_features, weights), partial(_dists_distance, parameters))
    external.require(name)
    return Judge(np.asarray, partial(external.measure, name))


def _as_image(image: jax.Array) -> jax.Array:
    """uint8 [h,w,3] -> float32 [1,h,w,3] in [-1,1]."""
    return image[None].astype(jnp.float32) / PIXEL_RANGE - 1.0


@jax.jit
def _lpips_features(weights, image):
    return lpips.lpips_features(weights, _as_image(image))


@jax.jit
def _lpips_distance(weights, original, decoded):
    return lpips.lpips_of_features(weights, original, decoded)[0]


@jax.jit
def _dists_features(weights, image):
    return dists.dists_features(weights, _as_image(image))


@jax.jit
def _dists_distance(parameters, original, decoded):
    return dists.dists_of_features(parameters, original, decoded)[0]
