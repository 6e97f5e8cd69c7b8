"""Which task a config's stage is."""

import ml_collections

from rdc_jax.errors import RdcError
from rdc_jax.training.tasks import codec_task, fusion_task
from rdc_jax.training.tasks.task import Task

STAGES = (*codec_task.STAGES, *fusion_task.STAGES)


def task_for(config: ml_collections.ConfigDict) -> Task:
    """The task of a config's stage; loads the base codec of a fusion module.

    Raises RdcError naming the setting that does not fit.
    """
    if config.stage not in STAGES:
        raise RdcError(f"stage must be one of {', '.join(STAGES)}, not {config.stage!r}")
    kind = codec_task if config.stage in codec_task.STAGES else fusion_task
    return kind.make(config)
