"""A file as far as its symbols are decoded, ready to become a picture at any tau.

    received = receive(codec, data)
    picture  = received.picture(codec, steps=1, tau=0.5)

Of a damaged file with tiles, what is left; `note` says what is not.
"""

import dataclasses
from typing import Any

import numpy as np

from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.codec.codec import Codec
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.decoding.opened_file import OpenFile, ReadOptions, open_file
from rdc_jax.entropy.latent_coding import CodedLatent
from rdc_jax.images import LoadedImage


@dataclasses.dataclass(frozen=True)
class Received:
    """See `receive`. parts: fields of a LoadedImage except pixels. note: "" for a whole file."""

    opened: OpenFile
    coded: CodedLatent
    parts: dict[str, Any]
    note: str

    @property
    def levels(self) -> np.ndarray:
        """uint8 [h,w], the importance level of each pixel of the latent."""
        known = self.opened.conditions
        return known.levels[: known.height, : known.width]

    def picture(self, codec: Codec, steps: int, tau: float | str) -> LoadedImage:
        """What `rdc decode` makes of the file, with alpha and profile. See `Codec.decode`."""
        opened = self.opened
        pixels = codec.reconstruct(
            opened.header, self.coded, opened.conditions, steps=steps, tau=tau, part=opened.part
        )
        return LoadedImage(pixels=pixels, **self.parts)


def receive(codec: Codec, data: bytes) -> Received:
    """The entropy stage of an `.rdc` file's bytes.

    Raises RdcError for one made by another model, and for damage, but that of tiles: those are
    filled in, as by `rdc decode --resilient`.
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
    return Received(opened, coded, parts_of(opened.reader, metadata=("icc",)), note)


def _note(opened: OpenFile) -> str:
    """What is missing; "" if it is neither a tile nor the end of the file."""
    said = []
    if opened.damaged:
        count = len(opened.damaged)
        verb = "is" if count == 1 else "are"
        said.append(f"{count} of {opened.damaged[0].count} tiles {verb} filled in")
    if opened.reader.lost_sections:
        said.append("what followed the tiles, such as alpha or a profile, is lost")
    return f"the file is damaged: {' and '.join(said)}" if said else ""
