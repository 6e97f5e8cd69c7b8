"""An image file whose pixels are decoded when a crop of them is needed, for training.

`read_image` returns all pixels of a file as an array. A training example needs one square of them.
For an ordinary JPEG or WebP file, `EncodedImage` lets Pillow decode the file, then cuts and scales
the square inside Pillow, so the other pixels are never copied. Every other file (PNG, CMYK,
transparency, unusual tone curves) goes through `read_image`. The results are equal, except that a
JPEG file may be decoded at half, a quarter or an eighth of its size (`draft`) where the square is
scaled down by more than DRAFT_GAP times that.
"""

import functools
import io

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import colour_profiles, metadata, orientation
from rdc_jax.images.reading import MAX_PIXELS, read_image

DRAFT_GAP = 2.0
"""A draft has at least this many times the pixels that are needed, along each side.

This is the default of Pillow's `Image.thumbnail`. In a trial with photographs, scaled crops had
53 dB against those of a full decode with 2.0, and 35 to 52 dB with 1.0.
"""
REDUCING_GAP = 3.0
"""Of `Image.resize`: beyond this scale, pixels are first averaged in whole blocks."""
FREED_BLOCKS = 16
"""Blocks of 16 MiB of decoded pixels that Pillow keeps for the next image, see `keep_memory`."""


class EncodedImage:
    """An image file before its pixels are decoded.

    Every call opens and decodes the file anew.

    Args:
        data: bytes of the file.
        name: Name of the file for error messages.
        draft: True to allow decoding at a reduced size where a square is scaled down.

    Attributes:
        height: Height of the upright image in pixels.
        width: Width of the upright image in pixels.

    Raises:
        RdcError: the file is not an image, damaged or too large.
    """

    def __init__(self, data: bytes, name: str, *, draft: bool = True):
        self._data, self._name, self._draft = data, name, draft
        self._turn = 1
        self._whole: np.ndarray | None = None  # of a file that `read_image` has to convert
        try:
            with self._open() as image:
                ordinary = _is_ordinary(image)
                self.width, self.height = image.size
                if ordinary:
                    held = metadata.of_file(image, image.info, [])
                    self._turn = orientation.orientation(held["exif"], held["xmp"])
        except Exception:  # `read_image` names the damage
            ordinary = False
        if not ordinary:
            self._whole = self._read()
            self.height, self.width = self._whole.shape[:2]
        elif self._turn >= 5:
            self.height, self.width = self.width, self.height

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3), as of the array of all pixels."""
        return self.height, self.width, 3

    def pixels(self) -> np.ndarray:
        """Decodes all pixels, uint8 [height, width, 3]. Raises RdcError for a damaged file."""
        return self._read() if self._whole is None else self._whole

    def square(self, top: int, left: int, side: int, size: int) -> Image.Image:
        """Decodes one square, scaled to `size`.

        Args:
            top: First row of the square in the upright image.
            left: First column of the square.
            side: Side of the square in pixels of the image.
            size: Side of the result in pixels.

        Returns:
            Image of mode RGB.

        Raises:
            RdcError: the file is damaged.
        """
        if self._whole is None:
            try:
                return self._square(top, left, side, size)
            except Exception:  # `read_image` names the damage
                self._whole = self._read()
        return array_square(self._whole, top, left, side, size)

    def _square(self, top: int, left: int, side: int, size: int) -> Image.Image:
        corner = _stored_corner(self._turn, top, left, side, (self.height, self.width))
        with self._open() as image:
            stored_width = image.width
            if self._draft and side > size:
                least = int(size * DRAFT_GAP / side * min(image.size))
                image.draft(None, (least, least))
            if image.width == stored_width:
                box = (*corner, corner[0] + side, corner[1] + side)
                piece = orientation.upright(image.crop(box).convert("RGB"), self._turn)
                return scaled(piece, size)
            # The corners of the square lie inside pixels of a draft, which `resize` respects.
            scale = image.width / stored_width
            start = [n * scale for n in corner]
            end = [min((n + side) * scale, m) for n, m in zip(corner, image.size, strict=True)]
            small = scaled(image.convert("RGB"), size, (start[0], start[1], end[0], end[1]))
            return orientation.upright(small, self._turn)

    def _open(self) -> Image.Image:
        return Image.open(io.BytesIO(self._data))

    def _read(self) -> np.ndarray:
        file = io.BytesIO(self._data)
        file.name = self._name
        return read_image(file).pixels


def array_square(pixels: np.ndarray, top: int, left: int, side: int, size: int) -> Image.Image:
    """Cuts a square from decoded pixels and scales it, see `EncodedImage.square`.

    Args:
        pixels: uint8 [height, width, 3].
        top: First row of the square.
        left: First column of the square.
        side: Side of the square in pixels.
        size: Side of the result in pixels.

    Returns:
        Image of mode RGB.
    """
    box = pixels[top : top + side, left : left + side]
    return scaled(Image.fromarray(np.ascontiguousarray(box)), size)


def scaled(
    square: Image.Image, size: int, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Scales a square image: Lanczos when it becomes smaller, bicubic when it becomes larger.

    Args:
        square: Image of mode RGB.
        size: Side of the result in pixels.
        box: (left, top, right, bottom) of the square inside `square`; None for all of it.
    """
    side = square.width if box is None else box[2] - box[0]
    if side == size:
        return square
    kernel = Image.Resampling.LANCZOS if side > size else Image.Resampling.BICUBIC
    return square.resize((size, size), kernel, box, reducing_gap=REDUCING_GAP)


def keep_memory() -> None:
    """Makes Pillow keep some memory of freed images for the next one, in this process.

    By default Pillow returns it to the system. Clearing new pages then takes nearly half of the
    time that a photo of 12 megapixels takes to decode.
    """
    Image.core.set_blocks_max(FREED_BLOCKS)


def _is_ordinary(image: Image.Image) -> bool:
    """Returns True if `read_image` would not change the decoded values, except by turning them.

    Raises RdcError for an image that is too large.
    """
    if image.width * image.height > MAX_PIXELS:
        raise RdcError(f"an image of {image.width} x {image.height} pixels is too large")
    profile = image.info.get("icc_profile")
    return (
        image.format in ("JPEG", "MPO", "WEBP")
        and image.mode in ("RGB", "L")
        and not image.has_transparency_data
        and not (profile and _has_unusual_tones(profile))
    )


@functools.lru_cache(64)  # the photos of a set share a few profiles
def _has_unusual_tones(profile: bytes) -> bool:
    return colour_profiles.unusual_tones(profile)


def _stored_corner(
    turn: int, top: int, left: int, side: int, shape: tuple[int, int]
) -> tuple[int, int]:
    """Returns (left, top) of a square in the stored image.

    Args:
        turn: EXIF orientation, 1 to 8.
        top: First row of the square in the upright image.
        left: First column.
        side: Side of the square.
        shape: (height, width) of the upright image.
    """
    bottom, right = shape[0] - top - side, shape[1] - left - side
    return {
        1: (left, top),
        2: (right, top),
        3: (right, bottom),
        4: (left, bottom),
        5: (top, left),
        6: (top, right),
        7: (bottom, right),
        8: (bottom, left),
    }[turn]
