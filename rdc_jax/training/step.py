"""One step of training as one compiled function: loss, gradient, update."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rdc_jax.data.examples import REPLACED
from rdc_jax.training import optimizer as optimizers
from rdc_jax.training import state
from rdc_jax.training.tasks.codec_losses import Loss

STOP = "stop"
"""Name of an int32 [B] entry of a batch; the step returns its largest value as a metric.

In this way the processes of a run agree to stop after the same step without another exchange."""
COUNTS = (STOP, REPLACED)
"""Entries of a batch that the loss does not see. The step returns the sum of REPLACED, so the
count of unreadable images is that of all processes."""


def make_step(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
    *,
    accumulate: int = 1,
    shardings: Any = None,
    compiler_options: dict[str, str] | None = None,
) -> Callable:
    """The jitted train step (state, frozen, batch, key) -> (state, metrics); state is donated.

    Args:
        loss: To minimise.
        optimizer: Of the trained parameters.
        ema_decay: Of their moving average, per step.
        accumulate: Number of parts of a batch that are computed one after the other, with averaged
            gradients, for batches whose activations do not fit at once.
        shardings: Of the resulting state.
        compiler_options: Of XLA, beyond its defaults.
    """

    def train_step(train_state, frozen, batch, key):
        batch = dict(batch)
        stop, replaced = (batch.pop(name, None) for name in COUNTS)
        value, metrics, grads = mean_gradient(
            loss, train_state.params, frozen, batch, key, accumulate
        )
        new_state = state.apply_gradients(train_state, grads, optimizer, ema_decay)
        metrics = {"loss": value, "gradient_norm": optax.tree.norm(grads)} | metrics
        metrics |= optimizers.learning_rates(new_state.opt_state)
        if stop is not None:
            metrics[STOP] = jnp.max(stop)
        if replaced is not None:
            metrics[REPLACED] = jnp.sum(replaced, dtype=jnp.int32)
        return new_state, metrics

    return jax.jit(
        train_step,
        donate_argnums=0,
        out_shardings=(shardings, None),
        compiler_options=compiler_options,
    )


def mean_gradient(
    loss: Loss,
    params: Any,
    frozen: Any,
    batch: Mapping[str, jax.Array],
    key: jax.Array,
    accumulate: int,
) -> tuple[jax.Array, dict[str, jax.Array], Any]:
    """Loss, metrics and gradient, averaged over parts of the batch.

    Args:
        loss: To differentiate.
        params: Trained parameters.
        frozen: Other parameters.
        batch: Entries [B,...].
        key: Of the loss.
        accumulate: Number of parts.
    """
    gradient = jax.value_and_grad(loss, has_aux=True)
    if accumulate == 1:
        (value, metrics), grads = gradient(params, frozen, batch, key)
        return value, metrics, grads

    def parts(x):  # every part takes some examples of every device, so that none moves
        x = x.reshape(x.shape[0] // accumulate, accumulate, *x.shape[1:])
        return jnp.swapaxes(x, 0, 1)

    def add_part(total, part):
        number, examples = part
        (value, metrics), grads = gradient(
            params, frozen, examples, jax.random.fold_in(key, number)
        )
        return jax.tree.map(jnp.add, total, (value, metrics, grads)), None

    numbered = (jnp.arange(accumulate), jax.tree.map(parts, dict(batch)))
    first = jax.tree.map(lambda x: x[0], numbered[1])
    (value, metrics), grads = jax.eval_shape(gradient, params, frozen, first, key)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (value, metrics, grads))
    total, _ = jax.lax.scan(add_part, zeros, numbered)
    return jax.tree.map(lambda x: x / accumulate, total)
