"""The photos of the studio: an upload or the demo photo, ready to be encoded."""

import dataclasses
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.codec.metadata_sections import extras_of
from rdc_jax.demo import FOLDER as DEMO_FOLDER
from rdc_jax.images import LoadedImage, read_image
from rdc_jax.images.screen_content import looks_drawn

DRAWN = (
    "This looks like a drawing or a screenshot. The model was trained on photographs, so check the "
    "result: lossless WebP or PNG may be sharper and smaller."
)


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo.

    Attributes:
        image: The image with its alpha.
        extras: Alpha, profile and metadata as sections of its files.
        size: Bytes of its file.
        plain_sizes: Bytes of the `.rdc` file without a mask, by quality, as far as known.
    """

    image: LoadedImage
    extras: Mapping[int, bytes]
    size: int
    plain_sizes: dict[float, int] = dataclasses.field(default_factory=dict)

    def where_visible(self, mask: np.ndarray) -> np.ndarray:
        """The mask [H,W], set to 0 where the image is fully transparent."""
        alpha = self.image.alpha
        return mask if alpha is None else np.where(alpha > 0, mask, mask.dtype.type(0))

    def described(self) -> dict[str, Any]:
        """What the page needs to know; "note" says what was not kept and what may disappoint."""
        height, width = self.image.pixels.shape[:2]
        notes = [f"The file {note}." for note in self.image.notes]
        if looks_drawn(self.image.pixels):
            notes.append(DRAWN)
        return {
            "width": width,
            "height": height,
            "grey": self.image.grey,
            "alpha": self.image.alpha is not None,
            "bytes": self.size,
            "note": " ".join(notes),
        }


def read(data: bytes, name: str, max_pixels: int) -> Photo:
    """Reads a photo from the bytes of a file.

    Args:
        data: The file.
        name: Its name, for messages; "" if it is not known.
        max_pixels: Largest number of pixels.

    Raises:
        RdcError: As `read_image`.
    """
    upload = io.BytesIO(data)
    upload.name = name or "the photo"
    image = read_image(upload, max_pixels=max_pixels, keep_alpha=True)
    return Photo(image, extras_of(image), len(data))


def demo() -> Photo:
    """The photograph that comes with the package."""
    path = DEMO_FOLDER / "flower.png"
    image = read_image(path)
    return Photo(image, extras_of(image), path.stat().st_size)
