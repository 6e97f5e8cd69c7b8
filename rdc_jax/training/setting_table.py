"""Every setting of a training run, and what its value must be. configs/defaults.py explains them.

A new setting needs a row here and a line in configs/defaults.py.
"""

from typing import Any, NamedTuple, get_args

from rdc_jax.data.sources import KINDS
from rdc_jax.diffusion.preconditioning import Prediction
from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.models.networks import AUTOENCODERS, HYPERPRIORS
from rdc_jax.models.networks import SCHEDULES as NOISE_SCHEDULES
from rdc_jax.models.unet import REMAT
from rdc_jax.training.attention import KERNELS
from rdc_jax.training.convolutions import KINDS as CONVOLUTIONS
from rdc_jax.training.optimizer import OPTIMIZERS, SCHEDULES
from rdc_jax.training.program import COMPUTE_DTYPES
from rdc_jax.training.setting_checks import (
    Check,
    decay_rate,
    filled_text,
    flag,
    nothing_or,
    number,
    one_of,
    pair,
    positive,
    power_of_two,
    share,
    text,
    whole,
)
from rdc_jax.training.tasks.selection import STAGES

REQUIRED, LEFT_OUT = "required", "may be left out"


class Row(NamedTuple):
    """One setting.

    Attributes:
        check: What its value must be.
        default: The value in a config of an earlier version, which lacks it; REQUIRED: none, the
            config must have it; LEFT_OUT: the code does without it.
    """

    check: Check
    default: Any = REQUIRED


RUN = {
    "name": Row(filled_text()),
    "stage": Row(one_of(*STAGES)),
    "workdir": Row(filled_text()),
    "seed": Row(whole(0, 2**32 - 1)),
    "init_from": Row(text()),
    "restore_from": Row(text(), ""),
    "restore_step": Row(whole(-1), -1),
    "mesh.replica": Row(whole(-1), 1),
    "mesh.data": Row(whole(-1), -1),
    "mesh.fsdp": Row(whole(-1), 1),
    "mesh.tensor": Row(whole(-1), 1),
    "data.path": Row(text()),
    "data.kind": Row(one_of(*KINDS)),
    "data.split": Row(text(), "train"),
    "data.tfds_dir": Row(text(), ""),
    "data.batch_size": Row(whole(1, 2**20)),
    "data.crop_size": Row(whole(1, 2**14)),
    "data.num_threads": Row(whole(0, 1024)),
    "data.num_workers": Row(whole(0, 1024), 0),
    "data.held_out": Row(whole(0, 2**20)),
    "data.validation_size": Row(whole(1, 2**13), LEFT_OUT),
    "data.mix": Row(text(), ""),
    "data.darken_share": Row(share(), 0.0),
    "data.ragged_share": Row(share(), 0.0),
    "training.total_steps": Row(whole(0)),
    "training.warmup_steps": Row(whole(0)),
    "training.decay_fraction": Row(share()),
    "training.optimizer": Row(one_of(*OPTIMIZERS)),
    "training.schedule": Row(one_of(*SCHEDULES), "constant"),
    "training.muon_learning_rate": Row(number(0)),
    "training.adam_learning_rate": Row(number(0)),
    "training.muon_momentum": Row(decay_rate(), 0.95),
    "training.adam_betas": Row(pair(decay_rate()), (0.9, 0.999)),
    "training.weight_decay": Row(number(0), 0.0),
    "training.gradient_clip": Row(positive()),
    "training.ema_half_life": Row(positive()),
    "training.distortion_weight": Row(number(0)),
    "training.latent_weight": Row(number(0)),
    "training.balance": Row(number()),
    "training.uniform_map_share": Row(share()),
    "training.timestep_gap": Row(number(0, MAX_TIMESTEP)),
    "training.compute_dtype": Row(one_of(*COMPUTE_DTYPES)),
    "training.remat": Row(one_of(*REMAT)),
    "training.attention": Row(one_of(*KERNELS)),
    "training.convolutions": Row(one_of(*CONVOLUTIONS)),
    "training.accumulate": Row(whole(1, 2**20)),
    "training.split_rows": Row(flag()),
    "training.stall_timeout": Row(number(0)),
    "training.profile_from": Row(whole(0)),
    "training.profile_steps": Row(whole(0)),
    "training.log_every": Row(whole(0)),
    "training.checkpoint_every": Row(whole(0)),
    "training.keep_checkpoints": Row(whole(1)),
    "training.keep_best": Row(text(), ""),
    "training.tensorboard": Row(flag(), False),
    "training.sample_every": Row(whole(0)),
    "training.judge_every": Row(whole(-1), 0),
    "training.reference": Row(text(), ""),
    "training.blind_to": Row(text(), LEFT_OUT),  # these two are ablations
    "training.gaussian_noise": Row(flag(), LEFT_OUT),
}

OF_CODEC = {  # stages joint, diffusion, entropy
    "training.later_clock_share": Row(share()),
    "training.input_perturbation": Row(number(0)),
    "model.latent_channels": Row(whole(1, 2**12)),
    "model.num_levels": Row(whole(1, 256)),
    "model.cell_size": Row(power_of_two(2**15)),
    "model.timestep_range": Row(pair(whole(0, MAX_TIMESTEP), rising=True)),
    "model.prediction": Row(one_of(*get_args(Prediction))),
    "model.prior_conditioning": Row(flag()),
    "model.silent_scales": Row(whole(0, 79), LEFT_OUT),
    "model.step_profile": Row(flag(), LEFT_OUT),
    "model.dither": Row(flag(), LEFT_OUT),
    "model.context_shape": Row(nothing_or(pair(whole(1, 2**16))), LEFT_OUT),
    "model.schedule.kind": Row(one_of(*NOISE_SCHEDULES)),
    "model.autoencoder.kind": Row(one_of(*AUTOENCODERS)),
    "model.hyperprior.kind": Row(one_of(*HYPERPRIORS), LEFT_OUT),
}

VIEWS = ("whole", "half", "quarter")
OF_FUSION = {  # stages auxiliary, transform, realism, end_to_end
    "fusion_from": Row(text()),
    "fusion.from_base": Row(flag()),
    "fusion.default_tau": Row(share()),
    "fusion.default_steps": Row(whole(1, 255)),
    "training.pixel_weight": Row(number(0)),
    "training.adversarial_weight": Row(number(0)),
    "training.pull_weight": Row(number(0)),
    "training.realism_weight": Row(number(0)),
    "training.diffusion_weight": Row(number(0)),
    "training.two_step_share": Row(share()),
    "training.looks.max_offset": Row(whole(-1, 2**12)),
    "training.looks.pattern": Row(number(0)),
    "training.looks.colour": Row(number(0)),
    **{
        f"training.looks.{network}.{view}": Row(number(0))
        for network in ("alexnet", "vgg16")
        for view in VIEWS
    },
    "training.looks.alexnet.share": Row(share()),
    "training.looks.vgg16.share": Row(share()),
}

CLOSED_SECTIONS = ("mesh", "data", "training")
"""Sections without settings of the user's own: an unknown name there is a slip."""
SECTIONS_OF_NETWORKS = ("model", "fusion", "grow")
"""Sections whose other fields are those of networks (rdc_jax/models/)."""
PATHS = (
    *("workdir", "restore_from", "init_from", "fusion_from"),
    *("data.path", "data.tfds_dir", "training.reference"),
)
"""Settings in which a leading ~ is the home folder."""
