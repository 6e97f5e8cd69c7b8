"""Where an image file comes from: a path, standard input, or an open file."""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from rdc_jax.errors import RdcError


@dataclass(frozen=True)
class Source:
    """A file that can be read several times.

    Attributes:
        place: Its path, or its bytes.
        name: Its name for error messages, in quotes.
    """

    place: str | Path | bytes
    name: str

    def data(self) -> bytes:
        """Returns the whole file."""
        return self.place if isinstance(self.place, bytes) else Path(self.place).read_bytes()

    def opened(self) -> BinaryIO:
        """Opens the file for reading."""
        if isinstance(self.place, bytes):
            return io.BytesIO(self.place)
        return open(self.place, "rb")

    def start(self, length: int) -> bytes:
        """Returns the first bytes."""
        with self.opened() as file:
            return file.read(length)

    def image(self) -> ImageFile.ImageFile:
        """Opens the file with Pillow."""
        return Image.open(io.BytesIO(self.place) if isinstance(self.place, bytes) else self.place)


def source_of(path_or_file: str | Path | BinaryIO) -> Source:
    """Returns the source of what a user gives: a path, "-", or a file opened for reading bytes.

    Raises RdcError for anything else, a file open as text included, and if standard input is
    closed.
    """
    if str(path_or_file) == "-":
        if sys.stdin is None:
            raise RdcError("standard input is closed; name a file")
        return Source(sys.stdin.buffer.read(), "standard input")
    if isinstance(path_or_file, str | Path):
        name = f"'{path_or_file}'"
        if Path(path_or_file).exists() and not Path(path_or_file).is_file():
            return Source(Path(path_or_file).read_bytes(), name)  # a pipe can be read only once
        return Source(path_or_file, name)
    if not hasattr(path_or_file, "read"):
        raise RdcError(f"give the path of an image or an open file, not {path_or_file!r:.60}")
    name = f"'{getattr(path_or_file, 'name', 'the given file')}'"
    if isinstance(path_or_file, io.TextIOBase):
        raise RdcError(f"{name} is open as text; open it for reading bytes, with mode 'rb'")
    return Source(path_or_file.read(), name)
