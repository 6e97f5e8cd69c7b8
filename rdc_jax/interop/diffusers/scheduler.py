"""Conversion between our noise schedule and prediction type and scheduler_config.json.

The file is for `DDIMScheduler`, whose deterministic steps equal those of our sampler. The schedule
of Stable Diffusion is stored by its name, and a geometric schedule as its 1001 betas for the
timesteps 0..1000.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks

PREDICTIONS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
DEFAULTS = {"beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 1000}  # diffusers' own
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "count": 1000}
TOLERANCE = 1e-3  # largest accepted difference of the signal power


def scheduler_config(model: Mapping[str, Any], networks: Networks) -> dict[str, Any]:
    """Returns the config that `DDIMScheduler.from_pretrained` loads.

    Args:
        model: The `model` section of a config.
        networks: Networks of this config.
    """
    config = {
        "_class_name": "DDIMScheduler",
        "clip_sample": False,
        "prediction_type": PREDICTIONS[networks.prediction],
        "set_alpha_to_one": True,  # the last step returns the clean estimate
        "steps_offset": 0,
        "timestep_spacing": "leading",
    }
    noise = dict(model["schedule"])
    if noise.pop("kind") == "scaled_linear":
        named = STABLE_DIFFUSION | noise
        return config | {
            "beta_end": named["beta_end"],
            "beta_schedule": "scaled_linear",
            "beta_start": named["beta_start"],
            "num_train_timesteps": named["count"],
        }
    power = signal_power(networks, MAX_TIMESTEP + 1)
    betas = 1.0 - power / np.concatenate([[1.0], power[:-1]])
    return config | {"num_train_timesteps": len(betas), "trained_betas": betas.tolist()}


def check_scheduler(config: Mapping[str, Any], networks: Networks, where: str) -> None:
    """Checks that a scheduler has the prediction type and noise of our config.

    Args:
        config: Content of scheduler_config.json.
        networks: Networks of our config.
        where: Path of the file, for error messages.

    Raises:
        RdcError: the prediction type or the noise differs.
    """
    told = config.get("prediction_type", "epsilon")
    if told != PREDICTIONS[networks.prediction]:
        ours = {theirs: name for name, theirs in PREDICTIONS.items()}.get(told)
        hint = f"give model.prediction={ours}" if ours else "it cannot be imported"
        raise RdcError(f"{where} says prediction_type {told}; {hint}")
    try:
        power = np.cumprod(1.0 - betas(config, where))
    except RdcError:
        raise
    except (TypeError, ValueError) as error:
        raise RdcError(f"{where} is an incomplete config of a scheduler: {error}") from error
    if np.abs(power - signal_power(networks, len(power))).max() > TOLERANCE:
        raise RdcError(f"{where} has another noise schedule than model.schedule of the config")


def betas(config: Mapping[str, Any], where: str) -> np.ndarray:
    """Returns the betas [timesteps] of a scheduler's config. `where` is for error messages."""
    if config.get("rescale_betas_zero_snr"):
        raise RdcError(f"{where} has rescale_betas_zero_snr, which cannot be imported")
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], np.float64)
    start, end, count = (config.get(name, default) for name, default in DEFAULTS.items())
    kind = config.get("beta_schedule", "linear")
    if kind == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, count) ** 2
    if kind == "linear":
        return np.linspace(start, end, count)
    raise RdcError(f"{where}: beta_schedule {kind} cannot be imported")


def signal_power(networks: Networks, count: int) -> np.ndarray:
    """Returns the signal power (alphas_cumprod) at the timesteps 0..count - 1, float64."""
    schedule = networks.schedule
    log_snr = np.interp(np.arange(count), schedule.timesteps, schedule.log_snr_knots)
    return 1.0 / (1.0 + np.exp(-log_snr))
