"""Every PNG layout is read as a plain decoder reads it, and damage is told from oddities."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.images import image_bytes, read_image
from tests.images.files import P3, RGB, XMP, eight, exif, itxt, png, saved
from tests.images.png_files import chunk, written

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
LAYOUTS = [(depth, colour) for colour, depths in DEPTHS.items() for depth in depths]
HEIGHT, WIDTH = 9, 13


def decoded(samples, depth, colour, palette, key):
    """Colours uint8 [H,W,1 or 3] and alpha uint8 [H,W] or None, by the PNG specification alone.

    key: content of tRNS as numbers, or None.
    """
    most = 2**depth - 1
    if colour == 3:
        indices = samples[..., 0]
        plane = None
        if key is not None:
            plane = np.array([*key, *[255] * (2**depth - len(key))], np.uint8)[indices]
        return palette[indices], plane
    colours = samples[..., : 1 if colour in (0, 4) else 3]
    plane = None
    if colour in (4, 6):
        plane = np.rint(samples[..., -1] * 255 / most).astype(np.uint8)
    elif key is not None:
        hidden = (colours == np.array(key) % (most + 1)).all(axis=-1)
        plane = np.where(hidden, 0, 255).astype(np.uint8)
    return np.rint(colours * 255 / most).astype(np.uint8), plane


@pytest.mark.parametrize(("depth", "colour"), LAYOUTS)
def test_every_layout(depth, colour):
    rng = np.random.default_rng([depth, colour])
    shape = (HEIGHT, WIDTH, CHANNELS[colour])
    samples = rng.integers(0, 2**depth, shape)
    palette = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    for key, interlaced in itertools.product(keys(samples, depth, colour), (False, True)):
        chunks = []
        if colour == 3:
            chunks.append(chunk(b"PLTE", palette.tobytes()))
        if key is not None:
            content = bytes(key) if colour == 3 else struct.pack(f">{len(key)}H", *key)
            chunks.append(chunk(b"tRNS", content))
        file = written(samples, depth, colour, interlaced, *chunks)
        image = read_image(io.BytesIO(file), keep_alpha=True)
        colours, plane = decoded(samples, depth, colour, palette, key)
        plane = None if plane is None or plane.min() == 255 else plane
        np.testing.assert_array_equal(image.alpha, plane)
        seen = np.ones((HEIGHT, WIDTH), bool) if plane is None else plane > 0
        np.testing.assert_array_equal(image.pixels[seen], np.broadcast_to(
            colours, (HEIGHT, WIDTH, 3))[seen])  # fmt: skip
        if colour in (0, 2, 4, 6):
            assert image.grey == (colour in (0, 4))


def keys(samples, depth, colour):
    """Contents of tRNS: none, values in the image, values with high bits set, and unused ones."""
    yield None
    if colour == 3:
        yield from ([0], [255, 0], list(range(0, 250, 17))[: 2**depth])
    elif colour in (0, 2):
        first, last = samples[0, 0].tolist(), samples[-1, -1].tolist()
        yield from (first, last)
        if depth < 16:
            yield [value + 2**depth for value in last]


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt", b"tIME", b"abCd", b"gAMA", b"iCCP"])
def test_a_damaged_chunk_that_pixels_do_not_need(kind):
    content = {b"gAMA": bytes([0, 0, 177, 143]), b"iCCP": b"p\0\0" + zlib.compress(P3)}
    bad = chunk(kind, content.get(kind, b"Comment\0words"), damaged=True)
    file = written(RGB, 8, 2, False, bad)
    image = read_image(io.BytesIO(file), keep_alpha=True)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.icc is None
    noted = kind in (b"tEXt", b"iTXt", b"gAMA", b"iCCP")
    assert [kind.decode() in note for note in image.notes] == [True] * noted


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_a_damaged_chunk_that_pixels_need(kind):
    file = written(RGB, 8, 2, False, chunk(b"PLTE", bytes(6)), chunk(b"tRNS", bytes(6)))
    place = file.index(kind) + 4
    damaged = file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]
    with pytest.raises(RdcError, match=f"damaged image: wrong checksum in {kind.decode()}"):
        read_image(io.BytesIO(damaged))
    for cut in range(8, len(file) - 13, 7):  # a missing IEND harms nothing
        with pytest.raises(RdcError, match="is a damaged image"):
            read_image(io.BytesIO(file[:cut]))


@pytest.mark.parametrize("copies", [1, 13])
@pytest.mark.parametrize("kind", ["icc", "xmp", "xmp compressed", "xmp in zTXt"])
def test_large_profiles_and_texts(kind, copies):
    noise = np.random.default_rng(0).integers(97, 122, 1_300_000, np.uint8).tobytes()
    noise *= copies
    chunks = {
        "icc": (b"iCCP", b"p\0\0" + zlib.compress(noise)),
        "xmp": itxt(noise),
        "xmp compressed": (
            b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(noise)),
        "xmp in zTXt": (b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(noise)),
    }  # fmt: skip
    file = written(RGB, 8, 2, False, chunk(*chunks[kind]))
    image = read_image(io.BytesIO(file), keep_alpha=True)
    assert getattr(image, kind[:3]) == noise and image.notes == ()
    again = read_image(io.BytesIO(image_bytes(image, ".png")[0]), keep_alpha=True)
    assert getattr(again, kind[:3]) == noise


def test_a_decompression_bomb_is_ignored_with_a_note():
    bomb = zlib.compress(bytes(65 * 2**20), 1)
    image = read_image(io.BytesIO(written(RGB, 8, 2, False, chunk(b"iCCP", b"p\0\0" + bomb))))
    assert image.icc is None and "more than 64 MiB" in image.notes[0]


def test_profiles_that_older_programs_write_as_text():
    def raw(kind, content):
        text = f"\n{kind}\n{len(content):8}\n{content.hex()}\n".encode()
        return chunk(b"zTXt", f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(text))

    texts = (raw("exif", b"Exif\0\0" + exif(6)), raw("icc", P3), raw("xmp", XMP % 6))
    image = read_image(io.BytesIO(written(RGB, 8, 2, False, *texts)), keep_alpha=True)
    assert (image.icc, image.exif, image.xmp) == (P3, exif(1), XMP % 1)
    np.testing.assert_array_equal(image.pixels, RGB.swapaxes(0, 1)[:, ::-1])


def test_the_reference_decoder_agrees_with_the_writers_of_other_tests():
    wide = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    np.testing.assert_array_equal(read_image(io.BytesIO(png(wide))).pixels, eight(wide))
    np.testing.assert_array_equal(read_image(io.BytesIO(saved(RGB))).pixels, RGB)
