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


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "base"
    config.stage = "joint"  # joint (stage 0) | diffusion (stage 1) | entropy (stage 2)
    config.workdir = "runs/base"
    config.init_from = ""  # weights folder to start from; required by stages 1 and 2
    config.seed = 0

    config.model = ml_collections.ConfigDict(
        dict(
            latent_channels=56,
            num_levels=8,  # importance levels of a map
            cell_size=16,  # image pixels per map cell
            timestep_range=(120, 800),  # at quality 100 and 0; Delta 0.9 to 24
            prediction="v",
            prior_conditioning=True,
            schedule=dict(kind="geometric", step_min=0.5, step_max=64.0),
            step_profile=True,  # ratios of the step between channels, learnt per timestep
            autoencoder=dict(
                kind="transform", luma=36, chroma=10, fine_width=96, width=256, blocks=3
            ),
            hyperprior=dict(hyper_channels=64, width=256),
            unet=dict(channels=(256, 512, 640), layers=2, heads=(0, 0, 0), mid_heads=0,
                      norm="pixel"),
        )
    )  # fmt: skip

    # Devices per axis, -1 takes all remaining ones: docs/pods.md.
    config.mesh = ml_collections.ConfigDict(dict(replica=1, data=-1, fsdp=1, tensor=1))

    config.data = ml_collections.ConfigDict(
        dict(
            path="shards",
            kind="array_record",  # folder | array_record | tfds (path: a name) | synthetic
            split="train",  # of a TFDS set; tfds_dir is its folder
            tfds_dir="",
            batch_size=128,
            crop_size=256,
            num_threads=16,
            held_out=64,  # images for validation
            validation_size=256,  # side of their crops in pixels
            mix="",  # other image sets, FOLDER=SHARE,..: fractions of the examples
            darken_share=0.0,  # fraction of data.path's crops: darkened, with sensor noise
            ragged_share=0.0,  # fraction of the crops: with a padded border
        )
    )
    config.training = ml_collections.ConfigDict(
        dict(
            total_steps=200_000,
            warmup_steps=1000,
            decay_fraction=0.3,  # last part of the run, in which the learning rate falls to zero
            optimizer="muon",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=2e-3,
            adam_learning_rate=5e-4,
            gradient_clip=1.0,
            ema_half_life=100_000,  # images
            distortion_weight=0.08,
            latent_weight=0.1,
            balance=0.5,  # weight of an example ~ step ** balance
            later_clock_share=0.2,  # fraction of examples that train later sampler steps
            input_perturbation=0.1,  # noise on the network's input, in steps (stage diffusion)
            uniform_map_share=0.3,
            timestep_gap=400,  # largest difference between background and region of interest
            compute_dtype="bfloat16",  # float32 | bfloat16; parameters and losses are float32
            remat="none",  # none | dots | blocks: what the backward pass keeps, see models/unet.py
            attention="auto",  # auto | xla | cudnn (NVIDIA) | pallas (TPU)
            accumulate=1,  # parts that a batch is processed in, one after another
            split_rows=False,  # images split by rows over mesh.tensor
            stall_timeout=1800,  # seconds without a step after which the run ends; 0: never
            profile_from=10,  # steps after the start at which the profile begins
            profile_steps=0,  # steps in the profile; 0: none
            log_every=100,
            checkpoint_every=2000,
            keep_checkpoints=3,
            sample_every=10_000,  # validation
            judge_every=0,  # validation with all metrics; 0: only at the end, -1: never
            reference="tiny",  # model that validation compares with at equal rate; "": none
        )
    )
    if variant == "smoke":
        config.name = "base-smoke"
        config.model.autoencoder.update(fine_width=8, width=16, blocks=1)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(channels=(16, 16, 16))
        config.data.update(kind="synthetic", batch_size=8, crop_size=64, held_out=2)
        config.training.update(
            total_steps=4, warmup_steps=1, log_every=1, checkpoint_every=2, sample_every=4
        )
        config.data.update(validation_size=64)
        config.training.update(judge_every=-1, reference="")
    elif variant:
        raise ValueError(f"unknown variant {variant!r} of configs/base.py; known: smoke")
    return config
