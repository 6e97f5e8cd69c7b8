"""Scalars to the terminal and to a JSON-lines file; images to PNG files.

Method names follow `clu.metric_writers`, which itself would import TensorFlow.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


class MetricWriter:
    """Appends to `workdir/metrics.jsonl`, one object per call; a silent one drops everything."""

    def __init__(self, workdir: str | Path, silent: bool = False):
        self._directory = Path(workdir)
        self._silent = silent
        if not silent:
            self._directory.mkdir(parents=True, exist_ok=True)
        path = os.devnull if silent else self._directory / "metrics.jsonl"
        self._file = open(path, "a", buffering=1)

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Records scalars and prints them on one line."""
        if self._silent:
            return
        values = {k: float(v) for k, v in scalars.items()}
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 1)} | values) + "\n")
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        print(f"step {step}  {text}", flush=True)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Writes uint8 [H,W,3] pictures to `workdir/pictures/<name>_<step>.png`."""
        if self._silent:
            return
        folder = self._directory / "pictures"
        folder.mkdir(exist_ok=True)
        for name, pixels in images.items():
            Image.fromarray(pixels).save(folder / f"{name}_{step:07d}.png")

    def close(self) -> None:
        self._file.close()
