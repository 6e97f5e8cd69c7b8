"""The miniature models of the golden files, made once from fixed seeds by make.py.

They know nothing about pictures. Their weights are random, large enough that scales, means and
contexts vary from element to element, so that a decoder that gets any of them wrong is found out.
Their tables stop at TABLE_REACH symbols, so that escapes are common and the files are small.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.model_folder import codec_model
from rdc_jax.models.autoencoder import dct_analysis_matrix
from rdc_jax.models.networks import Networks

TABLE_REACH = 12
CONTEXT = dict(
    latent_channels=8,
    num_levels=8,
    cell_size=16,
    timestep_range=(0, 1000),
    prediction="v",
    prior_conditioning=True,
    schedule=dict(kind="geometric", step_min=0.5, step_max=64.0),
    silent_scales=36,
    step_profile=True,
    autoencoder=dict(kind="transform", luma=4, chroma=2, fine_width=4, width=4, blocks=1),
    hyperprior=dict(hyper_channels=3, width=8),
    unet=dict(channels=(8, 8), layers=1, heads=(0, 0), mid_heads=0, norm="pixel"),
)
MEAN_SCALE = dict(
    latent_channels=6,
    num_levels=8,
    cell_size=16,
    timestep_range=(0, 1000),
    prediction="v",
    prior_conditioning=False,
    dither=False,
    schedule=dict(kind="geometric", step_min=0.5, step_max=16.0),
    step_profile=False,
    autoencoder=dict(kind="gdn", width=4, latent_channels=6, latent_gain=256.0),
    hyperprior=dict(
        kind="mean_scale", width=4, latent_unit=16.0, scale_bound=0.004, hyper_gain=4.0
    ),
    unet=None,
)
HYPER_LATENT = dict(hyper_step=True, hyper_context=True)
# Folder -> (config, arrays that a model of its time does not have).
MODELS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "model": (CONTEXT, ()),
    "mean_scale": (MEAN_SCALE, ()),
    "before_continued_context": (CONTEXT, ("schedule/continued_context",)),
    "before_silent_scales": (
        CONTEXT | {"silent_scales": 0, "step_profile": False, "unet": None},
        ("schedule/continued_context", "schedule/silent_scales"),
    ),
    "hyper_latent": (
        CONTEXT | {"hyperprior": CONTEXT["hyperprior"] | HYPER_LATENT},
        (),
    ),
}


def make(folder: Path, name: str) -> bytes:
    """Writes one of MODELS and returns its id."""
    config, absent = MODELS[name]
    networks = Networks.from_config(config)
    generator = np.random.default_rng(list(MODELS).index(name))
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: draw(generator, leaf.shape), shapes)
    if config is MEAN_SCALE:
        liven_mean_scale(params, generator)
    else:
        liven_context(params, config["latent_channels"])
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    entropy |= {f"tables/{key}": array for key, array in shortened_tables().items()}
    entropy = {key: array for key, array in entropy.items() if key not in absent}
    return codec_model.save(folder, f"golden-{name}", config, params, entropy)


def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    scale = 0.1 if len(shape) == 1 else 0.6 / np.sqrt(np.prod(shape[:-1]))
    return generator.normal(0, scale, shape).astype(np.float32)


def liven_context(params: dict[str, Any], channels: int) -> None:
    """A DCT around the random networks, and scales that fall with the frequency."""
    analysis = dct_analysis_matrix(4, 2)
    params["autoencoder"]["analysis"]["linear"]["kernel"] = analysis
    params["autoencoder"]["synthesis"]["linear"]["kernel"] = np.linalg.pinv(analysis)
    spread = np.log2(np.array([60, 20, 16, 6, 12, 2, 9, 1]))
    for layer in ("pass0_1", "pass1_2", "pass2_2"):
        params["hyperprior"][layer]["bias"][channels:] += spread
    params["hyperprior"]["hyper_prior"]["bias"][3:] += 1.5
    if "hyper_log2_step" in params["hyperprior"]:  # steps over all of their range, z of some tens
        gains = dict(analysis_2=24, hyper_prior=8, hyper_log2_step=20, hyper1_1=2, hyper2_1=2)
        for layer, gain in gains.items():
            params["hyperprior"][layer]["kernel"] *= gain


def liven_mean_scale(params: dict[str, Any], generator: np.random.Generator) -> None:
    """GDN near the identity, latents of some tens, scales around those in units of 16."""
    for name, layer in params["autoencoder"].items():
        if "beta" in layer:
            layer["beta"] = np.ones_like(layer["beta"])
            layer["gamma"] = np.abs(layer["gamma"])
        else:
            layer["kernel"] = (0.5 if name == "g_a_6" else 2) * layer["kernel"]
    hyperprior = params["hyperprior"]
    hyperprior["h_s_4"]["bias"][:6] += np.array([8, 4, 3, 2, 1, 0.1], np.float32)
    hyperprior["h_s_4"]["kernel"] *= 3
    for layer in ("h_a_0", "h_a_2", "h_a_4"):
        hyperprior[layer]["kernel"] *= 3
    hyperprior["z_prior"]["log2_scale"] += 2.0
    hyperprior["z_prior"]["median"] += generator.normal(0, 0.3, 4).astype(np.float32)


def shortened_tables() -> dict[str, np.ndarray]:
    """The bank without symbols beyond TABLE_REACH, whose counts go to the escape."""
    whole = tables.build_table_bank()
    lowest, counts = [], []
    for number in range(tables.NUM_TABLES):
        low, table = whole.table(number)
        first = max(low, -TABLE_REACH)
        last = min(low + table.size - 2, TABLE_REACH)
        kept = table[first - low : last - low + 1].astype(np.int64)
        lowest.append(first)
        counts.append(np.append(kept, (1 << tables.PRECISION) - kept.sum()).astype(np.uint16))
    return {
        "lowest": np.array(lowest, np.int16),
        "offsets": np.cumsum([0, *(table.size for table in counts)]).astype(np.int32),
        "counts": np.concatenate(counts),
    }
