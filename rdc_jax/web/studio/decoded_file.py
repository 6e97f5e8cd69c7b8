"""A file whose symbols are decoded, ready to become an image at any tau.

    decoded = decode_symbols(codec, data)
    image = decoded.image(codec, steps=1, tau=0.5)

Damaged tiles of a file are filled in; `note` lists them.
"""

import dataclasses
from typing import Any

import numpy as np

from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.codec.codec import Codec
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.decoding.opened_file import OpenFile, ReadOptions, open_file
from rdc_jax.entropy.coded_latent import CodedLatent
from rdc_jax.images import LoadedImage
from rdc_jax.progress import Progress


@dataclasses.dataclass(frozen=True)
class DecodedFile:
    """A file after entropy decoding; see `decode_symbols`.

    Attributes:
        opened: The open file.
        coded: The decoded latent.
        parts: The fields of the image without its pixels.
        note: What is missing in a damaged file; "" for a complete one.
    """

    opened: OpenFile
    coded: CodedLatent
    parts: dict[str, Any]
    note: str

    @property
    def levels(self) -> np.ndarray:
        """Importance level of each pixel of the latent, uint8 [h,w]."""
        known = self.opened.conditions
        return known.levels[: known.height, : known.width]

    def image(
        self, codec: Codec, steps: int, tau: float | str, progress: Progress = False
    ) -> LoadedImage:
        """The image as `rdc decode` writes it, with alpha and profile.

        Args:
            codec: The codec.
            steps: Sampler steps.
            tau: 0 (faithful) to 1 (realistic), or "roi".
            progress: As in `Codec.decode`.
        """
        opened = self.opened
        pixels = codec.reconstruct(
            opened.header,
            self.coded,
            opened.conditions,
            steps=steps,
            tau=tau,
            part=opened.part,
            progress=progress,
        )
        return LoadedImage(pixels=pixels, **self.parts)


def decode_symbols(codec: Codec, data: bytes) -> DecodedFile:
    """Runs the entropy stage of an `.rdc` file.

    Damaged tiles are filled in, as by `rdc decode --resilient`. Raises RdcError for other damage,
    and for a file of another model.
    """
    note = ""
    try:
        opened = open_file(data, codec.model)
        coded = opened.latent(codec.entropy)
    except BitstreamError as error:
        opened = open_file(
            data, codec.model, ReadOptions(resilient=True, on_damage=lambda tile: None)
        )
        if opened.tiles is None:
            raise
        coded = opened.latent(codec.entropy)
        note = _note(opened) or str(error)
    return DecodedFile(opened, coded, parts_of(opened.reader, metadata=("icc",)), note)


def _note(opened: OpenFile) -> str:
    """What is missing; "" if neither a tile nor the end of the file is damaged."""
    lost = []
    if opened.damaged:
        count = len(opened.damaged)
        verb = "is" if count == 1 else "are"
        lost.append(f"{count} of {opened.damaged[0].count} tiles {verb} filled in")
    if opened.reader.lost_sections:
        lost.append("the sections after the tiles, such as alpha or a profile, are lost")
    return f"the file is damaged: {' and '.join(lost)}" if lost else ""
