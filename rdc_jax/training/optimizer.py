"""Muon for the kernels and Adam for everything else, or Adam for all.

Muon trains small models from scratch in a third of the steps (docs/training_history.md). Large
models are fine-tuned with Adam, as in their pretraining: to orthogonalise 866 M parameters would
cost every device as much arithmetic as several of its images.
"""

from collections.abc import Mapping
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from rdc_jax.errors import RdcError

KEPT_BY_ADAM = {"linear", "hyper_log2_step"}  # layers whose kernels Muon does not get


def learning_rate(peak: float, training: Mapping[str, Any]) -> optax.Schedule:
    """Linear warm-up, constant, then linear to zero over the last `decay_fraction` of the run.

    The rate is constant until the decay, so raising `total_steps` extends a run.
    """
    total, warmup = training["total_steps"], training["warmup_steps"]
    decay = max(1, round(total * training["decay_fraction"]))
    return optax.join_schedules(
        [
            optax.linear_schedule(peak / max(1, warmup), peak, warmup),
            optax.constant_schedule(peak),
            optax.linear_schedule(peak, 0.0, decay),
        ],
        [warmup, max(warmup, total - decay)],
    )


def muon_dimensions(params: Any) -> Any:
    """Kernels [..., c_in, c_out] as (everything else) x c_out matrices; None means Adam.

    Adam keeps biases and norms. It also keeps the autoencoder's linear paths, which start as a DCT
    and should not be whitened, and the hyper-latent's step, which Muon moves too slowly: 3 octaves
    in 10,000 updates.
    """

    def rule(path, leaf):
        names = [entry.key for entry in path]
        if leaf.ndim < 2 or names[-1] != "kernel" or KEPT_BY_ADAM & set(names):
            return None
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))

    return jax.tree.map_with_path(rule, params)


def build(training: Mapping[str, Any]) -> optax.GradientTransformation:
    """The optimiser of a config's `training` section. Raises RdcError for an unknown one."""
    adam_rate = learning_rate(training["adam_learning_rate"], training)
    if training["optimizer"] == "adam":
        update = optax.adam(adam_rate)
    elif training["optimizer"] == "muon":
        update = muon(
            learning_rate(training["muon_learning_rate"], training),
            adam_learning_rate=adam_rate,
            muon_weight_dimension_numbers=muon_dimensions,
        )
    else:
        raise RdcError(f"training.optimizer must be muon or adam, not {training['optimizer']!r}")
    return optax.chain(optax.clip_by_global_norm(training["gradient_clip"]), update)
