import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rdc_jax.data import records
from rdc_jax.data.records import Record
from rdc_jax.errors import RdcError


def encoded(pixels, file_format="PNG", mode=None):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, file_format)
    return file.getvalue()


@given(st.binary(min_size=1), st.none() | st.binary(min_size=1), st.text())
def test_records_round_trip(image, mask, name):
    record = Record(image, mask, name)
    assert records.unpack(records.pack(record)) == record


def test_golden_bytes():
    packed = b"RDCI\x01N\x01\0\0\0aI\x03\0\0\0jpgM\x03\0\0\0png"
    assert records.pack(Record(b"jpg", b"png", "a")) == packed
    assert records.unpack(packed + b"X\x02\0\0\0??") == Record(b"jpg", b"png", "a")
    assert records.unpack(b"\xff\xd8\xff plain jpeg") == Record(b"\xff\xd8\xff plain jpeg")


@pytest.mark.parametrize(
    "data",
    [b"RDCI\x02", b"RDCI\x01", b"RDCI\x01I\x09\0\0\0short", b"RDCI\x01I\x01\0\0", b"RDCI",
     b"RDCI\x01I\x01\0\0\0aI\x01\0\0\0b"],
)  # fmt: skip
def test_damaged_records_are_refused(data):
    with pytest.raises(RdcError, match="record"):
        records.unpack(data)


def test_labels_of_any_file():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    np.testing.assert_array_equal(records.read_labels(encoded(grey), (8, 8), "a"), grey)
    palette = Image.fromarray(grey, "L").convert("P")
    file = io.BytesIO()
    palette.save(file, "PNG")
    labels = records.read_labels(file.getvalue(), (8, 8), "a")
    assert len(np.unique(labels)) == 64
    colours = np.zeros((8, 8, 3), np.uint8)  # a panoptic map: number = r + 256 g + 65536 b
    colours[:, 4:] = (7, 1, 0)
    colours[4:, :4] = (0, 0, 9)
    labels = records.read_labels(encoded(colours), (8, 8), "a")
    assert [labels[0, 0], labels[0, 4], labels[4, 0]] == [0, 1, 2]
    wide = np.where(grey > 9, 50_000, 3).astype(np.uint16)
    labels = records.read_labels(encoded(wide), (8, 8), "a")
    np.testing.assert_array_equal(labels, grey > 9)
    assert labels.dtype == np.uint8


def test_decoding_names_what_is_wrong(rng):
    image = encoded(rng.integers(0, 256, (70, 80, 3), np.uint8))
    mask = encoded(rng.integers(0, 256, (70, 80), np.uint8))
    example = records.decode(Record(image, mask), "record 3")
    assert example["image"].shape == (70, 80, 3) and example["mask"].shape == (70, 80)
    assert records.decode(Record(image), "record 3").keys() == {"image"}
    small = encoded(rng.integers(0, 256, (63, 80, 3), np.uint8))
    for record, words in [
        (Record(image[:900]), "'record 3'"),
        (Record(small, None, "cat.png"), "'cat.png' is smaller"),
        (Record(image, mask[:500]), "damaged mask"),
        (Record(image, small), "differ in size"),
    ]:
        with pytest.raises(RdcError, match=words):
            records.decode(record, "record 3")
