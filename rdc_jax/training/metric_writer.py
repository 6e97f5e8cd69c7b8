"""Writes scalars to the terminal and to a JSON-lines file, and images to PNG files.

Method names follow `clu.metric_writers`, which would import TensorFlow.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError


class MetricWriter:
    """Appends to `workdir/metrics.jsonl`, one object per call; a silent one drops everything.

    Raises RdcError when the disk is full.
    """

    def __init__(self, workdir: str | Path, silent: bool = False):
        self._directory = Path(workdir)
        self._silent = silent
        path = os.devnull if silent else self._directory / "metrics.jsonl"
        with self._disk_errors():
            if not silent:
                self._directory.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a", buffering=1)
            if not silent and _ends_within_a_line(path):  # the process that wrote it was killed
                self._file.write("\n")

    def write_scalars(
        self, step: int, scalars: Mapping[str, float], shown: str | None = None
    ) -> None:
        """Records scalars and prints them.

        Args:
            step: Steps done.
            scalars: By name.
            shown: Printed in place of one line with all scalars.
        """
        if self._silent:
            return
        values = {k: float(v) for k, v in scalars.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 1)} | values) + "\n"
        with self._disk_errors():
            self._file.write(line)
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        print(shown or f"step {step}  {text}", flush=True)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Writes uint8 [H,W,3] images to `workdir/pictures/<name>_<step>.png`."""
        if self._silent:
            return
        folder = self._directory / "pictures"
        with self._disk_errors():
            folder.mkdir(exist_ok=True)
            for name, pixels in images.items():
                Image.fromarray(pixels).save(folder / f"{name}_{step:07d}.png")

    def close(self) -> None:
        with self._disk_errors():
            self._file.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RdcError(
                f"cannot write to workdir {self._directory}: {error.strerror or error}; make room "
                "there or name another workdir"
            ) from error


def _ends_within_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
