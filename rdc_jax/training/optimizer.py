"""Muon for the kernels and Adam for everything else, or Adam for all.

Muon trains small models from scratch in a third of the steps (docs/training_history.md). Large
models are fine-tuned with Adam, as in their pretraining: to orthogonalise 866 M parameters would
cost every device as much arithmetic as several of its images.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import optax

from rdc_jax.errors import RdcError
from rdc_jax.training import muon

OPTIMIZERS = ("muon", "adam")
SCHEDULES = ("constant", "linear", "cosine")
KEPT_BY_ADAM = {"linear", "hyper_log2_step"}  # layers whose kernels Muon does not get


def learning_rate(peak: float, training: Mapping[str, Any]) -> optax.Schedule:
    """Linear warm-up to the peak, then the curve that `training.schedule` names, down to zero.

    constant: constant, then linear to zero over the last `decay_fraction` of the run. Raising
        `total_steps` before the decay extends a run.
    linear, cosine: fall from the warm-up to the end. `total_steps` belongs to the curve.
    """
    total, warmup = training["total_steps"], training["warmup_steps"]
    rise = optax.linear_schedule(peak / max(1, warmup), peak, warmup)
    falling = max(1, total - warmup)
    if training["schedule"] == "linear":
        return optax.join_schedules([rise, optax.linear_schedule(peak, 0.0, falling)], [warmup])
    if training["schedule"] == "cosine":
        return optax.join_schedules([rise, optax.cosine_decay_schedule(peak, falling)], [warmup])
    decay = max(1, round(total * training["decay_fraction"]))
    return optax.join_schedules(
        [rise, optax.constant_schedule(peak), optax.linear_schedule(peak, 0.0, decay)],
        [warmup, max(warmup, total - decay)],
    )


def choice(params: Any) -> Any:
    """ "muon" for kernels [...,c_in,c_out], "adam" for the other leaves.

    Adam keeps biases and norms. It also keeps the autoencoder's linear paths, which start as a DCT
    and should not be whitened, and the hyper-latent's step, which Muon moves too slowly: 3 octaves
    in 10,000 updates.
    """

    def of(path, leaf):
        names = [entry.key for entry in path]
        kernel = leaf.ndim >= 2 and names[-1] == "kernel"
        return "muon" if kernel and not KEPT_BY_ADAM & set(names) else "adam"

    return jax.tree.map_with_path(of, params)


def is_kernel(params: Any) -> Any:
    """True for the leaves that weight decay acts on: those of two or more axes."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def build(training: Mapping[str, Any]) -> optax.GradientTransformation:
    """The optimiser of a config's `training` section; its state holds the learning rates.

    Raises RdcError for an unknown one.
    """
    b1, b2 = training["adam_betas"]
    weight_decay = training["weight_decay"]

    def adam(adam_learning_rate):
        return optax.adamw(adam_learning_rate, b1, b2, weight_decay=weight_decay, mask=is_kernel)

    def muon_and_adam(muon_learning_rate, adam_learning_rate):
        by_muon = muon.muon(muon_learning_rate, training["muon_momentum"], weight_decay)
        by_adam = optax.adamw(adam_learning_rate, b1, b2, weight_decay=0.0, nesterov=True)
        return optax.partition({"muon": by_muon, "adam": by_adam}, choice)

    factories = {"adam": adam, "muon": muon_and_adam}
    if training["optimizer"] not in factories:
        raise RdcError(f"training.optimizer must be muon or adam, not {training['optimizer']!r}")
    factory = factories[training["optimizer"]]
    rates = {
        name: learning_rate(training[name], training)
        for name in inspect.signature(factory).parameters
    }
    update = optax.inject_hyperparams(factory)(**rates)
    return optax.chain(optax.clip_by_global_norm(training["gradient_clip"]), update)


def learning_rates(state: optax.OptState) -> dict[str, jax.Array]:
    """The learning rates of the last update, by the names of their settings.

    state: of an optimiser that `build` made; of another one, there are none.
    """
    return dict(optax.tree.get(state, "hyperparams", {}))
