"""What the configs share: every setting once, with its meaning. A config is these and its own.

    config = defaults.codec("tiny")          a run that trains a codec
    config = defaults.fusion("fusion")       a run that trains a fusion module

The defaults suit a small model on two CPU cores and a folder of photographs.
"""

import ml_collections


def codec(name: str, stage: str = "joint") -> ml_collections.ConfigDict:
    """Settings of a run that trains a codec; the `model` section is empty."""
    config = _run(name, stage)  # joint (stage 0) | diffusion (stage 1) | entropy (stage 2)
    config.init_from = ""  # model folder to start from; required by stages 1 and 2
    config.training.update(
        later_clock_share=0.2,  # fraction of examples that train later sampler steps
        input_perturbation=0.1,  # noise on the network's input, in steps (stage diffusion)
    )
    return config


def fusion(name: str, stage: str = "realism") -> ml_collections.ConfigDict:
    """Settings of a run that trains a fusion module; `model` and `fusion` sections are empty."""
    config = _run(name, stage)  # auxiliary | transform | realism | end_to_end
    config.init_from = "tiny"  # the frozen base codec: a shipped model's name or a folder
    config.fusion_from = ""  # folder of the module that an earlier stage made; "": a new one
    # Fields of the base's `model` section that change in the new codec (stage end_to_end).
    config.grow = ml_collections.ConfigDict(dict(autoencoder={}, hyperprior={}))
    config.fusion = ml_collections.ConfigDict()
    config.training.update(
        pixel_weight=0.05,  # of the squared error relative to the base codec's
        looks=dict(  # rdc_jax/training/tasks/looks.py; weights of LPIPS by network and view
            alexnet=dict(whole=1.0, half=0.5, quarter=0.0, share=1.0),
            vgg16=dict(whole=0.0, half=0.0, quarter=1.0, share=0.5),  # half of the examples
            max_offset=-1,  # of the random crop in pixels; -1: a latent pixel minus one
            pattern=0.1,  # of detail that repeats with every latent pixel
            colour=0.01,  # of the error of local means, per 8-bit level
        ),
        adversarial_weight=0.0,
        pull_weight=0.01,  # of y_p towards the decoded latent (stage auxiliary)
        realism_weight=1.0,  # at 1, 1 % of looks counts as 1 % of squared error
        diffusion_weight=0.0,  # of the prediction error in stage realism
        two_step_share=0.0,  # fraction of examples with two sampler steps
    )
    return config


def _run(name: str, stage: str) -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = name
    config.stage = stage
    config.workdir = f"runs/{name}"
    config.seed = 0
    config.restore_from = ""  # workdir of a run that a new one continues from
    config.restore_step = -1  # its checkpoint, by steps; -1: the newest
    config.model = ml_collections.ConfigDict()  # of the codec, see rdc_jax/models/networks.py

    # Devices per axis, -1 takes all remaining ones: docs/pods.md.
    config.mesh = ml_collections.ConfigDict(dict(replica=1, data=-1, fsdp=1, tensor=1))

    config.data = ml_collections.ConfigDict(
        dict(
            path="photos",
            kind="auto",  # auto | folder | array_record | tfds (a name) | latents | synthetic
            split="train",  # of a TFDS set; tfds_dir is its folder
            tfds_dir="",
            batch_size=16,
            crop_size=128,  # pixels
            num_threads=1,  # reading threads, of each worker process if there are some
            num_workers=0,  # worker processes that make batches; 0: threads only
            held_out=24,  # images for validation; 0: train on all, and never validate
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
            schedule="constant",  # after the warm-up: constant, then decay | linear | cosine
            decay_fraction=0.3,  # last part of the run, in which a constant rate falls to zero
            optimizer="muon",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=5e-3,
            muon_momentum=0.95,
            adam_learning_rate=1e-3,
            adam_betas=(0.9, 0.999),
            weight_decay=0.0,  # of the kernels, times the learning rate; with muon, of Muon's
            gradient_clip=1.0,
            ema_half_life=4000,  # images
            distortion_weight=0.08,  # of the squared error against bits per pixel
            latent_weight=0.1,  # of the denoiser's error in the latent
            balance=0.5,  # weight of an example ~ step ** balance
            uniform_map_share=0.3,  # fraction of examples without a region of interest
            timestep_gap=400,  # largest difference between background and region of interest
            compute_dtype="float32",  # float32 | bfloat16; parameters and losses are float32
            remat="none",  # none | dots | blocks: what the backward pass keeps, see models/unet.py
            attention="auto",  # auto | xla | cudnn (NVIDIA) | pallas (TPU)
            convolutions="xla",  # xla | products (CPUs) | bfloat16_products (with AMX)
            accumulate=1,  # parts that a batch is processed in, one after another
            split_rows=False,  # images split by rows over mesh.tensor
            stall_timeout=1800,  # seconds without a step after which the run ends; 0: never
            profile_from=10,  # steps after the start at which the profile begins
            profile_steps=0,  # steps in the profile; 0: none
            log_every=20,  # steps; 0: never
            checkpoint_every=200,  # 0: only at the end of the run and after a signal
            keep_checkpoints=3,  # the newest ones
            keep_best="",  # scalar of validation, as psnr@400, whose best checkpoint stays too
            sample_every=500,  # validation; 0: never, not even at the end
            judge_every=0,  # validation with all metrics; 0: only at the end, -1: never
            tensorboard=False,  # also write workdir/tensorboard; needs tensorboardX
            reference="tiny",  # model that validation compares with at equal rate; "": none
        )
    )
    return config


def shrink(config: ml_collections.ConfigDict) -> None:
    """Makes a run one of a few seconds, for tests; the networks shrink in the config itself."""
    config.name += "-smoke"
    config.data.update(  # an empty path means synthetic images
        kind="auto", path="", batch_size=8, crop_size=64, held_out=2, validation_size=64,
        num_threads=1, num_workers=0,
    )  # fmt: skip
    config.training.update(
        total_steps=4,
        warmup_steps=1,
        log_every=1,
        checkpoint_every=2,
        sample_every=4,
        judge_every=-1,
        reference="",
    )


def unknown(variant: str, file: str, known: str = "smoke") -> ValueError:
    """The error for a variant that a config file does not have.

    Args:
        variant: As given.
        file: Path of the config.
        known: Names of its variants.
    """
    return ValueError(f"unknown variant {variant!r} of {file}; known: {known}")
