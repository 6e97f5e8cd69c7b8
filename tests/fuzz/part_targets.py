"""Targets of what a decoder may read alone: tiles, and the optional sections. TARGETS has all.

The input of `tiles` begins with five bytes, flags and a crop, and is a file from there on.
"""

import functools
import random
import struct
import zlib

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.codec import metadata_sections
from rdc_jax.decoding import concealment, opened_file
from rdc_jax.images import alpha_png, writing
from rdc_jax.images.image import LoadedImage
from tests.fuzz import mutations, targets
from tests.fuzz.targets import Target, files, model, model_names

MAX_PIXELS = 1 << 17  # of a file with tiles
RESILIENT, CROP = 1, 2
CHOICE_BYTES = 5
ROWS = 16  # of the latent that are asked for at once
EXTENSIONS = (".png", ".jpg", ".tif", ".webp")


def tiles(data: bytes) -> None:
    """The entropy stage of a file with tiles: strict or resilient, whole or a crop."""
    flags, *crop = (*data[:CHOICE_BYTES], 0, 0, 0, 0, 0)[:CHOICE_BYTES]
    file, told = data[CHOICE_BYTES:], []
    resilient, known = bool(flags & RESILIENT), {model(n)[0].model_id: n for n in model_names()}
    header = FileReader(file, max_pixels=MAX_PIXELS, cut_off=resilient).header
    loaded, entropy, f = model(known.get(header.model_id, "model"))
    how = opened_file.ReadOptions(
        max_pixels=opened_file.PIECE_SHARE * MAX_PIXELS,
        crop=crop_of(crop, header) if flags & CROP else None,
        resilient=resilient,
        on_damage=told.append,
    )
    opened = opened_file.open_file(file, loaded, how)
    read, area = opened.windows(entropy), opened.area
    left, right = area.left // f, -(-area.right // f)
    for top in range(area.top // f, -(-area.bottom // f), ROWS):
        bottom = min(top + ROWS, -(-area.bottom // f))
        for array in read(Window(top, bottom, left, right)):
            assert array.shape == (bottom - top, right - left, entropy.network.latent_channels)
            assert np.all(np.isfinite(array))
    assert resilient or not told
    shape = area.bottom - area.top, area.right - area.left, 3
    filled = concealment.filled(np.zeros(shape, np.uint8), area, opened.damaged)
    assert filled.shape == shape and opened.damaged == told


def crop_of(numbers: list[int], header: container.Header) -> opened_file.Crop:
    """Four bytes as a crop, mostly one that lies in the picture."""
    x, y = (
        n * size // 250 for n, size in zip(numbers, (header.width, header.height), strict=False)
    )
    width = 1 + numbers[2] * (header.width - x) // 256
    height = 1 + numbers[3] * (header.height - y) // 256
    return x, y, width, height


@functools.cache
def tiled_files() -> list[bytes]:
    names = ("tiles_region", "mean_scale_tiles", "tiles")
    choices = bytes(5), bytes([RESILIENT, 0, 0, 0, 0]), bytes([CROP, 120, 2, 128, 200])
    return [choice + files()[name][0] for name in names for choice in choices]


def change_tiles(data: bytes, random: random.Random, other: bytes) -> bytes:
    choice, file = bytearray(data[:CHOICE_BYTES]), data[CHOICE_BYTES:]
    choice[0] = random.randrange(4)
    choice[1:] = random.randbytes(4)
    if random.random() < 0.1:
        return bytes(choice) + mutations.change_file(file, random, other[CHOICE_BYTES:])
    header, sections = mutations.take_apart(file)
    payloads = dict(sections)
    index, parts = mutations.take_tiles_apart(payloads[SectionType.TILES])
    lent = mutations.take_tiles_apart(dict(mutations.take_apart(other[CHOICE_BYTES:])[1])[4])[1]
    for _ in range(random.choice((1, 1, 2))):
        change_tile(index, parts, lent, random)
    payload = mutations.put_tiles_together(index, parts)
    if random.random() < 0.1:
        payload = mutations.change(payload, random)
    if random.random() < 0.1:
        mutations.change_field(header, random)
    payloads[SectionType.TILES] = payload
    changed = mutations.put_together(header, list(payloads.items()))
    if random.random() < 0.15:
        changed = changed[: random.randrange(len(changed))]
    elif random.random() < 0.1:
        changed = mutations.change(changed, random)
    return bytes(choice) + changed


def change_tile(index: list, parts: list, lent: list, random: random.Random) -> None:
    """One change of the index or of one tile; `index` is made to fit streams that change."""
    kind, at = random.randrange(9), random.randrange(len(parts))
    tile = parts[at]
    stream = random.randrange(2)
    if kind <= 4:
        # The length of the stream that the index gives, and mostly the CRC, are made right.
        tile[stream] = mutations.change(tile[stream], random, random.choice(lent)[stream])
        index[1 + 2 * at + stream] = len(tile[stream])
        if kind:
            tile[2] = mutations.crc(tile[0] + tile[1])
    elif kind == 5:
        index[0] = random.choice((7, 8, 8, 9, 9, 10, 13, 14, random.randrange(256)))
    elif kind == 6:
        place = random.randrange(1, len(index))
        index[place] = random.choice((0, index[place] + 1, random.randrange(2**35), 2**35 - 1))
    elif kind == 7:
        other = random.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
        for number in (at, other):
            index[1 + 2 * number : 3 + 2 * number] = map(len, parts[number][:2])
    elif random.random() < 0.5:
        del parts[at], index[1 + 2 * at : 3 + 2 * at]
        if not parts:
            parts.append([b"", b"", mutations.crc(b"")])
            index += [0, 0]
    else:
        parts.insert(at, list(tile))
        index[1 + 2 * at : 1 + 2 * at] = map(len, tile[:2])


def extras(data: bytes) -> None:
    """All optional sections, read as `rdc decode` does, and written into a picture file."""
    reader = FileReader(data, max_pixels=targets.MAX_PIXELS)
    parts, header = metadata_sections.parts_of(reader), reader.header
    size = header.height, header.width
    alpha = parts["alpha"]
    assert alpha is None or (alpha.shape == size and alpha.dtype == np.uint8)
    for section in container.unpack(data, max_pixels=targets.MAX_PIXELS)[1]:
        metadata_sections.said_of(section)
    picture = LoadedImage(pixels=np.zeros((*size, 3), np.uint8), **parts)
    writing.image_bytes(picture, EXTENSIONS[len(data) % len(EXTENSIONS)])


@functools.cache
def files_with_extras() -> list[bytes]:
    seeds = [files()["extras"][0]]
    header, sections = mutations.take_apart(seeds[0])
    header[1:3] = 1, 1
    small = dict(sections) | {SectionType.ALPHA: alpha_png.encode(np.full((1, 1), 7, np.uint8))}
    return [*seeds, mutations.put_together(header, list(small.items()))]


def change_extras(data: bytes, random: random.Random, other: bytes) -> bytes:
    header, sections = mutations.take_apart(data)
    payloads = dict(sections)
    for _ in range(random.choice((1, 1, 2))):
        kind = random.randrange(8)
        if kind <= 3:
            payloads[0x81] = change_png(payloads[0x81], random)
        elif kind == 4:
            payloads[0x81] = mutations.change(payloads[0x81], random)
        elif kind == 5:
            size = random.choice((1, 2, header[1] + 1, header[2]))
            payloads[0x81] = alpha_png.encode(np.zeros((header[2], size), np.uint8))
        else:
            section = random.choice((0x82, 0x83, 0x84))
            payloads[section] = mutations.change(payloads[section], random, payloads[0x82])
    if random.random() < 0.1:
        mutations.change_field(header, random)
    return mutations.put_together(header, list(payloads.items()))


def change_png(png: bytes, random: random.Random) -> bytes:
    """One chunk changed, put in or left out, with right lengths and checksums."""
    chunks, at = [], 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return png
    place, kind = random.randrange(len(chunks)), random.randrange(6)
    name, content = chunks[place]
    if kind == 0:
        chunks[place] = name, mutations.change(content, random)
    elif kind == 1:
        side = random.choice((1, 2, 200, 2**13, 2**16, 2**20, 2**31 - 1))
        depth, colour = random.choice(((8, 0), (1, 0), (16, 0), (8, 2), (8, 3), (8, 6), (16, 6)))
        mode = depth, colour, 0, 0, random.randrange(2)
        chunks.insert(place, (b"IHDR", struct.pack(">II5B", side, random.choice((1, side)), *mode)))
    elif kind == 2:
        bomb = zlib.compress(bytes(random.choice((10**4, 10**6, 2 * 10**7))))
        prefix = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}
        new = random.choice((b"IDAT", b"zTXt", b"iCCP", b"iTXt", b"fdAT"))
        chunks.insert(place, (new, prefix.get(new, b"") + bomb))
    elif kind == 3:
        new = random.choice(
            (b"acTL", b"fcTL", b"tRNS", b"PLTE", b"pHYs", b"eXIf", b"gAMA", b"cHRM")
        )
        chunks.insert(place, (new, random.randbytes(random.choice((0, 1, 4, 8, 26, 768)))))
    elif kind == 4:
        packed = zlib.compress(random.randbytes(random.choice((0, 1, 50, 5000))))
        chunks = [(n, packed if n == b"IDAT" else c) for n, c in chunks]
    else:
        del chunks[place]
    joined = b"".join(
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    )
    return png[:8] + joined


TARGETS = targets.TARGETS | {
    "tiles": Target(tiles, tiled_files, change_tiles),
    "extras": Target(extras, files_with_extras, change_extras),
}
