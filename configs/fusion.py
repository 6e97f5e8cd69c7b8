"""`fusion`: the fusion module for a frozen codec, trained in three stages.

    F="rdc train --config configs/fusion.py data.path=FOLDER init_from=tiny"
    $F stage=auxiliary workdir=runs/auxiliary training.total_steps=300
    $F stage=transform workdir=runs/transform fusion_from=runs/auxiliary/model
    $F stage=realism   workdir=runs/realism   fusion_from=runs/transform/model

Stage realism alone is enough for a module. After it, base and module can be trained together, which
makes a new codec with its module inside:

    rdc train --config configs/fusion.py:end_to_end data.path=FOLDER init_from=tiny \
        fusion_from=runs/realism/model workdir=runs/both

`rdc decode --fusion` takes the `model` folder of stage realism. If this folder is copied to
`fusion` inside the folder of its base, it is used by default. Files and weights of the base do not
change. Training needs the LPIPS weights (docs/training.md). A step of 16 crops takes about 3.5 s on
two CPU cores in stage realism, and 6 s in stage end_to_end. Variant `configs/fusion.py:smoke` is a
few-second version for tests.
"""

import ml_collections


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "fusion"
    config.stage = "realism"  # auxiliary | transform | realism | end_to_end
    config.workdir = "runs/fusion"
    config.init_from = "tiny"  # the frozen base codec: a shipped model's name or a folder
    config.fusion_from = ""  # the module of an earlier stage
    config.seed = 0

    config.model = ml_collections.ConfigDict()  # becomes the base's section, changed by `grow`
    # Fields of the base's `model` section that change in the new codec (stage end_to_end).
    config.grow = ml_collections.ConfigDict(dict(autoencoder={}, hyperprior={}))

    config.fusion = ml_collections.ConfigDict(
        dict(
            from_base=True,  # the transform starts as a copy of the base's denoiser, if it has one
            transform=dict(  # if the base has no denoiser
                channels=(96, 128, 160), layers=1, heads=(0, 0, 0), mid_heads=0, norm="pixel"
            ),
            auxiliary=dict(width=96, blocks=2),
            discriminator=dict(width=32, levels=3),
            default_tau=0.5,  # hints that encoders write to files
            default_steps=1,
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
            total_steps=700,
            warmup_steps=50,
            decay_fraction=0.5,  # last part of the run, in which the learning rate falls to zero
            optimizer="muon",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=3e-3,
            adam_learning_rate=1e-3,
            gradient_clip=1.0,
            ema_half_life=2000,  # images
            pixel_weight=0.05,  # of the squared error relative to the base codec's
            looks=dict(  # see rdc_jax/training/tasks/looks.py; weights of LPIPS by network and view
                alexnet=dict(whole=1.0, half=0.5, quarter=0.0, share=1.0),
                vgg16=dict(whole=0.0, half=0.0, quarter=1.0, share=0.5),  # half of the examples
                max_offset=-1,  # of the random crop in pixels; -1: a latent pixel minus one
                pattern=0.1,  # of detail that repeats with every latent pixel
                colour=0.01,  # of the error of local means, per 8-bit level
            ),
            adversarial_weight=0.0,
            pull_weight=0.01,  # of y_p towards the decoded latent (stage auxiliary)
            realism_weight=1.0,  # at 1, 1 % of looks counts as 1 % of squared error
            distortion_weight=0.08,  # end_to_end; these three as in configs/tiny.py
            latent_weight=0.1,
            balance=0.5,
            diffusion_weight=0.0,  # of the prediction error in stage realism
            two_step_share=0.0,  # fraction of examples with two sampler steps
            uniform_map_share=0.5,
            timestep_gap=400,  # largest difference between background and region of interest
            compute_dtype="float32",  # float32 | bfloat16; parameters and losses are float32
            remat="none",
            attention="auto",
            accumulate=1,  # parts that a batch is processed in, one after another
            split_rows=False,
            stall_timeout=1800,  # seconds without a step after which the run ends; 0: never
            profile_from=10,
            profile_steps=0,
            log_every=20,
            checkpoint_every=100,
            keep_checkpoints=2,
            sample_every=200,  # validation
            judge_every=0,  # validation with all metrics; 0: only at the end, -1: never
            reference="tiny",  # model that validation compares with at equal rate; "": none
        )
    )
    if variant == "end_to_end":
        config.stage = "end_to_end"
        config.grow = ml_collections.ConfigDict(
            dict(
                autoencoder=dict(analysis_added_blocks=3, analysis_expansion=2),
                hyperprior=dict(hyper_step=True, hyper_context=True),
            )
        )
        config.data.update(darken_share=0.06, ragged_share=0.1)
        config.training.update(
            total_steps=16000,
            decay_fraction=0.4,
            muon_learning_rate=1.5e-3,
            adam_learning_rate=4e-4,
            ema_half_life=10000,
            pixel_weight=0.2,
            distortion_weight=0.045,
            checkpoint_every=50,
            sample_every=500,
            judge_every=2000,
        )
    elif variant == "smoke":
        config.name = "fusion-smoke"
        config.fusion.transform.update(channels=(16, 16, 16))
        config.fusion.auxiliary.update(width=16, blocks=1)
        config.fusion.discriminator.update(width=8)
        config.data.update(kind="synthetic", batch_size=8, crop_size=96, held_out=2)
        config.training.update(
            total_steps=4, warmup_steps=1, log_every=1, checkpoint_every=2, sample_every=4
        )
        config.data.update(validation_size=64)
        config.training.update(judge_every=-1, reference="")
    elif variant:
        raise ValueError(
            f"unknown variant {variant!r} of configs/fusion.py; known: end_to_end, smoke"
        )
    return config
