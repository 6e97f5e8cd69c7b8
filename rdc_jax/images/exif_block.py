"""Fields of an EXIF block: one parser for what is read and for what is overwritten.

An EXIF block is a small TIFF file: directories of entries (tag, type, count, value). Values of more
than four bytes stand elsewhere in the block.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

IMAGE, PHOTO, INTEROPERABILITY = 0, 0x8769, 0xA005  # directories, by the tag that points to them
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_FRACTIONS = {5: "II", 10: "ii"}
_TEXT = 2
_MOST_VALUES = 1024  # of one field; none of the fields read here has more than a few


@dataclass(frozen=True)
class Field:
    """The value of a tag.

    Attributes:
        offset: Place of the value in the block.
        form: struct format of one number, two letters for a fraction, "s" for text.
        order: "<" or ">".
        count: How many numbers or characters there are.
    """

    offset: int
    form: str
    order: str
    count: int

    def numbers(self, block: bytes) -> tuple[float, ...]:
        """Returns the numbers; none for text or a damaged field."""
        if self.form == "s":
            return ()
        try:
            raw = struct.unpack_from(self.order + self.form * self.count, block, self.offset)
        except struct.error:
            return ()
        if len(self.form) == 1:
            return raw
        pairs = zip(raw[::2], raw[1::2], strict=True)
        return tuple(above / below if below else 0.0 for above, below in pairs)

    def text(self, block: bytes) -> str:
        """Returns the text without its final zero; "" for numbers."""
        if self.form != "s":
            return ""
        raw = block[self.offset : self.offset + self.count]
        return raw.split(b"\0")[0].decode("ascii", "replace")

    def set_to(self, block: bytearray, value: int) -> None:
        """Overwrites every number of the field."""
        one = (value,) if len(self.form) == 1 else (value, 1)
        struct.pack_into(self.order + self.form * self.count, block, self.offset, *one * self.count)


def fields(block: bytes, tag: int, directory: int = IMAGE) -> list[Field]:
    """Finds a tag in a directory of an EXIF block.

    Args:
        block: EXIF block that starts with its byte order mark.
        tag: Number of the tag.
        directory: IMAGE, PHOTO or INTEROPERABILITY.

    Returns:
        The fields of this tag with readable types: one at most, except in odd files.
    """
    order = _ORDERS.get(block[:4])
    if order is None:
        return []
    try:
        place = struct.unpack_from(f"{order}I", block, 4)[0]
        path = {IMAGE: (), PHOTO: (PHOTO,), INTEROPERABILITY: (PHOTO, INTEROPERABILITY)}[directory]
        for pointer in path:
            found = [f for t, f in _entries(block, order, place) if t == pointer]
            place = int(found[0].numbers(block)[0])
        return [field for found, field in _entries(block, order, place) if found == tag]
    except (struct.error, IndexError):
        return []


def _entries(block: bytes, order: str, directory: int) -> Iterator[tuple[int, Field]]:
    (entries,) = struct.unpack_from(f"{order}H", block, directory)
    for number in range(entries):
        entry = directory + 2 + 12 * number
        if entry + 12 > len(block):
            return
        tag, kind, count = struct.unpack_from(f"{order}HHI", block, entry)
        form = "s" if kind == _TEXT else _NUMBERS.get(kind) or _FRACTIONS.get(kind)
        if form is None or not 1 <= count <= _MOST_VALUES:
            continue
        size = count * struct.calcsize(order + form)
        offset = entry + 8
        if size > 4:
            (offset,) = struct.unpack_from(f"{order}I", block, entry + 8)
        if offset + size <= len(block):
            yield tag, Field(offset, form, order, count)
