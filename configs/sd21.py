"""`sd21`, the scale of the paper: 953.7 M parameters in the layout of Stable Diffusion 2.1.

    rdc train --config configs/sd21.py init_from=START data.path=LATENTS
    rdc train --config configs/sd21.py:entropy init_from=runs/sd21/model data.path=LATENTS

docs/pretraining.md has the whole chain. The U-Net has 865.91 M parameters, the KL autoencoder
83.65 M and the entropy model 4.11 M. The U-Net has cross-attention to a constant empty prompt,
which is not counted. Stage 1 ("diffusion") fine-tunes the U-Net to uniform noise at random
importance maps (100 k steps in the paper). `init_from` is a model folder with the pretrained
weights. Stage 2 (variant "entropy") trains the entropy model alone, and the U-Net stays in the
hosts' memory. The autoencoder is never trained, so `rdc data encode-latents` can compute its
latents once.

The latent has 4 channels for 64 pixels. At quality 100, whose step is 0.34, that is about 0.23
bits per pixel, the highest rate of this model.

Predicted on 256 TPU v5e (docs/pods.md): 209 ms per step, 5.8 hours for stage 1. Expected metrics:
not yet run. Variants `smoke` and `entropy_smoke` have every kind of layer with a few channels, for
tests.
"""

import ml_collections

from . import defaults

VARIANTS = ("", "entropy", "smoke", "entropy_smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = defaults.codec("sd21", stage="diffusion")
    config.model.update(
        latent_channels=4,
        num_levels=16,  # importance levels of a map
        cell_size=16,  # image pixels per map cell
        timestep_range=(10, 700),  # at quality 100 and 0; Delta 0.34 to 11.6
        prediction="v",
        prior_conditioning=False,  # the pretrained U-Net sees the noisy latent alone
        schedule=dict(kind="scaled_linear"),
        step_profile=False,  # four channels of about equal variance share one step
        context_shape=(77, 1024),  # tokens and width of the empty prompt
        autoencoder=dict(kind="kl"),
        hyperprior=dict(hyper_channels=96, width=328, latent_unit=1.0),
        unet=dict(),  # the defaults of `UNet` are Stable Diffusion 2.1
    )
    config.data.update(
        batch_size=2048, crop_size=512, num_threads=8, held_out=8, validation_size=1024
    )
    config.training.update(
        total_steps=100_000,
        warmup_steps=1000,
        decay_fraction=0.2,
        optimizer="adam",
        muon_learning_rate=2e-4,
        adam_learning_rate=1e-5,
        ema_half_life=10_000_000,  # 4,900 steps of 2048; fewer images with smaller batches
        distortion_weight=0.0,  # these three: stage joint only
        latent_weight=0.0,
        balance=0.0,
        later_clock_share=0.5,
        compute_dtype="bfloat16",
        log_every=50,
        checkpoint_every=1000,
        sample_every=5000,
        reference="",
    )
    if variant not in VARIANTS:
        raise defaults.unknown(variant, "configs/sd21.py", ", ".join(VARIANTS[1:]))
    if variant.startswith("entropy"):
        stage_2(config)
    if variant.endswith("smoke"):
        defaults.shrink(config)
        config.model.context_shape = (3, 16)
        config.model.autoencoder.update(block_out_channels=(8, 8, 8, 8), norm_num_groups=4)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(
            channels=(16, 16, 32, 32), layers=1, heads=(2, 2, 4, 0), mid_heads=4, groups=8
        )
        config.data.update(validation_size=128)
        config.training.update(total_steps=2, sample_every=2)
    return config


def stage_2(config: ml_collections.ConfigDict) -> None:
    """Changes the settings to those of stage 2: a small network, trained from scratch."""
    config.stage = "entropy"
    config.workdir = "runs/sd21-entropy"
    config.data.update(batch_size=256)
    config.training.update(
        total_steps=20_000,
        warmup_steps=500,
        decay_fraction=0.3,
        optimizer="muon",
        muon_learning_rate=2e-3,
        adam_learning_rate=5e-4,
        ema_half_life=100_000,  # 390 steps of 256
        checkpoint_every=2000,
    )
