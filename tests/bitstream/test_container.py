"""The container: golden bytes, accounting of all bytes, and refusal of invalid files."""

import dataclasses
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import BitstreamError, ColourMode, Header, Section
from rdc_jax.bitstream.sections import SectionType, section_name
from rdc_jax.errors import RdcError

HEADER = Header(
    width=768,
    height=512,
    model_id=bytes(range(8)),
    num_levels=16,
    timestep_background=400,
    timestep_roi=80,
    cell_size=16,
    dither_seed=0xDEADBEEF,
    default_steps=10,
    default_tau=128,
)
SECTIONS = [
    (SectionType.IMPORTANCE, b"map"),
    (SectionType.HYPER_LATENT, b""),
    (SectionType.LATENT, bytes(range(200))),
]
FILE = container.pack(HEADER, SECTIONS)


def framed(section_type: int, payload: bytes) -> bytes:
    """A short section with a valid CRC."""
    body = bytes([section_type, len(payload)]) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def with_count(data: bytes, count: int) -> bytes:
    """Changes the number of sections in the header and corrects the header CRC."""
    head = data[:5] + bytes([count]) + data[6:30]
    return head + zlib.crc32(head).to_bytes(4, "little") + data[34:]


def test_golden_bytes():
    assert FILE[:34].hex() == "9d52444301038006800400010203040506070f9001500004efbeadde0a807dbbd391"
    assert FILE[34:].hex() == (
        "01036d6170ea021b85" + "02007d70ef73" + "03c801" + bytes(range(200)).hex() + "09a89557"
    )


def test_every_byte_is_accounted_for():
    header, sections = container.unpack(FILE)
    assert header == HEADER
    assert [(s.type, s.payload) for s in sections] == SECTIONS
    position = 34
    for section in sections:
        assert section.offset == position
        position += section.total_bytes
    assert position == len(FILE)
    assert container.pack(header, sections) == FILE


def test_overhead_is_small():
    for size in (100, 16_000, 2_000_000):
        sections = [(1, bytes(60)), (2, bytes(size // 4)), (3, bytes(size))]
        overhead = len(container.pack(HEADER, sections)) - 60 - size // 4 - size
        assert overhead <= 56


@given(
    st.builds(
        Header,
        width=st.integers(1, 2**20),
        height=st.integers(1, 2**20),
        model_id=st.binary(min_size=8, max_size=8),
        num_levels=st.integers(1, 256),
        timestep_background=st.integers(0, 1000),
        timestep_roi=st.integers(0, 1000),
        cell_size=st.sampled_from([1 << n for n in range(16)]),
        dither_seed=st.integers(0, 2**32 - 1),
        default_steps=st.integers(0, 255),
        default_tau=st.integers(0, 255),
        colour_mode=st.sampled_from(ColourMode),
    ),
    st.lists(st.binary(max_size=300), min_size=3, max_size=3),
)
def test_any_header_round_trips(header, payloads):
    data = container.pack(header, zip((1, 2, 3), payloads, strict=True))
    again, sections = container.unpack(data, max_pixels=2**40)
    assert again == header and isinstance(again.colour_mode, ColourMode)
    assert [s.payload for s in sections] == payloads


def test_every_changed_byte_is_detected():
    for place in range(len(FILE)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(FILE)
            damaged[place] ^= change
            with pytest.raises(BitstreamError) as caught:
                container.unpack(bytes(damaged))
            assert "\n" not in str(caught.value)


def test_every_truncation_is_detected():
    for length in range(len(FILE)):
        with pytest.raises(BitstreamError) as caught:
            container.unpack(FILE[:length])
        assert "\n" not in str(caught.value)


def test_random_bytes_are_refused(rng):
    for _ in range(300):
        with pytest.raises(BitstreamError):
            container.unpack(FILE[: rng.integers(0, 40)] + rng.bytes(int(rng.integers(0, 80))))


def test_map_shape_counts_partial_cells():
    assert HEADER.map_shape == (32, 48)
    assert dataclasses.replace(HEADER, width=769, height=1).map_shape == (1, 49)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"\x9dR", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "not an rdc file"),
        (FILE[:4] + b"\x02" + FILE[5:], "version 2.*upgrade"),
        (FILE[:20], "header is truncated"),
        (FILE[:34], "section is missing"),
        (FILE[:60], "LATENT at byte 49 is truncated"),
        (FILE + b"x", "1 bytes follow"),
        (FILE[:80] + b"\0" + FILE[81:], "LATENT at byte 49 is damaged"),
        (with_count(FILE, 2)[:49], "LATENT is missing"),
        (with_count(FILE, 4) + framed(3, b""), "LATENT occurs twice"),
        (with_count(FILE, 4) + framed(4, b""), "TILES and HYPER_LATENT are in one file"),
        (with_count(FILE, 4) + framed(0x7F, b""), "needs section TYPE_0x7F.*upgrade"),
        (with_count(FILE, 4) + b"\x82\xff\xff\xff\xff\x0f", "ICC at byte 256 is truncated"),
        (with_count(FILE, 4) + b"\x82\xff\xff\xff\xff\xff\x01", "malformed number"),
        (with_count(FILE, 4) + b"\x82\x80\x00", "malformed number"),
    ],
)
def test_messages_name_what_is_wrong(data, message):
    with pytest.raises(BitstreamError, match=message):
        container.unpack(data)


def test_unknown_optional_sections_are_returned():
    _, sections = container.unpack(with_count(FILE, 5) + framed(0xF0, b"new") + framed(0x84, b"x"))
    assert sections[3:] == [
        Section(0xF0, b"new", len(FILE), 9),
        Section(SectionType.XMP, b"x", len(FILE) + 9, 7),
    ]
    assert section_name(0xF0) == "TYPE_0xF0"


def test_too_many_pixels_are_refused_before_anything_else():
    big = dataclasses.replace(HEADER, width=2**20, height=2**20)
    with pytest.raises(BitstreamError, match=r"more than the limit.*max_pixels"):
        container.unpack(container.pack(big, SECTIONS))
    with pytest.raises(BitstreamError, match="limit of 1000"):
        container.unpack(FILE, max_pixels=1000)
    container.unpack(FILE, max_pixels=768 * 512)


def test_a_header_is_described_with_its_shortest_tau():
    for units in range(256):
        said = container.described(dataclasses.replace(HEADER, default_tau=units))
        assert round(255 * said["default_tau"]) == units and len(repr(said["default_tau"])) <= 5
    said = json.loads(json.dumps(container.described(dataclasses.replace(HEADER, default_tau=76))))
    assert said["default_tau"] == 0.3  # 76 / 255 is 0.298
    assert said["model_id"] == "0001020304050607" and said["colour_mode"] == "rgb"
    assert list(said) == [field.name for field in dataclasses.fields(Header)]


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": 2**20 + 1},
        {"model_id": b"short"},
        {"num_levels": 257},
        {"timestep_roi": 1001},
        {"timestep_background": -1},
        {"cell_size": 12},
        {"dither_seed": 2**32},
        {"default_steps": 256},
        {"default_tau": -1},
        {"colour_mode": 2},
    ],
)
def test_header_fields_are_checked(change):
    with pytest.raises(RdcError, match=next(iter(change)).replace("_mode", " mode")):
        dataclasses.replace(HEADER, **change)


def test_pack_refuses_what_unpack_would():
    for sections in (SECTIONS[:2], [*SECTIONS, SECTIONS[0]], [*SECTIONS, (0x10, b"")]):
        with pytest.raises(BitstreamError):
            container.pack(HEADER, sections)
