"""Means of metrics, as clu keeps them: a total and a count for each.

Those of training steps stay on the devices until the log takes them. So a run that logs rarely
holds one total per metric, not the metrics of every step.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from clu import metrics as clu_metrics


class StepMeans:
    """Means over the steps since they were last taken."""

    def __init__(self):
        self._steps, self._collection = 0, None

    def add(self, metrics: Mapping[str, jax.Array]) -> None:
        """Adds the scalars of a step, the same names in every step; waits for nothing."""
        further = _merge(tuple(sorted(metrics)))
        self._collection = further(self._collection, dict(metrics))
        self._steps += 1

    def take(self) -> tuple[int, dict[str, float]]:
        """The number of steps and the mean of each metric; then starts anew."""
        steps, found = self._steps, jax.device_get(self._collection)
        self._steps, self._collection = 0, None
        if found is None:
            return 0, {}
        return steps, {name: float(mean) for name, mean in found.compute().items()}


def mean(found: Sequence[float]) -> float:
    """The mean of a metric over the crops of a validation."""
    average = clu_metrics.Average.from_model_output(jnp.asarray(found, jnp.float32))
    return float(jax.device_get(average).compute())


@functools.cache
def _merge(names: tuple[str, ...]) -> Callable:
    """The compiled function (collection or None, metrics) -> collection."""
    averages = {name: clu_metrics.Average.from_output(name) for name in names}
    kind = clu_metrics.Collection.create(**averages)

    @jax.jit
    def merge(collection, metrics):
        one = kind.single_from_model_output(**metrics)
        return one if collection is None else collection.merge(one)

    return merge
