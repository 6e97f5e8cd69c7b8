"""The colour code points (nclx) of AVIF and HEIC files, which Pillow does not report.

Both are ISO base media files (ISO/IEC 14496-12 and 23008-12): boxes in boxes. The properties of all
items stand in one list, and another box says which of them belong to which item.
"""

import struct
from collections.abc import Iterator

_Box = tuple[bytes, int, int]  # type, first and last + 1 byte of the content


def code_points(data: bytes) -> tuple[int, int] | None:
    """Returns primaries and transfer characteristics of the main image.

    Args:
        data: The file.

    Returns:
        Code points of ITU-T H.273, or None if the file has none or is damaged.
    """
    try:
        return _code_points(data)
    except (struct.error, IndexError, StopIteration):
        return None


def _code_points(data: bytes) -> tuple[int, int] | None:
    meta = _child(data, (b"", 0, len(data)), b"meta")
    within = b"meta", meta[1] + 4, meta[2]  # after version and flags
    main = _item_id(data, _child(data, within, b"pitm"))
    described = _child(data, within, b"iprp")
    properties = list(_boxes(data, *_child(data, described, b"ipco")[1:]))
    colours = {
        number: struct.unpack_from(">HH", data, start + 4)
        for number, (kind, start, _) in enumerate(properties, 1)
        if kind == b"colr" and data[start : start + 4] == b"nclx"
    }
    for kind, start, _ in _boxes(data, *described[1:]):
        if kind == b"ipma":
            for item, numbers in _associations(data, start):
                if item == main:
                    for number in colours.keys() & numbers:
                        return colours[number]
    return next(iter(colours.values()), None)  # of the tiles that a grid consists of


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        last = end if size == 0 else start + size
        if last < content or last > end:
            return
        yield kind, content, last
        start = last


def _child(data: bytes, parent: _Box, kind: bytes) -> _Box:
    return next(box for box in _boxes(data, *parent[1:]) if box[0] == kind)


def _item_id(data: bytes, box: _Box) -> int:
    return int(struct.unpack_from(">I" if data[box[1]] else ">H", data, box[1] + 4)[0])


def _associations(data: bytes, start: int) -> Iterator[tuple[int, set[int]]]:
    """Yields each item's number and the numbers of its properties, from 1."""
    version, wide = data[start], data[start + 3] & 1
    (count,) = struct.unpack_from(">I", data, start + 4)
    place = start + 8
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if version else ">H", data, place)
        place += 4 if version else 2
        many = data[place]
        form = f">{many}{'H' if wide else 'B'}"
        numbers = struct.unpack_from(form, data, place + 1)
        place += 1 + struct.calcsize(form)
        yield item, {number & (0x7FFF if wide else 0x7F) for number in numbers}
