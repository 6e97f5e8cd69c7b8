"""Where the numbers, images and texts of a run go: its workdir, and TensorBoard if wanted.

All writers have the methods of `clu.metric_writers.MetricWriter` that a run uses. The package of
that name would import TensorFlow. TensorBoard's files are written by tensorboardX instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.training.metric_writer import MetricWriter

FOLDER = "tensorboard"  # in the workdir


class TensorBoardWriter:
    """Writes `workdir/tensorboard`, for `tensorboard --logdir`.

    Raises RdcError if tensorboardX is not installed, or the folder cannot be written.
    """

    def __init__(self, workdir: str):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise RdcError(
                "training.tensorboard needs tensorboardX: pip install tensorboardX"
            ) from error
        folder = paths.of(workdir) / FOLDER
        if not paths.is_remote(workdir):
            folder.mkdir(parents=True, exist_ok=True)
        elif not str(workdir).startswith(("gs://", "s3://")):
            raise RdcError(
                f"training.tensorboard cannot write to {folder}; name a local workdir, or one in "
                "gs:// or s3://"
            )
        self._writer = SummaryWriter(str(folder))

    def write_scalars(
        self, step: int, scalars: Mapping[str, float], shown: str | None = None
    ) -> None:
        """Records scalars. "psnr@400" becomes "psnr/400", which TensorBoard groups.

        Args:
            step: Steps done.
            scalars: By name.
            shown: For the terminal, which this writer leaves alone.
        """
        for name, value in scalars.items():
            self._writer.add_scalar(name.replace("@", "/"), float(value), step)
        self._writer.flush()

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Records uint8 [H,W,3] images."""
        for name, pixels in images.items():
            self._writer.add_image(name, pixels, step, dataformats="HWC")

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Records texts, in a fixed-width font."""
        for name, text in texts.items():
            indented = "\n".join(f"    {line}" for line in text.splitlines())
            self._writer.add_text(name, indented, step)

    def close(self) -> None:
        """Writes what is not written yet."""
        self._writer.close()


class MultiWriter:
    """Hands everything to several writers."""

    def __init__(self, writers: Sequence[Any]):
        self._writers = writers

    def write_scalars(
        self, step: int, scalars: Mapping[str, float], shown: str | None = None
    ) -> None:
        """See `MetricWriter.write_scalars`."""
        for writer in self._writers:
            writer.write_scalars(step, scalars, shown)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """See `MetricWriter.write_images`."""
        for writer in self._writers:
            writer.write_images(step, images)

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """See `MetricWriter.write_texts`."""
        for writer in self._writers:
            writer.write_texts(step, texts)

    def close(self) -> None:
        """Closes all writers."""
        for writer in self._writers:
            writer.close()


def open_writers(config: ml_collections.ConfigDict, silent: bool = False) -> MultiWriter:
    """The writers of a run.

    Args:
        config: Of the run.
        silent: Whether nothing is written, as in all processes but the first.

    Raises:
        RdcError: a writer cannot be opened.
    """
    writers: list[Any] = [MetricWriter(config.workdir, silent)]
    if config.training.tensorboard and not silent:
        writers.append(TensorBoardWriter(config.workdir))
    return MultiWriter(writers)
