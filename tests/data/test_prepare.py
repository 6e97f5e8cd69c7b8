import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.data import prepare as preparation
from rdc_jax.data import records, shards
from rdc_jax.data.prepare import prepare
from rdc_jax.data.sources import ArrayRecordSource
from rdc_jax.errors import RdcError


@pytest.fixture
def photos(tmp_path, rng):
    """Six images in two folders, one of them small, and two files that are no images."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.jpg", "c.webp", "sub/d.png", "sub/e.jpg", "small.png"]):
        side = 40 if name == "small.png" else 90 + i
        pixels = rng.integers(0, 256, (side, 120, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "broken.jpg").write_bytes((folder / "b.jpg").read_bytes()[:700])
    (folder / "text.png").write_text("no image")
    return folder


def record_of(source, index):
    return records.unpack(source._records[index])


def run(*arguments):
    return main(["data", "prepare", *map(str, arguments)])


def test_bytes_are_untouched_and_bad_images_listed(photos, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert run(photos, out, "--shards", 3, "--workers", 1) == 0
    text = capsys.readouterr().out
    assert "5 images, 3 shards" in text and "3 skipped" in text
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["complete"] and manifest["images"] == 5 and manifest["masks"] == 0
    assert manifest["bytes"] == sum(p.stat().st_size for p in out.glob("*.arrayrecord"))
    skipped = dict(s.split(": ", 1) for s in (out / "skipped.txt").read_text().splitlines())
    assert skipped.keys() == {"broken.jpg", "small.png", "text.png"}
    assert skipped["small.png"] == "is smaller than 64 pixels"
    source = ArrayRecordSource(out)
    names = [record_of(source, i).name for i in range(len(source))]
    assert names == ["a.png", "b.jpg", "c.webp", "sub/d.png", "sub/e.jpg"]
    for index, name in enumerate(names):
        assert record_of(source, index).image == (photos / name).read_bytes()
        assert source[index]["image"].shape[1] == 120
    assert not source.skipped


def test_large_images_are_scaled_down_with_their_masks(photos, tmp_path):
    masks = tmp_path / "masks"
    (masks / "sub").mkdir(parents=True)
    Image.fromarray(np.eye(93, 120, dtype=np.uint8) * 7).save(masks / "sub" / "d.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(masks / "b.png")
    Image.new("RGB", (100, 70)).save(photos / "fits.jpg")
    out = tmp_path / "out"
    options = ["--max-side", 100, "--quality", 80, "--masks", masks, "--workers", 1]
    assert run(photos, out, *options) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["masks"] == 1 and manifest["skipped"] == 4
    assert "b.jpg: and its mask differ in size" in (out / "skipped.txt").read_text()
    source = ArrayRecordSource(out)
    found = {record_of(source, i).name: i for i in range(len(source))}
    assert record_of(source, found["fits.jpg"]).image == (photos / "fits.jpg").read_bytes()
    example = source[found["sub/d.png"]]
    assert example["image"].shape == (78, 100, 3) and example["mask"].shape == (78, 100)
    assert set(np.unique(example["mask"])) <= {0, 7}
    assert record_of(source, found["sub/d.png"]).image.startswith(b"\xff\xd8\xff")


def test_an_interrupted_run_continues_with_the_missing_shards(photos, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(photos, whole, shards=4, workers=1)
    write_shard, written = preparation.write_shard, []

    def failing(root, settings, path, names):
        written.append(int(path.name.split("-")[1]))
        if written[-1] == 2 and len(written) < 4:
            path.with_name(".images-00002-of-00004.arrayrecord.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        return write_shard(root, settings, path, names)

    monkeypatch.setattr(preparation, "write_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, out, shards=4, workers=1)
    assert not list(out.glob(".*"))
    with pytest.raises(RdcError, match=r"data\.path: .*unfinished"):
        ArrayRecordSource(out)
    (out / "images-00002-of-00004.arrayrecord").write_bytes(b"renamed, not entered")
    prepare(photos, out, shards=4, workers=1)
    assert written == [0, 1, 2, 2, 3]
    for path in whole.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    (out / "images-00000-of-00004.arrayrecord").unlink()
    prepare(photos, out, shards=4, workers=1)
    assert written == [0, 1, 2, 2, 3, 0]
    assert len(ArrayRecordSource(out)) == 5


def test_shards_of_several_processes_are_the_same(photos, tmp_path, user_environment):
    one, two = tmp_path / "one", tmp_path / "two"
    prepare(photos, one, shards=3, workers=1)
    done = subprocess.run(
        [sys.executable, "-m", "rdc_jax", "data", "prepare", photos, two, "--shards", "3",
         "--workers", "2"],
        env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in two.iterdir()
    }


def test_unsuitable_folders_are_refused(photos, tmp_path, capsys):
    def error(*arguments):
        assert run(*arguments) == 2
        text = capsys.readouterr().err
        assert text.startswith("rdc: error: ") and text.count("\n") == 1
        return text

    out, other, bad = tmp_path / "out", tmp_path / "other", tmp_path / "bad"
    assert "no folder" in error(tmp_path / "none", out)
    other.mkdir()
    assert "no jpg, png or webp" in error(other, out)
    assert "--max-side" in error(photos, out, "--quality", 9)
    assert "of masks" in error(photos, out, "--masks", tmp_path / "none")
    assert not out.exists()
    assert run(photos, out, "--shards", 2, "--workers", 1) == 0
    before = (out / "manifest.json").read_bytes()
    assert "other settings" in error(photos, out, "--shards", 3)
    Image.new("RGB", (80, 80)).save(photos / "new.png")
    assert "other images" in error(photos, out, "--shards", 2)
    assert (out / "manifest.json").read_bytes() == before
    (other / "mine.arrayrecord").touch()
    assert "other shards" in error(photos, other)
    assert "cannot use" in error(photos, photos / "a.png")
    bad.mkdir()
    (bad / "text.png").write_text("no image")
    assert "none of the images" in error(bad, tmp_path / "empty")
    (tmp_path / "no_masks").mkdir()
    assert "named like" in error(photos, tmp_path / "m", "--masks", tmp_path / "no_masks")


def test_names_need_not_be_unicode(tmp_path, rng):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (b"caf\xe9.png", b"bad\xff.png"):
        with open(bytes(folder) + b"/" + name, "wb") as file:
            if name.startswith(b"caf"):
                Image.fromarray(rng.integers(0, 256, (80, 80), np.uint8)).save(file, "PNG")
    manifest = prepare(folder, tmp_path / "out", workers=1)
    assert (manifest["images"], manifest["skipped"]) == (1, 1)
    assert (tmp_path / "out" / "skipped.txt").read_bytes().startswith(b"bad\xff.png: ")
    source = ArrayRecordSource(tmp_path / "out")
    assert record_of(source, 0).name == "caf\ufffd.png"


def test_a_full_disk_is_one_line_and_leaves_no_half_shard(photos, tmp_path, monkeypatch, capsys):
    def full(path, count):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "_check", full)
    out = tmp_path / "out"
    assert run(photos, out, "--shards", 1, "--workers", 1) == 2
    text = capsys.readouterr().err
    assert "cannot write" in text and "No space left" in text and text.count("\n") == 1
    assert not list(out.glob("*.arrayrecord")) and not list(out.glob(".*"))


def test_an_interrupted_command_says_how_to_continue(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "prepare", interrupted)
    assert run("a", "b") == 130
    assert "same command continues" in capsys.readouterr().err
