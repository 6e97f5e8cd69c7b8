"""`base`: 134.9 M parameters, trained from scratch on one host with eight accelerators.

    rdc data prepare FOLDER SHARDS
    rdc train --config configs/base.py data.path=SHARDS workdir=runs/base
    rdc train --config configs/base.py --aot v5e:2x4    # memory and speed, without the machine

A larger `tiny`: the same stage "joint", but wider networks, larger crops and bfloat16 computation.
The U-Net has 122.6 M parameters, the autoencoder 9.4 M and the entropy model 2.9 M. Channel counts
are multiples of 128, the side of a TPU's matrix unit. There is no attention, and norms are per
pixel, so images of any size decode window by window. Predicted on 8 TPU v5e: 49 ms per step, 2.7
hours. Expected metrics: not yet run. Variant `configs/base.py:smoke` is a few-second version for
tests.
"""

import ml_collections

from . import defaults


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = defaults.codec("base")
    config.model.update(
        latent_channels=56,
        num_levels=8,  # importance levels of a map
        cell_size=16,  # image pixels per map cell
        timestep_range=(120, 800),  # at quality 100 and 0; Delta 0.9 to 24
        prediction="v",
        prior_conditioning=True,
        schedule=dict(kind="geometric", step_min=0.5, step_max=64.0),
        step_profile=True,  # ratios of the step between channels, learnt per timestep
        autoencoder=dict(kind="transform", luma=36, chroma=10, fine_width=96, width=256, blocks=3),
        hyperprior=dict(hyper_channels=64, width=256),
        unet=dict(channels=(256, 512, 640), layers=2, heads=(0, 0, 0), mid_heads=0, norm="pixel"),
    )
    config.data.update(
        path="shards",
        batch_size=128,
        crop_size=256,
        num_threads=4,
        num_workers=8,  # 2,600 crops a second take about 24 cores
        held_out=64,
    )
    config.training.update(
        total_steps=200_000,
        warmup_steps=1000,
        muon_learning_rate=2e-3,
        adam_learning_rate=5e-4,
        ema_half_life=100_000,
        compute_dtype="bfloat16",
        log_every=100,
        checkpoint_every=2000,
        sample_every=10_000,
    )
    if variant == "smoke":
        defaults.shrink(config)
        config.model.autoencoder.update(fine_width=8, width=16, blocks=1)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(channels=(16, 16, 16))
    elif variant:
        raise defaults.unknown(variant, "configs/base.py")
    return config
