"""What a source does when its storage refuses an image, and when an image is damaged."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from rdc_jax.data import replacing_source
from rdc_jax.data.array_record_source import ArrayRecordSource
from rdc_jax.data.encode_latents import read_photo
from rdc_jax.data.pipeline import training_iterator
from rdc_jax.data.prepare import prepare
from rdc_jax.data.replacing_source import ReadError
from rdc_jax.data.sources import FolderSource
from rdc_jax.errors import RdcError


@pytest.fixture
def waits(monkeypatch):
    """The seconds that sources would have waited."""
    seconds = []
    monkeypatch.setattr(replacing_source.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def photos(tmp_path):
    """Four photos with the values 0, 10, 20 and 30."""
    for i in range(4):
        Image.new("RGB", (80, 70), (10 * i,) * 3).save(tmp_path / f"{i}.png")
    return tmp_path


class Refusing:
    """Records of which some are refused for a number of times. Copies share the state."""

    def __init__(self, records, refusals, error):
        self.records, self.refusals, self.error = records, refusals, error
        self.reads = []

    def __len__(self):
        return len(self.records)

    def __getitem__(self, key):
        self.reads.append(key)
        if self.refusals.get(key, 0):
            self.refusals[key] -= 1
            raise self.error
        return self.records[key]


def shards(photos, refusals, error=RuntimeError("UNAVAILABLE: try again")):
    out = photos.parent / f"{photos.name}-shards"
    prepare(photos, out, shards=1, workers=1, progress=False)
    source = ArrayRecordSource(out)
    source._records = Refusing(source._records, refusals, error)
    return source


def values(source):
    return [int(source[i]["image"][0, 0, 0]) for i in range(len(source))]


def test_a_short_refusal_changes_nothing(photos, waits, caplog):
    source = shards(photos, {1: 3, 2: 1})
    assert values(source) == [0, 10, 20, 30]
    assert waits == [*replacing_source.RETRY_WAITS, replacing_source.RETRY_WAITS[0]]
    assert not source.skipped and not caplog.records


def test_a_long_refusal_replaces_an_image_once(photos, waits, caplog):
    source = shards(photos, {1: 4})
    with caplog.at_level(logging.WARNING):
        assert values(source) == [0, 20, 20, 30]
    assert len(caplog.records) == 1 and "record 1" in caplog.text and "UNAVAILABLE" in caplog.text
    assert values(source) == [0, 10, 20, 30]
    assert not source.skipped


def test_examples_made_for_another_are_marked(photos, waits):
    options = dict(batch_size=4, crop_size=64, seed=1, num_threads=0)
    whole = next(training_iterator(shards(photos, {}), **options))
    assert not whole["replaced"].any()
    once = next(training_iterator(shards(photos, {1: 4}), **options))
    changed = (once["image"] != whole["image"]).any((1, 2, 3))
    assert changed.sum() == 1
    np.testing.assert_array_equal(once["replaced"], changed)


class Cut(Refusing):
    """Records of which one, a JPEG file, lacks its end."""

    def __getitem__(self, key):
        data = self.records[key]
        return data[:-400] if key == 2 else data


def test_damage_that_shows_late_does_not_change_the_draws(photos):
    """The square of a damaged JPEG file is drawn before its pixels are decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 80, 3), np.uint8)
    (photos / "2.png").unlink()
    Image.fromarray(noise).save(photos / "2.jpg")
    options = dict(batch_size=16, crop_size=64, seed=1, num_threads=0)
    source = shards(photos, {})
    whole = next(training_iterator(source, **options))
    source._records = Cut(source._records, {}, None)
    damaged = next(training_iterator(source, **options))
    changed = (whole["image"] != damaged["image"]).any((1, 2, 3))
    assert changed.any() and source.skipped == {2}
    np.testing.assert_array_equal(damaged["replaced"], changed)
    same = (whole["importance"] == damaged["importance"]).all((1, 2))
    assert same[~changed].all()
    flat = damaged["image"][changed]
    assert (flat == 30).all()  # the next image, in a square of its own size


def test_storage_that_refuses_everything_ends_the_run(photos, waits):
    refused = dict.fromkeys(range(4), 99)
    for i in range(4, 9):
        Image.new("RGB", (80, 70)).save(photos / f"{i}.png")
        refused[i] = 99
    with pytest.raises(RdcError, match=r"data\.path: the storage refused 5 images in a row.*same"):
        shards(photos, refused)[0]


def test_damage_is_not_read_again(photos, waits):
    source = shards(photos, {1: 99}, RuntimeError("Corrupted records file: hash mismatch"))
    assert values(source) == [0, 20, 20, 30]
    assert not waits and source.skipped == {1} and source._records.reads.count(1) == 1


def test_files_of_a_folder_are_read_again(photos, waits, monkeypatch):
    failures = {"1.png": 2, "2.png": 99}
    read = type(photos).read_bytes

    def failing(path):
        if failures.get(path.name, 0):
            failures[path.name] -= 1
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(type(photos), "read_bytes", failing)
    source = FolderSource(photos)
    assert values(source) == [0, 10, 30, 30]
    assert not source.skipped
    with pytest.raises(ReadError, match="Input/output error"):
        read_photo(source, 2, 64)  # a photo is never left out of a set because of the storage
    failures.clear()
    (photos / "1.png").unlink()
    assert values(FolderSource(photos)) == [0, 20, 30]
    assert values(source) == [0, 10, 20, 30]  # 1 is in the cache


def test_a_mask_is_decoded_with_its_image(tmp_path):
    file = io.BytesIO()
    Image.new("L", (80, 70), 3).save(file, "PNG")
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(file.getvalue())
    out = tmp_path / "out"
    prepare(tmp_path / "photos", out, masks=tmp_path / "masks", workers=1, progress=False)
    source = ArrayRecordSource(out)
    assert source.make(0, lambda example: example["mask"].max())[0] == 3
    with pytest.raises(IndexError):
        source.make(1, len)
