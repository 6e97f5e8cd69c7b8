"""Means of metrics, as clu keeps them: a total and a count that stay on the devices.

    window = means.add(None, metrics)      after the first step
    window = means.add(window, metrics)    after each further one
    values = means.values(window)          waits for the devices

So a run that logs rarely holds one window, not the metrics of every step.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from clu import metrics as clu_metrics

Window = clu_metrics.Collection


def add(window: Window | None, metrics: Mapping[str, jax.Array]) -> Window:
    """The window with one more step.

    Args:
        window: The steps before; None for the first one.
        metrics: Scalars of the step; the same names in every step.
    """
    names = tuple(sorted(metrics))
    values = {name: metrics[name] for name in names}
    return _first(names)(values) if window is None else _further(names)(window, values)


def values(window: Window) -> dict[str, float]:
    """The mean of each metric."""
    means = jax.device_get(window).compute()  # with NumPy, which divides floats by counts
    return {name: float(mean) for name, mean in means.items()}


def mean(found: Sequence[float]) -> float:
    """The mean of a metric over the crops of a validation."""
    average = clu_metrics.Average.from_model_output(jnp.asarray(found, jnp.float32))
    return float(jax.device_get(average).compute())


@functools.cache
def _collection(names: tuple[str, ...]) -> type[Window]:
    averages = {name: clu_metrics.Average.from_output(name) for name in names}
    return clu_metrics.Collection.create(**averages)


@functools.cache
def _first(names: tuple[str, ...]):
    return jax.jit(lambda metrics: _collection(names).single_from_model_output(**metrics))


@functools.cache
def _further(names: tuple[str, ...]):
    first = _first(names)
    return jax.jit(lambda window, metrics: window.merge(first(metrics)))
