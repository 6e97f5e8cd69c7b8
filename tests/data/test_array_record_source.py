import io
import json
import logging

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from rdc_jax.data import records
from rdc_jax.data.sources import ArrayRecordSource
from rdc_jax.errors import RdcError


def encoded(value, size=(80, 70), file_format="PNG"):
    file = io.BytesIO()
    Image.new("RGB" if file_format == "JPEG" else "L", size, value).save(file, file_format)
    return file.getvalue()


def write(path, contents):
    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for data in contents:
        writer.write(data)
    writer.close()
    return path


def values(source):
    return [int(source[i]["image"][0, 0, 0]) for i in range(len(source))]


@pytest.fixture
def shards(tmp_path):
    """Two shards with the values 0, 10, 20 and 30, 40."""
    write(tmp_path / "a.arrayrecord-00000-of-00002", map(encoded, (0, 10, 20)))
    packed = records.pack(records.Record(encoded(30), encoded(3), "thirty.png"))
    write(tmp_path / "a.arrayrecord-00001-of-00002", [packed, encoded(40, file_format="WEBP")])
    (tmp_path / ".b.arrayrecord.tmp").write_bytes(b"half a shard")
    return tmp_path


def test_shards_are_found_in_order(shards):
    names = sorted(shards.glob("a.*"))
    for paths in (shards, f"{shards}/a.*", names, [str(n) for n in names]):
        source = ArrayRecordSource(paths)
        assert values(source) == [0, 10, 20, 30, 40]
        assert source[0]["image"].shape == (70, 80, 3) and source[0]["image"].dtype == np.uint8
    assert values(ArrayRecordSource(names[1])) == [30, 40]
    assert values(ArrayRecordSource(names[::-1])) == [30, 40, 0, 10, 20]
    assert source[3]["mask"].shape == (70, 80) and (source[3]["mask"] == 3).all()
    assert "mask" not in source[0]
    assert values(source.subset([4, 0])) == [40, 0]
    assert repr(source) == "ArrayRecordSource(5 images)"
    with pytest.raises(IndexError):
        source[5]


def test_damaged_records_are_counted_and_replaced(tmp_path, caplog, rng):
    noise = [rng.integers(0, 256, (70, 80, 3), np.uint8) for _ in range(4)]
    files = []
    for pixels in noise:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    files[2] = b"RDCI\x01I\xff\xff\xff\xffx"
    path = write(tmp_path / "a.arrayrecord", files)
    data = bytearray(path.read_bytes())
    data[data.index(files[1]) + 500] ^= 1  # on disk, inside the second record
    path.write_bytes(data)
    source = ArrayRecordSource(path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for index, found in enumerate([0, 3, 3, 3]):
                np.testing.assert_array_equal(source[index]["image"], noise[found])
    assert source.skipped == {1, 2}
    assert len(caplog.records) == 2 and "record 1 in" in caplog.text
    assert source.subset([1, 0]).skipped is source.skipped
    with pytest.raises(RdcError, match=r"data\.path: none of the 2 images"):
        source.subset([1, 2])[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: f / "none", "no file"),
        (lambda f: f, "no ArrayRecord shards in"),
        (lambda f: f"{f}/*", "no ArrayRecord shards in"),
        (lambda f: [], "no ArrayRecord shards in 0 shards"),
        (lambda f: write(f / "empty.arrayrecord", []), "no records in"),
        (lambda f: (f / "a.arrayrecord").write_bytes(b"junk") and f, "not a whole ArrayRecord"),
        (lambda f: (f / "manifest.json").write_text("[]") and f, "not a manifest"),
        (lambda f: (f / "manifest.json").write_text("{") and f, "not a manifest"),
        (
            lambda f: (
                (f / "manifest.json").write_text(json.dumps({"complete": False, "shards": [None]}))
                and f
            ),
            "unfinished",
        ),
    ],
)
def test_unusable_sets_are_refused_in_one_line(tmp_path, make, words):
    with pytest.raises(RdcError, match=f"(?s)data.path: .*({words})") as error:
        ArrayRecordSource(make(tmp_path))
    assert "\n" not in str(error.value)
