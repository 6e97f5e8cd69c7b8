"""Writes scalars to the terminal and to a JSON-lines file, and images to PNG files.

Method names follow `clu.metric_writers`, which would import TensorFlow.
"""

import contextlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.training import metrics_file


class MetricWriter:
    """Appends to `workdir/metrics.jsonl`, one object per call; a silent one drops everything.

    Raises RdcError when the disk is full, or the bucket does not answer.
    """

    def __init__(self, workdir: str | Path, silent: bool = False):
        self._directory = paths.of(workdir)
        with self._disk_errors():
            self._metrics = None if silent else metrics_file.open_metrics(self._directory)

    def write_scalars(
        self, step: int, scalars: Mapping[str, float], shown: str | None = None
    ) -> None:
        """Records scalars and prints them.

        Args:
            step: Steps done.
            scalars: By name.
            shown: Printed in place of one line with all scalars.
        """
        if self._metrics is None:
            return
        values = {k: float(v) for k, v in scalars.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 1)} | values)
        with self._disk_errors():
            self._metrics.append(line)
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        print(shown or f"step {step}  {text}", flush=True)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Writes uint8 [H,W,3] images to `workdir/pictures/<name>_<step>.png`."""
        if self._metrics is None:
            return
        folder = self._directory / "pictures"
        with self._disk_errors():
            folder.mkdir(exist_ok=True)
            for name, pixels in images.items():
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                (folder / f"{name}_{step:07d}.png").write_bytes(file.getvalue())

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Writes each text to `workdir/<name>.txt`, in place of an earlier one.

        Args:
            step: Steps done; ignored.
            texts: By name.
        """
        if self._metrics is None:
            return
        with self._disk_errors():
            for name, text in texts.items():
                (self._directory / f"{name}.txt").write_text(text + "\n", encoding="utf-8")

    def close(self) -> None:
        """Writes what is not written yet, which happens in a bucket only."""
        if self._metrics is not None:
            with self._disk_errors():
                self._metrics.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            with paths.errors(self._directory):
                yield
        except paths.RemoteError:
            raise
        except OSError as error:
            raise RdcError(
                f"cannot write to workdir {self._directory}: {paths.reason(error)}; make room "
                "there or name another workdir"
            ) from error
