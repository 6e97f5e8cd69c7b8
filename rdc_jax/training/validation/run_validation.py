"""The validation of a run: images of held-out crops, compared with a reference at equal rate.

Cheap metrics are measured every `training.sample_every` steps, all metrics every
`training.judge_every` steps and at the end.
"""

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import judges
from rdc_jax.training import program
from rdc_jax.training.metric_writer import MetricWriter
from rdc_jax.training.tasks import decoders
from rdc_jax.training.tasks.task import Task
from rdc_jax.training.validation import measuring, on_mesh, one_step, reference_curve

ONLY_AT_THE_END, NEVER = 0, -1  # values of training.judge_every


def check_cadence(training: ml_collections.ConfigDict) -> None:
    """Raises RdcError unless training.judge_every is a multiple of training.sample_every."""
    every, sampled = training.get("judge_every", ONLY_AT_THE_END), training.sample_every
    if every > 0 and sampled == 0:
        raise RdcError(f"training.judge_every {every} needs training.sample_every, which is 0")
    if every < NEVER or (every > 0 and every % sampled):
        raise RdcError(
            "training.judge_every must be a multiple of training.sample_every "
            f"{sampled}, 0 (only at the end) or -1 (never), not {every}"
        )


def validates(config: ml_collections.ConfigDict) -> bool:
    """Whether a run has images to validate on, and steps at which it does."""
    return config.data.held_out > 0 and config.training.sample_every > 0


def judged(training: ml_collections.ConfigDict, step: int) -> bool:
    """Whether the validation after this step includes the expensive metrics."""
    every = training.get("judge_every", ONLY_AT_THE_END)
    if step == training.total_steps:
        return every != NEVER
    return every > 0 and step % every == 0


class RunValidation:
    """The validation of one run; keeps values that do not change between its calls.

    All devices of the run decode. The first process alone measures the images, and it alone says on
    standard error, once, which metrics are not available. Raises RdcError for settings that do not
    fit, and when the reference cannot be loaded.
    """

    def __init__(self, task: Task, crops: np.ndarray, mesh: Mesh):
        config = task.config
        self._training, self._crops, self._mesh = config.training, crops, mesh
        networks = program.validation_networks(config.training, task.networks)
        self._decoder = task.build_decoder(networks)
        self._known: Mapping[tuple, Mapping[str, float]] = {}
        self._is_first = jax.process_index() == 0
        if not self._is_first:
            return
        self._reference = reference_curve.named_by(config, crops)
        names = judges.CHEAP
        if config.training.get("judge_every", ONLY_AT_THE_END) != NEVER:
            names += judges.EXPENSIVE
        self._judges, missing = judges.make(names)
        for name, reason in missing.items():
            print(f"rdc: validation without {name}: {reason}", file=sys.stderr)
        self._check_best(config.training.get("keep_best", ""))

    def _check_best(self, best: str) -> None:
        """Raises RdcError unless training.keep_best is empty or will be measured."""
        source = "" if self._crops.dtype == np.uint8 else "_ae"
        views = self._decoder.views
        names = [f"{metric}{source}{view}" for metric in self._judges for view in views]
        scalars = [f"{name}@{timestep}" for name in names for timestep in measuring.TIMESTEPS]
        if self._reference:
            prefixes = (reference_curve.BD_RATE, reference_curve.EQUAL_RATE)
            compared = [v for v in views if v in reference_curve.COMPARED_VIEWS]
            scalars += [f"{p}{m}{v}" for p in prefixes for m in self._judges for v in compared]
        if best and best not in scalars:
            close = difflib.get_close_matches(best, scalars, n=3, cutoff=0.0)
            raise RdcError(
                f"training.keep_best={best} is not measured by this run; choose a scalar of its "
                f"validation, such as {', '.join(close)}"
            )

    def __call__(
        self, params: Mapping[str, Any], step: int, go_on: Callable[[], bool] = lambda: True
    ) -> tuple[dict[str, float], np.ndarray] | None:
        """Scalars and a sheet of images, uint8 [H,W,3], in the first process.

        Every process of the run must call it. The others, and the first once `go_on()` is False,
        get None.

        Args:
            params: All parts of the run, global arrays.
            step: Number of steps done.
            go_on: Asked before every image, which may take seconds.
        """
        decoded = on_mesh.decode(
            self._decoder,
            self._mesh,
            decoders.used(self._decoder, params),
            self._crops,
            measuring.seeds_of(self._crops),
            np.array(measuring.TIMESTEPS, np.int32),
        )
        if jax.process_count() > 1:  # the others take part to the end, whatever the first decides
            decoded = list(decoded)
        return self._measured(decoded, step, go_on) if self._is_first else None

    def _measured(
        self, decoded: Iterable[one_step.Shown], step: int, go_on: Callable[[], bool]
    ) -> tuple[dict[str, float], np.ndarray] | None:
        """The result of a validation, in the first process.

        Args:
            decoded: The images of each crop.
            step: Number of steps done.
            go_on: Asked before every image.
        """
        chosen = self._judges
        if not judged(self._training, step):
            chosen = {name: chosen[name] for name in judges.CHEAP if name in chosen}
        reference = {}
        if self._reference:
            reference = reference_curve.stored(self._reference, chosen)
            if reference is None:
                found = reference_curve.measure(
                    self._reference, self._crops, chosen, self._known, go_on
                )
                if found is None:
                    return None
                reference, self._known = found.scalars, found.known
        of_latents = self._crops.dtype != np.uint8
        found = measuring.run(self._decoder.views, decoded, of_latents, chosen, self._known, go_on)
        if found is None:
            return None
        self._known = found.known
        return found.scalars | reference_curve.differences(reference, found.scalars), found.sheet


def write(
    writer: MetricWriter,
    step: int,
    seen: dict[str, float],
    scalars: dict[str, float],
    sheet: np.ndarray,
) -> None:
    """Writes the result of a validation, on the terminal as a table.

    Args:
        writer: Of the run.
        step: Number of steps done.
        seen: Further scalars.
        scalars: Of the validation.
        sheet: Of the validation.
    """
    columns = reference_curve.BD_RATE, reference_curve.EQUAL_RATE
    table = measuring.as_table(scalars, columns)
    writer.write_scalars(step, seen | scalars, shown=f"validation after step {step}\n{table}")
    writer.write_images(step, {"validation": sheet})
