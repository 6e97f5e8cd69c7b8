"""A file's header, one section, or a part of one, without reading the rest.

`container.unpack` takes a whole file and checks all of it. A reader looks at the header and at
where the sections are, and reads and checks what it is asked for.
"""

from typing import BinaryIO, NamedTuple

from rdc_jax.bitstream import container
from rdc_jax.bitstream.framing import CRC_BYTES, BitstreamError, crc, damaged, truncated
from rdc_jax.bitstream.sections import SectionType, check_lengths, check_sections, section_place


class Place(NamedTuple):
    """Where a section is in a file: of its type byte, and of its payload's begin and end."""

    offset: int
    begin: int
    end: int


class FileReader:
    """An `.rdc` file, as bytes or opened for reading bytes.

    header: container.Header. places: dict from section type to Place. max_pixels: larger pictures
    are refused. cut_off: a file that ends within its section TILES is taken, too; what followed is
    lost. lost_sections: how many that is, without TILES; None for a whole file. Raises
    BitstreamError for a file whose header or list of sections is damaged.
    """

    def __init__(
        self,
        source: bytes | BinaryIO,
        *,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        cut_off: bool = False,
    ):
        if hasattr(source, "read") and not source.seekable():
            source = source.read()
        self._file = source if hasattr(source, "read") else None
        self._data = None if self._file else bytes(source)
        self.size = self._file.seek(0, 2) if self._file else len(self._data)
        start = self.read(0, container.MAX_HEADER_BYTES)
        self.header, count, position = container.read_header(start, max_pixels)
        types, self.places, self.lost_sections = [], {}, None
        for _ in range(count):
            start = self.read(position, container.MAX_FRAME_BYTES)
            kind, begin, end = container.read_frame(start, position)
            types.append(kind)
            self.places[kind] = Place(position, begin, end)
            if end + CRC_BYTES > self.size:
                if not (cut_off and kind == SectionType.TILES):
                    raise truncated(section_place(kind, position))
                position, self.lost_sections = self.size, count - len(types)
                break
            position = end + CRC_BYTES
        container.check_end(position, self.size)
        check_sections(types)
        sizes = [(kind, place.end - place.begin) for kind, place in self.places.items()]
        check_lengths(self.header.height, self.header.width, sizes)

    def read(self, offset: int, length: int) -> bytes:
        """That many of the file's bytes, or fewer where it ends before."""
        if self._file is None:
            return self._data[offset : offset + length]
        try:
            self._file.seek(offset)
            return self._file.read(min(length, max(0, self.size - offset)))
        except OSError as error:
            raise BitstreamError(f"the file cannot be read: {error.strerror or error}") from None

    def payload(self, kind: int) -> bytes:
        """The payload of a section that the file has; BitstreamError if its CRC is wrong."""
        offset, begin, end = self.places[kind]
        framed = self.read(offset, end + CRC_BYTES - offset)
        if framed[-CRC_BYTES:] != crc(framed[:-CRC_BYTES]):
            raise damaged(section_place(kind, offset), "CRC-32 mismatch")
        return framed[begin - offset : -CRC_BYTES]
