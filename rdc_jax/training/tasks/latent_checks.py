"""What must fit when a run trains on latents that were encoded before (data.kind=latents)."""

from typing import Any

import ml_collections

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.latent_source import autoencoder_identity
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks

STAGES = ("diffusion", "entropy")  # that need no pictures


def check_settings(config: ml_collections.ConfigDict, source: Any) -> None:
    """Raises RdcError naming the setting that does not go with these latents.

    source: a LatentSource; with any other data.kind nothing is looked at.
    """
    if config.data.kind != "latents":
        return
    if config.stage not in STAGES:
        raise RdcError(
            f"stage={config.stage} needs images; data.kind=latents goes with "
            f"{' and '.join(f'stage={stage}' for stage in STAGES)}"
        )
    for name in ("mix", "darken_share", "ragged_share"):
        if config.data.get(name):
            raise RdcError(f"data.{name} needs images; leave it out with data.kind=latents")
    check_downsampling(config)
    size, channels = config.data.crop_size, config.model.latent_channels
    if size % LATENT_PIXELS or size > source.tile:
        raise RdcError(
            f"data.crop_size {size} must be a multiple of {LATENT_PIXELS} and at most the tiles' "
            f"{source.tile} pixels; encode the latents again with a larger --tile"
        )
    if channels != source.latent_channels:
        raise RdcError(
            f"model.latent_channels is {channels}, and the latents in {config.data.path} have "
            f"{source.latent_channels}"
        )


def check_downsampling(config: ml_collections.ConfigDict) -> None:
    """Raises RdcError for an autoencoder whose latents the records cannot hold."""
    downsampling = Networks.from_config(config.model.to_dict()).downsampling
    if downsampling != LATENT_PIXELS:
        raise RdcError(
            f"encoded latents span {LATENT_PIXELS} pixels, and those of {config.name} "
            f"{downsampling}; train this model on photos"
        )


def check_autoencoder(config: ml_collections.ConfigDict, source: Any, params: Any) -> None:
    """Raises RdcError unless the latents were made by the autoencoder in `params`."""
    if config.data.kind != "latents":
        return
    settings = config.model.autoencoder.to_dict()
    if autoencoder_identity(params["autoencoder"], settings) != source.autoencoder:
        raise RdcError(
            f"the latents in {config.data.path} were made by another autoencoder than that of "
            f"init_from={config.init_from}; encode them again with `rdc data encode-latents`"
        )
