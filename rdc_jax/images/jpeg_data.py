"""Finds JPEG files whose compressed data do not fit their pixels.

libjpeg decodes such files without an error: it fills missing parts with grey, and Pillow hides its
warnings. But a decoder that has all its data ignores extra bytes in front of a marker, and a
decoder that lacks bytes does not. So decoding a changed copy tells whether data are missing, and
whether some are left over because the decoder lost its place.
"""

import io
import math
import re
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

MISSING, LEFT_OVER = "missing", "left over"
_SCAN, _END, _INTERVAL = 0xDA, 0xD9, 0xDD
_BASELINE = (0xC0, 0xC1)
_RESTARTS = range(0xD0, 0xD8)
_AFTER_A_SCAN = (*(0xC4, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE), *range(0xE0, 0xF0))
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
# Bits without a pattern. No byte is 255, which would begin a marker.
_EXTRA = bytes((37 * k * k + 101 * k + 29) % 251 for k in range(96))
_CUT = 64  # bytes left over that are reported; a few bytes of padding are harmless
_FLAT = 128  # value of what libjpeg fills in; rounding of colours may add 1


@dataclass
class _Scans:
    """The coded data of the first image.

    Attributes:
        ends: Where each piece of data ends, in front of a marker.
        baseline: Whether all data of a pixel are in one place, and not in several scans.
        in_order: Whether restart markers count 0, 1, ... 7, 0, ... and no other marker is between
        blocks: Number of blocks (MCU) of a baseline image.
        interval: Blocks between restart markers; 0 for no such markers.
    """

    ends: list[int] = field(default_factory=list)
    baseline: bool = False
    in_order: bool = True
    blocks: int = 0
    interval: int = 0

    def are_complete(self) -> bool:
        """Whether no restart marker is missing."""
        known = self.baseline and self.interval and self.blocks
        return self.in_order and (
            not known or len(self.ends) >= math.ceil(self.blocks / self.interval)
        )


def damage(data: bytes, pixels: np.ndarray) -> str | None:
    """Returns what is wrong with the compressed data of a JPEG file that decodes.

    Args:
        data: The file.
        pixels: uint8 [H,W,3] or [H,W], the file as decoded, not turned.

    Returns:
        MISSING if part of the image is not in the file, LEFT_OVER if data are left after the last
        pixel, which happens when data in the middle are damaged; else None.
    """
    scans = _scans(data)
    if scans is None or not scans.ends:
        return None
    if not scans.are_complete():
        return MISSING
    if not scans.baseline or _has_flat_block(pixels):
        longer, place = b"", 0
        for end in scans.ends:
            longer, place = longer + data[place:end] + _EXTRA, end
        if not _same(data, longer + data[place:], scans.baseline):
            return MISSING
    elif len(scans.ends) == 1:
        end = scans.ends[0]
        if _same(data, data[: end - _CUT] + data[end:], scans.baseline):
            return LEFT_OVER
    return None


def _has_flat_block(pixels: np.ndarray) -> bool:
    """Whether any block of 8 x 8 pixels is middle grey, as all blocks without data are."""
    one_each = pixels[min(4, pixels.shape[0] - 1) :: 8, min(4, pixels.shape[1] - 1) :: 8]
    flat = abs(one_each.astype(np.int16) - _FLAT) <= 1
    return bool((flat.all(axis=-1) if flat.ndim == 3 else flat).any())


def _same(data: bytes, changed: bytes, baseline: bool) -> bool:
    """Whether two files have equal pixels. Of baseline files, block means are compared."""
    images = []
    for file in (data, changed):
        try:
            with Image.open(io.BytesIO(file), formats=["JPEG"]) as image:
                if baseline:
                    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
                images.append(np.asarray(image))
        except (OSError, ValueError):  # `data` decodes, so the change did matter
            return False
    return np.array_equal(images[0], images[1])


def _scans(data: bytes) -> _Scans | None:
    """Finds the coded data of the first image; None if the file ends early."""
    found, place = _Scans(), 2
    while found.in_order and place + 2 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == 0xFF:  # a fill byte
            place += 1
            continue
        if kind == _END:
            return found
        if kind in _BASELINE:
            found.baseline, found.blocks = True, _number_of_blocks(data[place + 4 : place + 19])
        if kind == _INTERVAL:
            found.interval = int.from_bytes(data[place + 4 : place + 6], "big")
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if kind != _SCAN:
            continue
        number = 0
        while marker := _MARKER.search(data, place):
            found.ends.append(marker.start())
            code = data[marker.end() - 1]
            if code not in _RESTARTS:
                found.in_order &= code in _AFTER_A_SCAN
                place = marker.start()
                break
            found.in_order &= code == 0xD0 + number % 8
            number, place = number + 1, marker.end()
        else:
            return None
    return None if found.in_order else found


def _number_of_blocks(frame: bytes) -> int:
    """The number of blocks of an image, from the content of its frame header."""
    height, width = (int.from_bytes(frame[at : at + 2], "big") for at in (1, 3))
    factors = frame[7::3] if frame[5] > 1 else b"\x11"
    across, down = 8 * max(f >> 4 for f in factors), 8 * max(f & 15 for f in factors)
    return -(-width // max(1, across)) * -(-height // max(1, down))
