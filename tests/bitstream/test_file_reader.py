"""A file with tiles: its sections, and a reader that reads only requested parts."""

import io

import pytest

from rdc_jax.bitstream import container, file_reader
from rdc_jax.bitstream.framing import BitstreamError, varint
from rdc_jax.bitstream.sections import SectionType
from tests.bitstream.tile_payloads import HEIGHT, PAYLOAD, WIDTH, crc

HEADER = container.Header(
    width=WIDTH, height=HEIGHT, model_id=bytes(8), num_levels=1, timestep_background=9,
    timestep_roi=9, cell_size=16, dither_seed=0, default_steps=1, default_tau=0,
)  # fmt: skip

FILE = container.pack(HEADER, [(1, b"m"), (4, PAYLOAD), (0x84, b"xmp")])


def test_a_file_has_tiles_or_a_whole_latent():
    for sections in (
        [(1, b""), (2, b""), (3, b""), (4, b"")],
        [(1, b""), (2, b""), (4, b"")],
        [(1, b""), (4, b""), (4, b"")],
        [(4, b"")],
    ):
        with pytest.raises(BitstreamError):
            container.pack(HEADER, sections)
    assert [s.type for s in container.unpack(FILE)[1]] == [1, 4, 0x84]


@pytest.mark.parametrize("make", [bytes, io.BytesIO])
def test_a_reader_finds_all_sections(make):
    reader = file_reader.FileReader(make(FILE))
    assert reader.header == HEADER and reader.size == len(FILE)
    assert [reader.payload(kind) for kind in reader.places] == [b"m", PAYLOAD, b"xmp"]


def test_a_reader_reads_only_requested_parts():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(container.pack(HEADER, [(1, b"m"), (4, bytes(10**6))]))
    assert file_reader.FileReader(file).payload(1) == b"m"
    assert file.count < 100


def test_a_reader_refuses_what_unpack_refuses():
    extra = bytes([0x84]) + varint(3) + b"xmp"
    for data in (FILE + b"x", FILE[:-1], FILE[:40], FILE[:5], b"", FILE + extra + crc(extra)):
        with pytest.raises(BitstreamError):
            file_reader.FileReader(data)
    with pytest.raises(BitstreamError, match="limit of 1000"):
        file_reader.FileReader(FILE, max_pixels=1000)
    damaged = FILE.replace(b"xmp", b"xMp")
    with pytest.raises(BitstreamError, match=r"XMP .*CRC-32"):
        file_reader.FileReader(damaged).payload(SectionType.XMP)


def test_only_tiles_may_be_cut_off():
    begin = FILE.index(PAYLOAD)
    for length in range(len(FILE)):
        if length >= begin and length < begin + len(PAYLOAD) + 4:
            reader = file_reader.FileReader(FILE[:length], cut_off=True)
            assert reader.places[SectionType.TILES].end == begin + len(PAYLOAD)
        else:
            with pytest.raises(BitstreamError):
                file_reader.FileReader(FILE[:length], cut_off=True)
