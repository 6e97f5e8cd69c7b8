"""The run of a fusion module at smoke size that several tests start, and its refusals."""

import numpy as np
import pytest

from configs import fusion as fusion_config
from rdc_jax.errors import RdcError
from rdc_jax.models import lpips_weights as perceptual_weights
from rdc_jax.training import train


def smoke_config(workdir, base, **changes):
    """The smoke config with a U-Net of one level, which compiles sooner; stage transform."""
    config = fusion_config.get_config("smoke")
    config.fusion.transform.update(channels=(16,), heads=(0,))
    config.fusion.discriminator.update(width=4, levels=2)
    config.data.crop_size = 32
    one_view = dict(whole=1.0, half=0.0, quarter=0.0)  # others need larger crops
    config.training.looks.update(alexnet=one_view, vgg16=dict(quarter=0.0), max_offset=0)
    config.update(stage="transform", workdir=str(workdir), init_from=str(base))
    config.update_from_flattened_dict(changes)
    return config


def lpips_weights(_="alexnet"):
    """Random weights in the layout of AlexNet, four channels a stage, in place of the real ones."""
    rng = np.random.default_rng(0)
    convolutions, channels = [], 3
    for side, _ in perceptual_weights.CONVOLUTIONS["alexnet"]:
        kernel = rng.normal(0, (2 / (side**2 * channels)) ** 0.5, (side, side, channels, 4))
        convolutions.append((kernel.astype(np.float32), np.zeros(4, np.float32)))
        channels = 4
    return {"conv": convolutions, "heads": [np.full(4, 0.25, np.float32) for _ in convolutions]}


def refused(config):
    """The message of a run that must not start."""
    with pytest.raises(RdcError) as error:
        train.train(config)
    assert "\n" not in str(error.value)
    return str(error.value)
