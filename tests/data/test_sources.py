import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax.data import folder_source
from rdc_jax.data.pipeline import training_iterator
from rdc_jax.data.sources import FolderSource, SubsetSource, SyntheticSource, open_source
from rdc_jax.errors import RdcError


def save(path, value, size=(80, 70), **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


def value(source, index):
    return int(source[index]["image"][0, 0, 0])


def test_folder_is_recursive_sorted_and_ignores_other_files(tmp_path):
    save(tmp_path / "b" / "second.PNG", 20)
    save(tmp_path / "a.png", 10)
    save(tmp_path / "c" / "d" / "third.webp", 30, lossless=True)
    (tmp_path / "notes.txt").write_text("no image")
    source = FolderSource(tmp_path)
    assert [value(source, i) for i in range(len(source))] == [10, 20, 30]
    image = source[0]["image"]
    assert image.shape == (70, 80, 3) and image.dtype == np.uint8
    with pytest.raises(IndexError):
        source[3]


def test_bad_images_are_reported_once_and_replaced(tmp_path, caplog):
    save(tmp_path / "0.png", 10)
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    save(tmp_path / "2.png", 20, size=(63, 100))
    save(tmp_path / "3.png", 30)
    (tmp_path / "4.png").write_text("not an image")
    source = FolderSource(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [value(source, i) for i in range(5)] == [10, 30, 30, 30, 10]
    assert len(caplog.records) == 3 == len(source.skipped)


def test_errors_name_the_setting(tmp_path):
    with pytest.raises(RdcError, match=r"data\.path"):
        FolderSource(tmp_path / "missing")
    with pytest.raises(RdcError, match=r"data\.path"):
        FolderSource(tmp_path)
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(RdcError, match=r"data\.path.*none of the 1 images"):
        FolderSource(tmp_path)[0]


def test_a_folder_that_disappears_ends_the_run_at_once(tmp_path):
    folder = tmp_path / "photos"
    for i in range(3):
        save(folder / f"{i}.png", i)
    source = FolderSource(folder, cache=False)
    iterator = training_iterator(source, batch_size=1, crop_size=64, seed=0, prefetch=1)
    next(iterator)
    folder.rename(tmp_path / "moved")
    with pytest.raises(RdcError, match=r"data\.path: the folder '.*photos' is gone") as error:
        for _ in range(9):
            next(iterator)
    assert "\n" not in str(error.value) and not source.skipped
    (tmp_path / "moved").rename(folder)
    assert value(source, 0) == 0


def test_one_image_can_be_read_without_a_substitute(tmp_path):
    save(tmp_path / "a" / "good.png", 7)
    (tmp_path / "bad.png").write_text("not an image")
    source = FolderSource(tmp_path)
    assert [source.name(i) for i in range(2)] == ["a/good.png", "bad.png"]
    assert source.read(0)["image"][0, 0, 0] == 7
    with pytest.raises(RdcError, match=r"^is not an image"):
        source.read(1)
    before = source.fingerprint()
    assert before == FolderSource(tmp_path).fingerprint()
    (tmp_path / "bad.png").write_text("not an image either")
    assert before != FolderSource(tmp_path).fingerprint()


def test_cache_is_bounded_and_shared_between_threads(tmp_path, monkeypatch):
    for i in range(4):
        save(tmp_path / f"{i}.png", i)
    reads = []
    opened = folder_source.EncodedImage
    monkeypatch.setattr(
        folder_source,
        "EncodedImage",
        lambda data, name, **k: reads.append(Path(name).name) or opened(data, name, **k),
    )
    source = FolderSource(tmp_path, cache_bytes=2 * 80 * 70 * 3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: value(source, i % 4), range(40)))
    assert found == [i % 4 for i in range(40)]
    reads.clear()
    for i in range(4):
        source[i]
    assert len(reads) == 2
    uncached = FolderSource(tmp_path, cache=False)
    reads.clear()
    assert value(uncached, 1) == value(uncached, 1) == 1
    assert reads == ["1.png", "1.png"]


def test_a_subset_replaces_bad_images_only_from_itself(tmp_path):
    for i in range(4):
        save(tmp_path / f"{i}.png", i)
    (tmp_path / "1.png").write_text("not an image")
    chosen = FolderSource(tmp_path).subset([1, 3])
    assert len(chosen) == 2
    assert [value(chosen, 0), value(chosen, 1)] == [3, 3]


def test_synthetic_images_depend_only_on_seed_and_index():
    source = SyntheticSource(3, 64, seed=1)
    assert source[2]["image"].shape == (64, 64, 3) and source[2]["image"].dtype == np.uint8
    np.testing.assert_array_equal(source[2]["image"], SyntheticSource(9, 64, seed=1)[2]["image"])
    assert (source[0]["image"] != source[1]["image"]).any()
    assert (source[0]["image"] != SyntheticSource(3, 64, seed=2)[0]["image"]).any()
    np.testing.assert_array_equal(SubsetSource(source, [2])[0]["image"], source[2]["image"])
    with pytest.raises(IndexError):
        source[3]
    with pytest.raises(RdcError):
        SyntheticSource(0, 64)


def test_subsets_of_subsets():
    source = SyntheticSource(9, 64)
    assert isinstance(source.subset([1]), SubsetSource)
    again = source.subset([5, 6, 7]).subset([2, 0])
    assert len(again) == 2 and not again.skipped
    np.testing.assert_array_equal(again[0]["image"], source[7]["image"])


def test_the_log_names_a_bounded_number_of_images(tmp_path, caplog):
    for i in range(120):
        (tmp_path / f"{i:03}.png").write_text("not an image")
    save(tmp_path / "z.png", 7)
    source = FolderSource(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert value(source, 0) == 7
    assert len(source.skipped) == 120
    assert len(caplog.records) == 101 and "only counted" in caplog.records[-1].message


def test_a_config_opens_its_source(tmp_path):
    save(tmp_path / "a.png", 10)
    assert value(open_source("folder", tmp_path), 0) == 10
    source = open_source("synthetic", "", synthetic_size=100, seed=3)
    np.testing.assert_array_equal(source[4]["image"], SyntheticSource(5, 100, seed=3)[4]["image"])
    with pytest.raises(RdcError, match=r"data\.kind must be auto, .* or synthetic, not 'fodler'"):
        open_source("fodler", tmp_path)
    for kind in ("folder", "array_record", "tfds", "latents"):
        with pytest.raises(RdcError, match=rf"data\.path is empty; with data\.kind={kind}"):
            open_source(kind, "")
