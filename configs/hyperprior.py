"""`hyperprior`, a base codec without a denoiser: the mean-scale hyperprior, 2.4 M parameters.

    rdc train --config configs/hyperprior.py data.path=FOLDER workdir=runs/hyperprior

This is the codec of Balle et al. 2018 and Minnen et al. 2018, with a variable quantiser step, so
that one network serves all qualities and importance maps. It has stage "joint" only. A step takes
about 0.8 s on two CPU cores. After 1000 steps, it reaches 31.7 dB at 0.66 bpp on the held-out crops
(timestep 400, step 2). Variant `configs/hyperprior.py:smoke` is a few-second version for tests.
"""

import ml_collections


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "hyperprior"
    config.stage = "joint"  # joint (stage 0) | diffusion (stage 1) | entropy (stage 2)
    config.workdir = "runs/hyperprior"
    config.init_from = ""  # weights folder to start from; required by stages 1 and 2
    config.seed = 0

    config.model = ml_collections.ConfigDict(
        dict(
            latent_channels=128,
            num_levels=8,  # importance levels of a map
            cell_size=16,  # image pixels per map cell
            timestep_range=(200, 800),  # at quality 100 and 0; Delta 1 to 8
            prediction="v",  # of a denoiser, which this model does not have
            prior_conditioning=False,
            dither=False,  # plain rounding: no denoiser removes the noise of a dither
            schedule=dict(kind="geometric", step_min=0.5, step_max=16.0),
            step_profile=False,
            autoencoder=dict(kind="gdn", width=64, latent_channels=128, latent_gain=256.0),
            hyperprior=dict(
                kind="mean_scale", width=64, latent_unit=16.0, scale_bound=0.004, hyper_gain=4.0
            ),
            unet=None,
        )
    )

    # Devices per axis, -1 takes all remaining ones: docs/pods.md.
    config.mesh = ml_collections.ConfigDict(dict(replica=1, data=-1, fsdp=1, tensor=1))

    config.data = ml_collections.ConfigDict(
        dict(
            path="photos",
            kind="folder",  # folder | array_record | tfds (path: a name) | synthetic
            split="train",  # of a TFDS set; tfds_dir is its folder
            tfds_dir="",
            batch_size=16,
            crop_size=128,
            num_threads=1,
            held_out=24,  # images for validation
            validation_size=256,  # side of their crops in pixels
            mix="",  # other image sets, FOLDER=SHARE,..: fractions of the examples
            darken_share=0.0,  # fraction of data.path's crops: darkened, with sensor noise
            ragged_share=0.0,  # fraction of the crops: with a padded border
        )
    )
    config.training = ml_collections.ConfigDict(
        dict(
            total_steps=2000,
            warmup_steps=100,
            decay_fraction=0.3,  # last part of the run, in which the learning rate falls to zero
            optimizer="muon",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=2e-3,
            adam_learning_rate=1e-3,
            gradient_clip=1.0,
            ema_half_life=4000,  # images
            distortion_weight=0.05,
            balance=0.5,  # weight of an example ~ step ** balance
            latent_weight=0.0,  # the next three are for a denoiser
            later_clock_share=0.0,
            input_perturbation=0.0,
            uniform_map_share=0.3,
            timestep_gap=400,  # largest difference between background and region of interest
            compute_dtype="float32",  # float32 | bfloat16; parameters and losses are float32
            remat="none",  # none | dots | blocks: what the backward pass keeps, see models/unet.py
            attention="auto",  # auto | xla | cudnn (NVIDIA) | pallas (TPU)
            accumulate=1,  # parts that a batch is processed in, one after another
            split_rows=False,  # images split by rows over mesh.tensor
            stall_timeout=1800,  # seconds without a step after which the run ends; 0: never
            profile_from=10,  # steps after the start at which the profile begins
            profile_steps=0,  # steps in the profile; 0: none
            log_every=20,
            checkpoint_every=200,
            keep_checkpoints=3,
            sample_every=500,  # validation
            judge_every=0,  # validation with all metrics; 0: only at the end, -1: never
            reference="tiny",  # model that validation compares with at equal rate; "": none
        )
    )
    if variant == "smoke":
        config.name = "hyperprior-smoke"
        config.model.autoencoder.update(width=8, latent_channels=12)
        config.model.hyperprior.update(width=8)
        config.model.latent_channels = 12
        config.data.update(kind="synthetic", batch_size=8, crop_size=64, held_out=2)
        config.training.update(
            total_steps=4, warmup_steps=1, log_every=1, checkpoint_every=2, sample_every=4
        )
        config.data.update(validation_size=64)
        config.training.update(judge_every=-1, reference="")
    elif variant:
        raise ValueError(f"unknown variant {variant!r} of configs/hyperprior.py; known: smoke")
    return config
