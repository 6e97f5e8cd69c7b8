"""`tiny`, the shipped default: 9.8 M parameters, trained on two CPU cores.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

Stage "joint" trains autoencoder, entropy model and one-step denoiser together, at random importance
maps. A step takes about 1.1 s on two CPU cores. docs/model_card.md lists what the shipped weights
cost and what they reach. Variant `configs/tiny.py:smoke` is a few-second version for tests.
"""

import ml_collections

from . import defaults


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = defaults.codec("tiny")
    config.model.update(
        latent_channels=56,
        num_levels=8,  # importance levels of a map
        cell_size=16,  # image pixels per map cell
        timestep_range=(80, 680),  # at quality 100 and 0; Delta 0.7 to 14
        prediction="v",
        prior_conditioning=True,
        schedule=dict(kind="geometric", step_min=0.5, step_max=64.0),
        silent_scales=36,  # skip mode: of the coder's 80 scales; scale < 0.47 step is not sent
        step_profile=True,  # ratios of the step between channels, learnt per timestep
        autoencoder=dict(kind="transform", luma=36, chroma=10, fine_width=48, width=96, blocks=2),
        # hyper_step=True and hyper_context=True make the hyper-latent cheaper: docs/method.md
        hyperprior=dict(hyper_channels=32, width=96),
        unet=dict(channels=(96, 144, 192), layers=1, heads=(0, 0, 0), mid_heads=0, norm="pixel"),
    )
    if variant == "smoke":
        defaults.shrink(config)
        config.model.autoencoder.update(fine_width=8, width=16, blocks=1)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(channels=(16, 16, 16))
    elif variant:
        raise defaults.unknown(variant, "configs/tiny.py")
    return config
