"""The numbers of a config that the losses of a codec need."""

import dataclasses

import ml_collections


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of the sections `model` and `training`; configs/defaults.py says what they mean.

    A weight or share of 0 leaves its term out.
    """

    num_levels: int
    timestep_range: tuple[int, int]
    timestep_gap: float
    uniform_map_share: float
    distortion_weight: float = 0.0
    latent_weight: float = 0.0
    balance: float = 0.0
    later_clock_share: float = 0.0
    input_perturbation: float = 0.0
    blind_to: str = ""  # condition that the entropy model is not told, in ablations
    gaussian_noise: bool = False  # in stage diffusion, an ablation


ABLATIONS = ("blind_to", "gaussian_noise")


def recipe_of(config: ml_collections.ConfigDict, *settings: str) -> Recipe:
    """The recipe of a config: how timesteps are drawn, and `settings` of its `training` section.

    The settings of ablations are read where the config has them.
    """
    training = config.training
    settings += tuple(name for name in ABLATIONS if name in training)
    return Recipe(
        num_levels=config.model.num_levels,
        timestep_range=tuple(config.model.timestep_range),
        timestep_gap=training.timestep_gap,
        uniform_map_share=training.uniform_map_share,
        **{name: training[name] for name in settings},
    )
