"""Encoding of a set of photos, with the mean of 8 x 8 pixels in place of an autoencoder."""

import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax.data import encode_latents as encoding
from rdc_jax.data import latent_records
from rdc_jax.data.encode_latents import Settings, encode_latents
from rdc_jax.data.latent_records import LatentRecord
from rdc_jax.data.latent_source import LatentSource, autoencoder_identity
from rdc_jax.data.pipeline import training_iterator, whole_photos
from rdc_jax.data.sources import ArrayRecordSource, FolderSource, SyntheticSource, open_source
from rdc_jax.errors import RdcError

SETTINGS = Settings(tile=128, latent_channels=3, autoencoder="abc", compute_dtype="float32")
BATCH = 4


def means(tiles):
    """uint8 [4, 128, 128, 3] -> float16 [4, 16, 16, 3]."""
    assert tiles.shape == (BATCH, 128, 128, 3) and tiles.dtype == np.uint8
    return tiles.reshape(BATCH, 16, 8, 16, 8, 3).mean((2, 4)).astype(np.float16)


def encode(source, out, settings=SETTINGS, function=means, **options):
    return encode_latents(source, out, settings, function, batch=BATCH, threads=2, **options)


@pytest.fixture
def photos(tmp_path, rng):
    """Five photos of 1 to 6 tiles, one smaller than a tile, and one file that is no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    sizes = {"a": (128, 128), "b": (200, 300), "c": (64, 100), "d": (130, 128), "e": (128, 255)}
    for name, size in sizes.items():
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "broken.png").write_text("no image")
    return FolderSource(folder)


def record_of(source, index):
    return latent_records.unpack(source._records[index])


def test_every_tile_is_a_record(photos, tmp_path):
    out = tmp_path / "out"
    manifest = encode(photos, out, shards=2)
    assert (manifest["images"], manifest["tiles"], manifest["enlarged"]) == (5, 13, 1)
    assert manifest["complete"] and manifest["skipped"] == 1 and len(manifest["shards"]) == 2
    assert manifest["bytes"] == sum(p.stat().st_size for p in out.glob("*.arrayrecord"))
    assert (out / "skipped.txt").read_text() == "broken.png: is not an image in a known format\n"
    source = LatentSource(out)
    assert (source.tile, source.latent_channels, source.autoencoder) == (128, 3, "abc")
    assert len(source) == 13 and not source.skipped
    records = [record_of(source, i) for i in range(13)]
    assert "".join(r.name[0] for r in records) == "abbbbbbccddee"
    for index, record in enumerate(records):
        latent = source[index]["latent"]
        np.testing.assert_array_equal(latent, record.latent)
        assert latent.dtype == np.float16 and latent.shape == (16, 16, 3)
        same = [i for i, other in enumerate(records) if other.name == record.name]
        assert record.place == (index - same[0], len(same))
        assert source.same_photo(index) == range(same[0], same[-1] + 1)
        top, left, side = record.box
        if side == 128:
            image = np.asarray(Image.open(photos._root / record.name))
            tile = image[top : top + 128, left : left + 128].reshape(16, 8, 16, 8, 3)
            np.testing.assert_array_equal(latent, tile.mean((1, 3)).astype(np.float16))


def test_all_tiles_of_a_held_out_photo_are_excluded(photos, tmp_path):
    encode(photos, tmp_path / "out")
    source = LatentSource(tmp_path / "out")
    np.testing.assert_array_equal(whole_photos(source, [3, 12]), [*range(1, 7), 11, 12])
    np.testing.assert_array_equal(whole_photos(photos, [4, 2]), [4, 2])


def test_a_batch_spans_photos_and_is_always_full(photos, tmp_path):
    calls = []
    encode(photos, tmp_path / "out", function=lambda t: calls.append(len(t)) or means(t))
    assert calls == [BATCH] * 4  # 13 tiles


def test_masks_are_stored_at_the_resolution_of_the_latents(tmp_path, rng):
    class Segmented(SyntheticSource):
        def read(self, index):
            mask = np.zeros((300, 300), np.uint8)
            mask[:, 100 + index :] = 9
            return super().read(index) | {"mask": mask}

    assert encode(Segmented(3, 300), tmp_path / "out")["masks"] == 3
    source = LatentSource(tmp_path / "out")
    for index in range(18, 27):  # the third photo
        mask, left = source[index]["mask"], record_of(source, index).box[1]
        assert mask.shape == (16, 16) and mask.dtype == np.uint8
        expected = np.where(left + 8 * np.arange(16) + 4 >= 102, 9, 0)
        np.testing.assert_array_equal(mask, np.tile(expected, (16, 1)))
    batch = next(
        training_iterator(
            source, batch_size=40, crop_size=64, cell_size=16, seed=0,
            segmentation_share=1.0, mixture={"constant": 1.0},
        )
    )  # fmt: skip
    varied = [levels for levels in batch["importance"] if np.ptp(levels)]
    assert len(varied) > 4 and all((levels == levels[:1]).all() for levels in varied)


def test_crops_of_latents_are_unchanged(tmp_path):
    position = np.arange(16 * 16, dtype=np.float16).reshape(16, 16)

    def numbered(tiles):  # each element is its own position in the tile
        return np.repeat(np.broadcast_to(position, (BATCH, 16, 16))[..., None], 3, -1)

    encode(SyntheticSource(7, 200), tmp_path / "out", function=numbered)
    source = LatentSource(tmp_path / "out")
    iterator = training_iterator(source, batch_size=6, crop_size=64, cell_size=16, seed=1)
    corners = set()
    for _ in range(8):
        batch = next(iterator)
        assert batch.keys() == {"latent", "importance", "replaced"}
        assert batch["latent"].shape == (6, 8, 8, 3) and batch["latent"].dtype == np.float16
        assert batch["importance"].shape == (6, 4, 4)
        for window in batch["latent"]:
            top, left = divmod(int(window[0, 0, 0]), 16)
            expected = position[top : top + 8, left : left + 8]
            np.testing.assert_array_equal(window, np.repeat(expected[..., None], 3, -1))
            corners.add((top, left))
    assert len(corners) > 20
    assert {c[0] for c in corners} == {c[1] for c in corners} == set(range(9))


def test_an_interrupted_run_continues_with_the_missing_shards(photos, tmp_path):
    whole, out, encoded = tmp_path / "whole", tmp_path / "out", []
    encode(photos, whole, shards=3)

    def failing(tiles):
        encoded.append(None)
        if len(encoded) == 3:
            raise KeyboardInterrupt
        return means(tiles)

    with pytest.raises(KeyboardInterrupt):
        encode(photos, out, shards=3, function=failing)
    assert not list(out.glob(".*")) and 0 < len(list(out.glob("*.arrayrecord"))) < 3
    with pytest.raises(RdcError, match=r"data\.path: .*unfinished"):
        LatentSource(out)
    assert encode(photos, out, shards=3)["complete"]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {
        p.name: p.read_bytes() for p in whole.iterdir()
    }
    (out / "latents-00001-of-00003.arrayrecord").write_bytes(b"cut")
    calls = []
    encode(photos, out, shards=3, function=lambda t: calls.append(None) or means(t))
    assert len(calls) == 1  # only the photos of the damaged shard
    assert len(LatentSource(out)) == 13


def test_damaged_records_are_counted_and_replaced(tmp_path):
    encode(SyntheticSource(4, 128), tmp_path / "out")
    source = LatentSource(tmp_path / "out")
    whole = [source[i]["latent"] for i in range(4)]
    path = next((tmp_path / "out").glob("*.arrayrecord"))
    data = bytearray(path.read_bytes())
    data[data.index(whole[1].tobytes()) + 40] ^= 1
    path.write_bytes(data)
    source = LatentSource(tmp_path / "out")
    for index, found in enumerate([0, 2, 2, 3]):
        np.testing.assert_array_equal(source[index]["latent"], whole[found])
    assert source.skipped == {1}
    assert source.subset([1, 0]).skipped is source.skipped


@pytest.mark.parametrize("data", [b"RDCL\x01", b"RDCL\x02", b"RDCI\x01", b"", b"RDCL\x01S\x04\0"])
def test_records_that_do_not_add_up_are_refused(data):
    with pytest.raises(RdcError):
        latent_records.unpack(data)


def test_a_record_round_trips(rng):
    record = LatentRecord(
        rng.normal(size=(4, 4, 3)).astype(np.float16),
        (5, 6, 32),
        (1, 3),
        rng.integers(0, 9, (4, 4), np.uint8),
        "ü/a.png",
    )
    back = latent_records.unpack(latent_records.pack(record))
    assert (back.name, back.box, back.place) == (record.name, record.box, record.place)
    np.testing.assert_array_equal(back.latent, record.latent)
    np.testing.assert_array_equal(back.mask, record.mask)
    packed = latent_records.pack(LatentRecord(record.latent, record.box, record.place))
    assert latent_records.unpack(packed).mask is None
    for cut in range(len(packed)):
        with pytest.raises(RdcError):
            latent_records.unpack(packed[:cut])


def test_sets_of_an_earlier_version_are_refused(photos, tmp_path):
    with pytest.raises(RdcError, match=r"earlier version.*rdc data encode-latents"):
        latent_records.unpack(b"RDCL\x01S")
    encode(photos, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["settings"]["record"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(RdcError, match=r"data\.path: .*earlier version.*new folder") as error:
        LatentSource(tmp_path / "out")
    assert "\n" not in str(error.value)
    with pytest.raises(RdcError, match="other settings"):
        encode(photos, tmp_path / "out")


def test_unsuitable_sets_are_refused(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(RdcError, match=r"'a\.png'.* overflow float16"):
        encode(photos, out, function=lambda t: np.full((BATCH, 16, 16, 3), np.inf, np.float16))
    encode(photos, out)
    other = Settings(128, 3, "other autoencoder", "float32")
    with pytest.raises(RdcError, match="other settings"):
        encode(photos, out, other)
    with pytest.raises(RdcError, match="other images"):
        encode(SyntheticSource(6, 128), out)
    with pytest.raises(RdcError, match="other settings"):
        encode(photos, out, shards=2)
    with pytest.raises(RdcError, match=r"holds latents; read it with data\.kind=latents"):
        ArrayRecordSource(out)
    monkeypatch.setattr(encoding, "MAX_TILE_PIXELS", 0)
    with pytest.raises(RdcError, match="none of the 6 images is usable"):
        encode(photos, tmp_path / "none")
    assert (
        "a.png: would be 1 tiles of 128 pixels" in (tmp_path / "none" / "skipped.txt").read_text()
    )


def test_a_folder_that_disappears_ends_the_run(photos, tmp_path):
    def vanishing(tiles):
        if photos._root.exists():
            photos._root.rename(tmp_path / "moved")
        return means(tiles)

    with pytest.raises(RdcError, match=r"data\.path: the folder .* is gone"):
        encode_latents(
            FolderSource(photos._root, cache=False), tmp_path / "out", SETTINGS, vanishing,
            batch=BATCH, shards=5, threads=1,
        )  # fmt: skip
    assert not json.loads((tmp_path / "out" / "manifest.json").read_text())["complete"]


@pytest.mark.parametrize("name", ["none", "photos", "images"])
def test_folders_without_latents_are_refused(photos, tmp_path, name):
    (tmp_path / "images").mkdir()
    manifest = {"content": "images", "complete": True, "shards": []}
    (tmp_path / "images" / "manifest.json").write_text(json.dumps(manifest))
    words = {"none": "no folder", "photos": "not a manifest", "images": "holds images; read it"}
    with pytest.raises(RdcError, match=rf"data\.path: .*{words[name]}") as error:
        open_source("latents", tmp_path / name)
    assert "\n" not in str(error.value)


def test_autoencoders_have_different_identities(rng):
    params = {"a": {"kernel": rng.normal(size=(3, 3)).astype(np.float32)}, "b": np.ones(2)}
    settings = {"kind": "kl", "scaling_factor": 0.18}
    same = autoencoder_identity(params, settings)
    stored = {"b": np.ones(2, np.float16), "a": {"kernel": params["a"]["kernel"].astype("f2")}}
    assert same == autoencoder_identity(stored, dict(reversed(settings.items())))
    changed = {"a": {"kernel": params["a"]["kernel"] * 1.01}, "b": params["b"]}
    others = [
        autoencoder_identity(changed, settings),
        autoencoder_identity(params, settings | {"scaling_factor": 1.0}),
        autoencoder_identity({"a": {"kernels": params["a"]["kernel"]}, "b": np.ones(2)}, settings),
    ]
    assert len({same, *others}) == 4
