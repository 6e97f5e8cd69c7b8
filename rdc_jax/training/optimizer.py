"""Muon for the kernels, Adam for everything else."""

from collections.abc import Mapping
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon


def learning_rate(peak: float, training: Mapping[str, Any]) -> optax.Schedule:
    """Linear warm-up, constant, then linear to zero over the last `decay_fraction` of the run.

    Constant until the end is announced, so a run can be extended by raising `total_steps`.
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

    Adam keeps biases, norms and the autoencoder's linear paths, which start as a DCT and are not
    to be whitened.
    """

    def rule(path, leaf):
        names = [entry.key for entry in path]
        if leaf.ndim < 2 or names[-1] != "kernel" or "linear" in names:
            return None
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))

    return jax.tree.map_with_path(rule, params)


def build(training: Mapping[str, Any]) -> optax.GradientTransformation:
    """The optimiser of a config's `training` section."""
    return optax.chain(
        optax.clip_by_global_norm(training["gradient_clip"]),
        muon(
            learning_rate(training["muon_learning_rate"], training),
            adam_learning_rate=learning_rate(training["adam_learning_rate"], training),
            muon_weight_dimension_numbers=muon_dimensions,
        ),
    )
