"""`hyperprior`, a base codec without a denoiser: the mean-scale hyperprior, 2.4 M parameters.

    rdc train --config configs/hyperprior.py data.path=FOLDER workdir=runs/hyperprior

This is the codec of Balle et al. 2018 and Minnen et al. 2018, with a variable quantiser step, so
that one network serves all qualities and importance maps. It has stage "joint" only. A step takes
about 0.8 s on two CPU cores. After 1000 steps, it reaches 31.7 dB at 0.66 bpp on the held-out crops
(timestep 400, step 2). Variant `configs/hyperprior.py:smoke` is a few-second version for tests.
"""

import ml_collections

from . import defaults


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = defaults.codec("hyperprior")
    config.model.update(
        latent_channels=128,
        num_levels=8,  # importance levels of a map
        cell_size=16,  # image pixels per map cell
        timestep_range=(200, 800),  # at quality 100 and 0; Delta 1 to 8
        prediction="v",  # of a denoiser, which this model does not have
        prior_conditioning=False,
        dither=False,  # plain rounding: without a denoiser, dither noise would stay
        schedule=dict(kind="geometric", step_min=0.5, step_max=16.0),
        step_profile=False,
        autoencoder=dict(kind="gdn", width=64, latent_channels=128, latent_gain=256.0),
        hyperprior=dict(
            kind="mean_scale", width=64, latent_unit=16.0, scale_bound=0.004, hyper_gain=4.0
        ),
        unet=None,
    )
    config.training.update(
        total_steps=2000,
        muon_learning_rate=2e-3,
        distortion_weight=0.05,
        latent_weight=0.0,  # these three are for a denoiser
        later_clock_share=0.0,
        input_perturbation=0.0,
    )
    if variant == "smoke":
        defaults.shrink(config)
        config.model.autoencoder.update(width=8, latent_channels=12)
        config.model.hyperprior.update(width=8)
        config.model.latent_channels = 12
    elif variant:
        raise defaults.unknown(variant, "configs/hyperprior.py")
    return config
