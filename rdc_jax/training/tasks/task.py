"""The interface between a kind of training and the loop: all that the loop knows of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks.codec_losses import Loss
from rdc_jax.training.tasks.decoders import Decoder

Monitor = Callable[[Any, Any, Mapping[str, jax.Array], jax.Array], dict[str, jax.Array]]
"""(trained, frozen, batch, key) -> scalars."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One stage of training, made once per run by `selection.task_for`.

    Attributes:
        config: The run's config; its `model` section describes `networks`.
        networks: The codec's networks in float32. The step computes with
            `program.training_networks` instead.
        trained: Parts of the parameters that the stage trains.
        unused: Frozen parts that the loss does not use. They stay in the hosts' memory, for
            validation and the export.
        takes_latents: Whether encoded latents (data.kind=latents) can stand for images.
        coarsest_stride: Latent pixels along a side per feature of the coarsest layer in the loss.
        initial_parameters: (crops) -> host arrays of all parts. crops: those of validation; the
            statistics of uint8 [N,H,W,3] crops are where a fresh codec starts.
        parameter_shapes: () -> the parameters, or their shapes where shapes can be had without.
        build_loss: (networks that the step computes with) -> loss.
        build_monitor: (networks) -> what each validation logs of a training batch, or None.
        build_decoder: (networks) -> decodes the images of validation.
        export: (folder, host arrays of all parts) writes the folder of the model or module.
    """

    config: ml_collections.ConfigDict
    networks: Networks
    trained: tuple[str, ...]
    takes_latents: bool
    coarsest_stride: int
    initial_parameters: Callable[[np.ndarray], dict[str, Any]]
    parameter_shapes: Callable[[], dict[str, Any]]
    build_loss: Callable[[Networks], Loss]
    build_monitor: Callable[[Networks], Monitor] | None
    build_decoder: Callable[[Networks], Decoder]
    export: Callable[[Path, Mapping[str, Any]], None]
    unused: tuple[str, ...] = ()

    @property
    def decoder(self) -> Decoder:
        """Decodes the images of validation in float32."""
        return self.build_decoder(self.networks)


def used_parameters(task: Task, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `params` that the loss of a task uses."""
    return {part: tree for part, tree in params.items() if part not in task.unused}


def split_parameters(
    trained: Sequence[str], params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of `params` that are trained, and the others, which are frozen."""
    learnt = {part: params[part] for part in trained if part in params}
    return learnt, {part: tree for part, tree in params.items() if part not in learnt}
