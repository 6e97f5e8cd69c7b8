"""How the noise level of a timestep is shared among the latent's channels.

Channels of a transform differ a hundredfold in variance. A step that suits the strong ones still
spends bits on weak channels that it drowns: at a scale r of the step, universal quantisation costs
about 2.5 r bits although they carry only r^2. The profile multiplies the schedule's step by a
ratio per channel, learnt as a function of the timestep. A channel can then be skipped when noise is
high and come back when it is low (reverse water-filling). The law of the noise is unchanged:
uniform, independent of the latent, of known variance per element [ours].
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.diffusion.schedule_knots import STEP_PROFILE_KNOTS
from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.models.conditions import hats

GAIN = 4.0  # octaves per unit of parameter, so that an optimiser need not move far
LOG2_RANGE = (-2.0, 6.0)


class StepProfile(nn.Module):
    """Fields: latent `channels`; `knots` of the piecewise-linear dependence on the timestep."""

    channels: int
    knots: int = STEP_PROFILE_KNOTS

    @nn.compact
    def __call__(self, timesteps: jax.Array) -> jax.Array:
        """timesteps [...] in 0..1000 -> ratio of each channel's step to the schedule's, [...,C]."""
        zeros = nn.initializers.zeros
        octaves = self.param("octaves", zeros, (self.knots, self.channels), jnp.float32)
        log2_ratio = GAIN * hats(timesteps / MAX_TIMESTEP, self.knots) @ octaves
        return jnp.exp2(jnp.clip(log2_ratio, *LOG2_RANGE))
