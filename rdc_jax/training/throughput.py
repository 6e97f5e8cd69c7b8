"""The speed of a run, and the time that it waits for data."""

import contextlib
import time
from collections.abc import Iterator


class Throughput:
    """Counts time and input waits between two lines of the log."""

    def __init__(
        self,
        batch_size: int,
        begun: float | None = None,
        model_flops: float | None = None,
        peak_flops: float | None = None,
    ):
        """Starts to count.

        Args:
            batch_size: Images of a step.
            begun: `time.perf_counter()` when this process began with the run; None: now.
            model_flops: Of one step on all devices; None leaves the utilisation out.
            peak_flops: Of all devices together.
        """
        self._batch_size, self._flops, self._peak = batch_size, model_flops, peak_flops
        self._begun = time.perf_counter() if begun is None else begun
        self._productive = 0.0
        self._restart()

    def _restart(self) -> None:
        self._since, self._input_seconds = time.perf_counter(), 0.0

    @contextlib.contextmanager
    def waiting_for_input(self) -> Iterator[None]:
        """Wraps the wait for the next batch."""
        before = time.perf_counter()
        yield
        self._input_seconds += time.perf_counter() - before

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Wraps what is no training, such as a validation, so that it does not count."""
        before = time.perf_counter()
        yield
        self._since += time.perf_counter() - before

    def rates(self, steps: int) -> dict[str, float]:
        """Of the `steps` since the last call.

        seconds_per_step, images_per_second; input_wait, the share of the time in which the
        devices had work for at most one more step and none was read yet; goodput, the share of the
        time since the run began in this process that went into steps, without input waits; mfu,
        model FLOPs utilisation in 0..1.
        """
        now = time.perf_counter()
        elapsed = max(now - self._since, 1e-9)
        self._productive += max(elapsed - self._input_seconds, 0.0)
        rates = {
            "seconds_per_step": elapsed / steps,
            "images_per_second": steps * self._batch_size / elapsed,
            "input_wait": self._input_seconds / elapsed,
            "goodput": self._productive / max(now - self._begun, 1e-9),
        }
        if self._flops and self._peak:
            rates["mfu"] = steps * self._flops / elapsed / self._peak
        self._restart()
        return rates
