"""The speed of a run, and the time that it waits for data."""

import contextlib
import time
from collections.abc import Iterator


class Throughput:
    """Counts time and input waits between two lines of the log.

    model_flops: of one step on all devices, with peak_flops of all devices together; None leaves
    the utilisation out.
    """

    def __init__(
        self, batch_size: int, model_flops: float | None = None, peak_flops: float | None = None
    ):
        self._batch_size, self._flops, self._peak = batch_size, model_flops, peak_flops
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
        """Wraps what is no training (validation), so that it does not count."""
        before = time.perf_counter()
        yield
        self._since += time.perf_counter() - before

    def rates(self, steps: int) -> dict[str, float]:
        """Of the `steps` since the last call.

        seconds_per_step, images_per_second; input_wait, the share of the time in which the
        devices had work for at most one more step and none was read yet; mfu, model FLOPs
        utilisation in 0..1.
        """
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        rates = {
            "seconds_per_step": elapsed / steps,
            "images_per_second": steps * self._batch_size / elapsed,
            "input_wait": self._input_seconds / elapsed,
        }
        if self._flops and self._peak:
            rates["mfu"] = steps * self._flops / elapsed / self._peak
        self._restart()
        return rates
