"""`tiny`, the shipped default: 9.8 M parameters, trained on two CPU cores.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

Stage "joint" trains autoencoder, entropy model and one-step denoiser together, at random importance
maps. A step takes about 1.1 s on two CPU cores. docs/model_card.md lists what the shipped weights
cost and what they reach. Variant `configs/tiny.py:smoke` is a few-second version for tests.
"""

import ml_collections


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "tiny"
    config.stage = "joint"  # joint (stage 0) | diffusion (stage 1) | entropy (stage 2)
    config.workdir = "runs/tiny"
    config.init_from = ""  # weights folder to start from; required by stages 1 and 2
    config.seed = 0

    config.model = ml_collections.ConfigDict(
        dict(
            latent_channels=56,
            num_levels=8,  # importance levels of a map
            cell_size=16,  # image pixels per map cell
            timestep_range=(80, 680),  # at quality 100 and 0; Delta 0.7 to 14
            prediction="v",
            prior_conditioning=True,
            schedule=dict(kind="geometric", step_min=0.5, step_max=64.0),
            silent_scales=36,  # skip mode: of the coder's 80 scales; scale < 0.47 step is not sent
            step_profile=True,  # ratios of the step between channels, learnt per timestep
            autoencoder=dict(
                kind="transform", luma=36, chroma=10, fine_width=48, width=96, blocks=2
            ),
            # hyper_step=True and hyper_context=True make the hyper-latent cheaper: docs/method.md
            hyperprior=dict(hyper_channels=32, width=96),
            unet=dict(channels=(96, 144, 192), layers=1, heads=(0, 0, 0), mid_heads=0,
                      norm="pixel"),
        )
    )  # fmt: skip

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
            total_steps=6000,
            warmup_steps=100,
            decay_fraction=0.3,  # last part of the run, in which the learning rate falls to zero
            optimizer="muon",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=5e-3,
            adam_learning_rate=1e-3,
            gradient_clip=1.0,
            ema_half_life=4000,  # images
            distortion_weight=0.08,
            latent_weight=0.1,
            balance=0.5,  # weight of an example ~ step ** balance
            later_clock_share=0.2,  # fraction of examples that train later sampler steps
            input_perturbation=0.1,  # noise on the network's input, in steps (stage diffusion)
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
        config.name = "tiny-smoke"
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
        raise ValueError(f"unknown variant {variant!r} of configs/tiny.py; known: smoke")
    return config
