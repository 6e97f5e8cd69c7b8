"""The validation of a run: images of held-out crops, compared with a reference at equal rate.

Cheap metrics are measured every `training.sample_every` steps, all metrics every
`training.judge_every` steps and at the end.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import judges
from rdc_jax.training.metric_writer import MetricWriter
from rdc_jax.training.tasks.task import Task
from rdc_jax.training.validation import measuring, reference_curve

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


def judged(training: ml_collections.ConfigDict, step: int) -> bool:
    """Whether the validation after this step includes the expensive metrics."""
    every = training.get("judge_every", ONLY_AT_THE_END)
    if step == training.total_steps:
        return every != NEVER
    return every > 0 and step % every == 0


class RunValidation:
    """The validation of one run; keeps values that do not change between its calls.

    Says on standard error, once, which metrics are not available. Raises RdcError for settings
    that do not fit, and when the reference cannot be loaded.
    """

    def __init__(self, task: Task, crops: np.ndarray):
        config = task.config
        self._training, self._crops = config.training, crops
        self._decoder = task.decoder
        self._reference = reference_curve.named_by(config, crops)
        self._known: Mapping[tuple, Mapping[str, float]] = {}
        names = judges.CHEAP
        if config.training.get("judge_every", ONLY_AT_THE_END) != NEVER:
            names += judges.EXPENSIVE
        self._judges, missing = judges.make(names)
        for name, reason in missing.items():
            print(f"rdc: validation without {name}: {reason}", file=sys.stderr)

    def __call__(
        self, params: Mapping[str, Any], step: int, go_on: Callable[[], bool] = lambda: True
    ) -> tuple[dict[str, float], np.ndarray] | None:
        """Scalars and a sheet of images, uint8 [H,W,3]; None once `go_on()` is False.

        Args:
            params: Host arrays of all parts of the run.
            step: Number of steps done.
            go_on: Asked before every image, which may take seconds.
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
        found = measuring.run(self._decoder, params, self._crops, chosen, self._known, go_on)
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
