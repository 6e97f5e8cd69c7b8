"""`sd21`, the scale of the paper: 953.7 M parameters in the layout of Stable Diffusion 2.1.

    rdc train --config configs/sd21.py data.path=FOLDER init_from=FOLDER workdir=runs/sd21

The U-Net has 865.91 M parameters, the KL autoencoder 83.65 M and the entropy model 4.11 M. The
U-Net has cross-attention to a constant empty prompt, which is not counted. `init_from` is a model
folder with the pretrained weights. Stage "diffusion" fine-tunes the U-Net to uniform noise at
random importance maps (100 k steps in the paper). Then stage "entropy" (stage=entropy) trains the
entropy model alone. The autoencoder is never trained, so `rdc data encode-latents` can compute its
latents once. On a pod:

    rdc data encode-latents --config configs/sd21.py LATENTS init_from=FOLDER data.path=FOLDER
    launch/tpu_vm.sh --config configs/sd21.py init_from=FOLDER data.kind=latents \\
        data.path=LATENTS data.batch_size=2048 mesh.fsdp=16

Predicted on 256 TPU v5e (docs/pods.md): 209 ms per step, 5.8 hours for stage 1. Expected metrics:
not yet run. Variant `configs/sd21.py:smoke` has every kind of layer with a few channels, for tests.
"""

import ml_collections

from . import defaults


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
    config.data.update(crop_size=512, num_threads=8, held_out=8, validation_size=1024)
    config.training.update(
        total_steps=100_000,
        warmup_steps=1000,
        decay_fraction=0.2,
        optimizer="adam",
        muon_learning_rate=2e-4,
        adam_learning_rate=1e-5,
        ema_half_life=100_000,
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
    if variant == "smoke":
        defaults.shrink(config)
        config.model.context_shape = (3, 16)
        config.model.autoencoder.update(block_out_channels=(8, 8, 8, 8), norm_num_groups=4)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(
            channels=(16, 16, 32, 32), layers=1, heads=(2, 2, 4, 0), mid_heads=4, groups=8
        )
        config.data.update(num_threads=1, validation_size=128)
        config.training.update(total_steps=2, sample_every=2)
    elif variant:
        raise defaults.unknown(variant, "configs/sd21.py")
    return config
