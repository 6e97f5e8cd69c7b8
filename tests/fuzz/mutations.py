"""Random changes of bytes, and of `.rdc` files with checksums made right again.

A plain change of a file almost always ends at a CRC-32. `change_file` takes a file apart, changes a
field, a payload or the order of sections, and writes it with right lengths and checksums, whatever
the fields say, so that the stages behind the container are reached.
"""

import random
import struct
import zlib

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xA5, 0xFE, 0xFF)
FIELDS = struct.Struct("<8sBHHBIBB")  # model id .. tau, see docs/bitstream.md


def change(data: bytes, random: random.Random, other: bytes = b"") -> bytes:
    """One to four changes; `other` lends parts."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        kind = random.randrange(9)
        at = random.randrange(len(changed) + 1)
        if kind <= 1 and changed:
            changed[at % len(changed)] ^= 1 << random.randrange(8)
        elif kind == 2 and changed:
            changed[at % len(changed)] = random.choice(INTERESTING)
        elif kind == 3:
            changed[at:at] = random.randbytes(random.choice((1, 1, 2, 4, 9)))
        elif kind == 4:
            del changed[at : at + random.choice((1, 1, 2, 4, 9))]
        elif kind == 5:
            del changed[at:]
        elif kind == 6:
            changed[at : at + 8] = random.randbytes(8)
        elif kind == 7 and other:
            begin = random.randrange(len(other))
            changed[at : at + 16] = other[begin : begin + random.randrange(1, 64)]
        else:
            part = changed[at : at + random.randrange(1, 12)]
            changed[at:at] = part * random.choice((1, 2, 7))
    return bytes(changed)


def varint(value: int) -> bytes:
    output = bytearray()
    while value >= 128:
        output.append(value & 127 | 128)
        value >>= 7
    return bytes([*output, value])


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = place = 0
    while data[at] >= 128:
        value |= (data[at] & 127) << place
        place, at = place + 7, at + 1
    return value | data[at] << place, at + 1


def take_apart(data: bytes) -> tuple[list, list[tuple[int, bytes]]]:
    """[version, width, height, fields..] and (type, payload) of each section of a sound file."""
    width, at = read_varint(data, 6)
    height, at = read_varint(data, at)
    header = [data[4], width, height, *FIELDS.unpack_from(data, at)]
    at += FIELDS.size + 4
    sections = []
    while at < len(data):
        length, begin = read_varint(data, at + 1)
        sections.append((data[at], data[begin : begin + length]))
        at = begin + length + 4
    return header, sections


def put_together(header: list, sections: list[tuple[int, bytes]]) -> bytes:
    """The file, with right lengths and checksums and without any other check."""
    version, width, height, *fields = header
    output = b"\x9dRDC" + bytes([version, len(sections) & 255]) + varint(width) + varint(height)
    output += FIELDS.pack(*fields)
    output += crc(output)
    for kind, payload in sections:
        framed = bytes([kind]) + varint(len(payload)) + payload
        output += framed + crc(framed)
    return output


def take_tiles_apart(payload: bytes) -> tuple[list, list[list[bytes]]]:
    """([log2 side, numbers..], [[hyper-latent, latent, CRC], ..]) of a sound section TILES.

    The numbers are the streams' lengths as the index has them.
    """
    count, at = 0, 1
    lengths: list[int] = []
    while crc(payload[:at]) != payload[at : at + 4] or count % 2:
        number, at = read_varint(payload, at)
        lengths.append(number)
        count += 1
    at, tiles = at + 4, []
    for hyper, latent in zip(lengths[::2], lengths[1::2], strict=True):
        middle, end = at + hyper, at + hyper + latent
        tiles.append([payload[at:middle], payload[middle:end], payload[end : end + 4]])
        at = end + 4
    return [payload[0], *lengths], tiles


def put_tiles_together(index: list[int], tiles: list[list[bytes]]) -> bytes:
    """The payload with a right CRC of its index; those of the tiles are the third parts."""
    start = bytes([index[0]]) + b"".join(map(varint, index[1:]))
    return start + crc(start) + b"".join(b"".join(tile) for tile in tiles)


def change_file(data: bytes, random: random.Random, other: bytes = b"") -> bytes:
    """A file with one or two parts changed and right checksums."""
    header, sections = take_apart(data)
    for _ in range(random.choice((1, 1, 2))):
        kind = random.randrange(8)
        at = random.randrange(len(sections)) if sections else 0
        if kind <= 2 and sections:
            lender = take_apart(other)[1] if other else []
            lent = random.choice(lender)[1] if lender else b""
            sections[at] = sections[at][0], change(sections[at][1], random, lent)
        elif kind == 3:
            random.shuffle(sections)
        elif kind == 4 and sections:
            sections[at] = random.choice((*range(6), *range(0x80, 0x86), 255)), sections[at][1]
        elif kind == 5:
            payload = random.randbytes(random.randrange(200))
            sections.insert(at, (random.choice((0x81, 0x82, 0x83, 0x84, 0xF0)), payload))
        else:
            change_field(header, random)
    return put_together(header, sections)


def change_field(header: list, random: random.Random) -> None:
    place = random.choice((0, 1, 1, 2, 2, 3, *range(4, 11), *range(4, 11)))
    limits = {0: 256, 4: 256, 5: 65536, 6: 65536, 7: 256, 8: 2**32, 9: 256, 10: 256}
    if place in (1, 2):
        other = header[3 - place]
        header[place] = random.choice(
            (
                0,
                1,
                header[place] + 1,
                random.randrange(1, 300),
                2**20,
                2**20 + 1,
                65536 // max(other, 1),
            )
        )
    elif place == 3:
        header[3] = random.choice((header[3], random.randbytes(8)))
    elif place in (5, 6) and random.random() < 0.8:
        header[place] = random.randrange(1001)
    elif place == 7 and random.random() < 0.8:
        header[7] = random.choice((3, 4, 5, 9, 15, 0x13, 0x14))
    else:
        header[place] = random.randrange(limits[place])


def with_surplus(data: bytes, type: int, words: bytes) -> bytes:
    """The file with further 32-bit words at the end of a stream of symbols (section `type`)."""
    header, sections = take_apart(data)
    payloads = dict(sections)
    payloads[type] += bytes(-len(payloads[type]) % 4) + words
    return put_together(header, list(payloads.items()))
