"""Checks of a run that trains on latents encoded before (data.kind=latents)."""

from typing import Any

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.latent_source import autoencoder_identity
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks.codec_losses import FROM_LATENTS
from rdc_jax.training.tasks.task import Task


def check_stage(task: Task) -> None:
    """Raises RdcError for a stage that needs images."""
    if not task.takes_latents:
        raise RdcError(
            f"stage={task.config.stage} needs images; data.kind=latents goes with "
            f"{' and '.join(f'stage={stage}' for stage in FROM_LATENTS)}"
        )


def check_settings(task: Task, source: Any) -> None:
    """Raises RdcError naming the setting that does not go with these latents.

    source: a LatentSource; with any other data.kind nothing is checked.
    """
    config = task.config
    if config.data.kind != "latents":
        return
    check_stage(task)
    for name in ("mix", "darken_share", "ragged_share"):
        if config.data.get(name):
            raise RdcError(f"data.{name} needs images; leave it out with data.kind=latents")
    check_downsampling(config.name, task.networks)
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


def check_downsampling(name: str, networks: Networks) -> None:
    """Raises RdcError for an autoencoder whose latents the records cannot hold."""
    if networks.downsampling != LATENT_PIXELS:
        raise RdcError(
            f"encoded latents span {LATENT_PIXELS} pixels, and those of {name} "
            f"{networks.downsampling}; train this model on photos"
        )


def check_autoencoder(task: Task, source: Any, params: Any) -> None:
    """Raises RdcError unless the latents were made by the autoencoder in `params`.

    Args:
        task: Of the run.
        source: A LatentSource; with any other data.kind nothing is checked.
        params: All parts of the parameters.
    """
    config = task.config
    if config.data.kind != "latents":
        return
    settings = config.model.autoencoder.to_dict()
    if autoencoder_identity(params["autoencoder"], settings) != source.autoencoder:
        raise RdcError(
            f"the latents in {config.data.path} were made by another autoencoder than that of "
            f"init_from={config.init_from}; encode them again with `rdc data encode-latents`"
        )
