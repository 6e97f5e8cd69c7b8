"""Reading of single sections, or parts of them, without reading the rest of a file.

`container.unpack` takes a whole file and checks all of it. A `FileReader` reads only the header and
the positions of the sections, and later the sections that are requested.
"""

from typing import BinaryIO, NamedTuple

from rdc_jax.bitstream import container
from rdc_jax.bitstream.framing import CRC_BYTES, BitstreamError, crc, damaged, truncated
from rdc_jax.bitstream.sections import (
    MAX_FRAME_BYTES,
    SectionType,
    check_end,
    check_lengths,
    check_sections,
    read_frame,
    section_place,
)


class Place(NamedTuple):
    """Position of a section in a file: its type byte, and begin and end of its payload."""

    offset: int
    begin: int
    end: int


class FileReader:
    """An `.rdc` file whose sections are read on request.

    Attributes:
        size: Size of the file in bytes.
        header: The header of the file.
        places: Position of each section, by section type.
        lost_sections: Number of sections lost after a truncated section TILES; None for a whole
            file.
    """

    def __init__(
        self,
        source: bytes | BinaryIO,
        *,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        cut_off: bool = False,
    ):
        """Reads the header and the list of sections.

        Args:
            source: The bytes of the file, or a file opened for reading bytes.
            max_pixels: Files with more image pixels are refused.
            cut_off: True to accept a file that ends within its section TILES. The sections that
                followed are lost.

        Raises:
            BitstreamError: the header or the list of sections is damaged, or the image is too
                large.
        """
        self._file: BinaryIO | None = None
        self._data = b""
        if isinstance(source, bytes | bytearray | memoryview):
            self._data = bytes(source)
        elif source.seekable():
            self._file = source
        else:
            self._data = source.read()
        self.size = self._file.seek(0, 2) if self._file else len(self._data)
        start = self.read(0, container.MAX_HEADER_BYTES)
        self.header, count, position = container.read_header(start, max_pixels)
        types: list[int] = []
        self.places: dict[int, Place] = {}
        self.lost_sections: int | None = None
        for _ in range(count):
            start = self.read(position, MAX_FRAME_BYTES)
            kind, begin, end = read_frame(start, position)
            types.append(kind)
            self.places[kind] = Place(position, begin, end)
            if end + CRC_BYTES > self.size:
                if not (cut_off and kind == SectionType.TILES):
                    raise truncated(section_place(kind, position))
                position, self.lost_sections = self.size, count - len(types)
                break
            position = end + CRC_BYTES
        check_end(position, self.size)
        check_sections(types)
        sizes = [(kind, place.end - place.begin) for kind, place in self.places.items()]
        check_lengths(self.header.height, self.header.width, sizes)

    def read(self, offset: int, length: int) -> bytes:
        """Returns `length` bytes from position `offset`, or fewer at the end of the file."""
        if self._file is None:
            return self._data[offset : offset + length]
        try:
            self._file.seek(offset)
            return self._file.read(min(length, max(0, self.size - offset)))
        except OSError as error:
            raise BitstreamError(f"the file cannot be read: {error.strerror or error}") from None

    def payload(self, kind: int) -> bytes:
        """Returns the payload of an existing section. Raises BitstreamError for a wrong CRC."""
        offset, begin, end = self.places[kind]
        framed = self.read(offset, end + CRC_BYTES - offset)
        if framed[-CRC_BYTES:] != crc(framed[:-CRC_BYTES]):
            raise damaged(section_place(kind, offset), "CRC-32 mismatch")
        return framed[begin - offset : -CRC_BYTES]
