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

from . import defaults


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = defaults.fusion("fusion")  # its `model` section will be the base's
    config.fusion.update(
        from_base=True,  # the transform starts as a copy of the base's denoiser, if it has one
        transform=dict(  # if the base has no denoiser
            channels=(96, 128, 160), layers=1, heads=(0, 0, 0), mid_heads=0, norm="pixel"
        ),
        auxiliary=dict(width=96, blocks=2),
        discriminator=dict(width=32, levels=3),
        default_tau=0.5,  # hints that encoders write to files
        default_steps=1,
    )
    config.training.update(
        total_steps=700,
        warmup_steps=50,
        decay_fraction=0.5,
        muon_learning_rate=3e-3,
        ema_half_life=2000,
        uniform_map_share=0.5,
        checkpoint_every=100,
        keep_checkpoints=2,
        sample_every=200,
    )
    if variant == "end_to_end":
        config.stage = "end_to_end"
        config.grow.update(
            autoencoder=dict(
                analysis_added_blocks=3, analysis_expansion=2, analysis_padding="edge"
            ),
            hyperprior=dict(hyper_step=True, hyper_context=True),
        )
        config.data.update(darken_share=0.06, ragged_share=0.1)
        config.training.update(
            total_steps=16000,
            decay_fraction=0.4,
            muon_learning_rate=1.5e-3,
            adam_learning_rate=4e-4,
            ema_half_life=10000,
            pixel_weight=0.2,
            realism_weight=0.15,
            distortion_weight=0.06,
            checkpoint_every=50,
            sample_every=500,
            judge_every=2000,
        )
        config.training.looks.vgg16.share = 1.0
        config.training.looks.pattern = 0.2
    elif variant == "smoke":
        defaults.shrink(config)
        config.data.crop_size = 96
        config.fusion.transform.update(channels=(16, 16, 16))
        config.fusion.auxiliary.update(width=16, blocks=1)
        config.fusion.discriminator.update(width=8)
    elif variant:
        raise defaults.unknown(variant, "configs/fusion.py", "end_to_end, smoke")
    return config
