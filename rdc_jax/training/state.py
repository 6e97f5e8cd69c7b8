"""The state of training, in one pytree."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

Params = dict[str, Any]


@flax.struct.dataclass
class TrainState:
    """All that a resumed run needs besides its place in the data; frozen weights are not in it."""

    step: jax.Array  # int32 []
    params: Params  # the trained sub-trees only
    ema_params: Params
    opt_state: optax.OptState


def create(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """State at step 0."""
    copy = jax.tree.map(jnp.copy, params)
    return TrainState(jnp.zeros((), jnp.int32), params, copy, optimizer.init(params))


def apply_gradients(
    state: TrainState, grads: Params, optimizer: optax.GradientTransformation, ema_decay: float
) -> TrainState:
    """One step of the optimiser and one of the exponential moving average.

    Args:
        state: Before the step.
        grads: Of the loss by the trained parameters.
        optimizer: Made for them.
        ema_decay: Of the average, per step.
    """
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # A young average follows the parameters closely instead of keeping the initial ones.
    age = state.step.astype(jnp.float32)
    decay = jnp.minimum(ema_decay, (1.0 + age) / (10.0 + age))
    ema = optax.incremental_update(params, state.ema_params, 1.0 - decay)
    return TrainState(state.step + 1, params, ema, opt_state)


def ema_decay(half_life_images: float, batch_size: int) -> float:
    """Decay per step so that an update's weight halves after `half_life_images` examples."""
    return 0.5 ** (batch_size / half_life_images)
