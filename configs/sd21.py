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


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "sd21"
    config.stage = "diffusion"  # diffusion (stage 1) | entropy (stage 2)
    config.workdir = "runs/sd21"
    config.init_from = ""  # weights folder to start from; required by both stages
    config.seed = 0

    config.model = ml_collections.ConfigDict(
        dict(
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
    )

    # Devices per axis, -1 takes all remaining ones: docs/pods.md.
    config.mesh = ml_collections.ConfigDict(dict(replica=1, data=-1, fsdp=1, tensor=1))

    config.data = ml_collections.ConfigDict(
        dict(
            path="photos",
            kind="folder",  # folder | array_record | tfds (path: a name) | latents | synthetic
            split="train",  # of a TFDS set; tfds_dir is its folder
            tfds_dir="",
            batch_size=16,
            crop_size=512,
            num_threads=8,
            held_out=8,  # images for validation
            validation_size=1024,  # side of their crops in pixels
            mix="",  # other image sets, FOLDER=SHARE,..: fractions of the examples
            darken_share=0.0,  # fraction of data.path's crops: darkened, with sensor noise
            ragged_share=0.0,  # fraction of the crops: with a padded border
        )
    )
    config.training = ml_collections.ConfigDict(
        dict(
            total_steps=100_000,
            warmup_steps=1000,
            decay_fraction=0.2,  # last part of the run, in which the learning rate falls to zero
            optimizer="adam",  # muon (for kernels, Adam for the rest) | adam
            muon_learning_rate=2e-4,
            adam_learning_rate=1e-5,
            gradient_clip=1.0,
            ema_half_life=100_000,  # images
            distortion_weight=0.0,  # this and the next two: stage joint only
            latent_weight=0.0,
            balance=0.0,
            later_clock_share=0.5,  # fraction of examples that train later sampler steps
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
            log_every=50,
            checkpoint_every=1000,
            keep_checkpoints=3,
            sample_every=5000,  # validation
            judge_every=0,  # validation with all metrics; 0: only at the end, -1: never
            reference="",  # model that validation compares with at equal rate; "": none
        )
    )
    if variant == "smoke":
        config.name = "sd21-smoke"
        config.model.context_shape = (3, 16)
        config.model.autoencoder.update(block_out_channels=(8, 8, 8, 8), norm_num_groups=4)
        config.model.hyperprior.update(hyper_channels=4, width=16)
        config.model.unet.update(
            channels=(16, 16, 32, 32), layers=1, heads=(2, 2, 4, 0), mid_heads=4, groups=8
        )
        config.data.update(kind="synthetic", batch_size=8, crop_size=64, num_threads=1, held_out=2)
        config.training.update(
            total_steps=2, warmup_steps=1, log_every=1, checkpoint_every=2, sample_every=2
        )
        config.data.update(validation_size=128)
        config.training.update(judge_every=-1, reference="")
    elif variant:
        raise ValueError(f"unknown variant {variant!r} of configs/sd21.py; known: smoke")
    return config
