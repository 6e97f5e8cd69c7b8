"""Damaged and too large `.rdc` files: one line, or what is left of the picture and a note."""

import dataclasses

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.codec.metadata_sections import extras_of
from rdc_jax.images import LoadedImage


@pytest.fixture(scope="module")
def tiled(codec, pixels):
    """A file of 400 x 288 pixels in four tiles, with alpha behind them."""
    wide = np.tile(pixels, (4, 4, 1))
    alpha = np.full(wide.shape[:2], 200, np.uint8)
    return codec.encode(wide, resilient=True, extras=extras_of(LoadedImage(wide, alpha=alpha)))


def spoilt(data, kind, share):
    """The file with one bit changed in a section, that share of the way into it."""
    _, begin, end = FileReader(data).places[kind]
    spot = begin + int(share * (end - begin))
    return data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]


def test_damaged_tiles_are_filled_in_and_counted(client, counting, tiled):
    data = spoilt(tiled, SectionType.TILES, 0.9)
    opened = client.json("/open", data)
    assert opened["note"] == "the file is damaged: 1 of 4 tiles is filled in"
    assert opened["alpha"] is True and opened["bytes"] == len(data)
    found, _ = client.decoded(file=opened["file"], tau=0.0)
    damaged = []
    left = counting._codec.decode(data, resilient=True, on_damage=damaged.append, tau=0.0, steps=1)
    assert len(damaged) == 1 and np.array_equal(found, left)
    assert "TILES" in client.refused("/file", {"file": opened["file"]})
    assert client.json("/open", tiled)["note"] == ""


def test_a_file_that_ends_early_loses_what_followed(client, tiled):
    opened = client.json("/open", tiled[: FileReader(tiled).places[SectionType.TILES].end - 400])
    assert "filled in and the sections after the tiles" in opened["note"]
    assert opened["alpha"] is False
    assert client.decoded(file=opened["file"])[0].shape == (288, 400, 3)


def test_other_damage_is_one_line(client, codec, pixels, photo, tiled):
    whole = codec.encode(pixels, extras=extras_of(LoadedImage(pixels, alpha=pixels[..., 0])))
    for data, kinds in (
        (whole, (SectionType.IMPORTANCE, SectionType.LATENT, SectionType.ALPHA)),
        (tiled, (SectionType.IMPORTANCE, SectionType.ALPHA)),
    ):
        for kind in kinds:
            line = client.refused("/open", spoilt(data, kind, 0.5))
            assert kind.name in line and "CRC" in line
    header, sections = container.unpack(whole)
    swapped = [(s.type, b"no PNG" if s.type == SectionType.ALPHA else s.payload) for s in sections]
    assert "alpha plane is not a PNG" in client.refused("/open", container.pack(header, swapped))
    for cut in range(0, len(whole), 211):
        client.refused("/open", whole[:cut])
    assert client.json("/encode", {"photo": photo})["file"]  # goes on


def test_a_huge_image_is_refused_by_its_header(client, codec, pixels):
    header, sections = container.unpack(codec.encode(pixels))
    kept = [(s.type, s.payload) for s in sections]
    for side in (5000, container.MAX_SIDE):
        huge = container.pack(dataclasses.replace(header, width=side, height=side), kept)
        line = client.refused("/open", huge)
        assert f"{side} x {side} pixels, more than the studio's limit" in line
        assert "--max-pixels" not in line
