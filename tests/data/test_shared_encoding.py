"""Several processes that encode the shards of one set, without talking to each other."""

import json

import numpy as np
import pytest

from rdc_jax.data import shards
from rdc_jax.data.encode_latents import Settings, encode_latents
from rdc_jax.data.latent_source import LatentSource
from rdc_jax.data.shards import ShardSet
from rdc_jax.data.sources import SyntheticSource
from rdc_jax.errors import RdcError

SETTINGS = Settings(tile=64, latent_channels=1, autoencoder="abc", compute_dtype="float32")


def encode(out, index=0, processes=1, shards=5):
    source = SyntheticSource(11, 100)

    def means(tiles):
        return (
            tiles.reshape(4, 8, 8, 8, 8, 3).mean((2, 4, 5), keepdims=False)[..., None].astype("f2")
        )

    return encode_latents(
        source, out, SETTINGS, means, batch=4, shards=shards, threads=1, progress=False,
        sharing=(index, processes),
    )  # fmt: skip


def written(out):
    return {path.name: path.read_bytes() for path in out.glob("*.arrayrecord")}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_shared_shards_are_those_of_one_process(tmp_path, order):
    encode(tmp_path / "one")
    out = tmp_path / "shared"
    for index in order[:2]:
        assert not encode(out, index, 3)["complete"]
        with pytest.raises(RdcError, match="unfinished"):
            LatentSource(out)
    assert encode(out, order[2], 3)["complete"]
    assert written(out) == written(tmp_path / "one")
    assert len(LatentSource(out)) == len(LatentSource(tmp_path / "one"))
    one, shared = (json.loads((f / "manifest.json").read_text()) for f in (tmp_path / "one", out))
    assert one == shared


def test_more_processes_than_shards_do_no_harm(tmp_path):
    for index in (3, 1, 2):
        encode(tmp_path / "out", index, 4, shards=2)
    assert encode(tmp_path / "out", 0, 4, shards=2)["complete"]


def entry(target, index):
    path = target.path(index)
    path.write_bytes(b"x")
    return {"file": path.name, "records": 1, "bytes": 1, "skipped": []}


def stored(tmp_path):
    return json.loads((tmp_path / "manifest.json").read_text())


def test_a_late_writer_does_not_forget_the_shards_of_others(tmp_path, monkeypatch):
    """The other process finishes while this one writes a manifest that it read before."""
    a, b = (ShardSet(tmp_path, "latents", {}, "s", 2, (index, 2)) for index in range(2))
    write = shards.atomic_write

    def write_late(path, data, **options):
        if path.name == "manifest.json":
            monkeypatch.undo()
            b.enter(1, entry(b, 1))
            assert stored(tmp_path)["complete"]
        write(path, data, **options)

    monkeypatch.setattr(shards, "atomic_write", write_late)
    a.enter(0, entry(a, 0))
    a.finish()
    assert stored(tmp_path)["complete"] and a.manifest["images"] == 2


def test_a_set_begun_by_several_processes_is_finished_by_one(tmp_path):
    encode(tmp_path / "out", 1, 2)
    assert encode(tmp_path / "out")["complete"]
    damaged = next((tmp_path / "out").glob("latents-00001*.arrayrecord"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:9])
    assert encode(tmp_path / "out", 1, 2)["complete"]
    assert damaged.read_bytes() == whole


def test_leftovers_of_other_processes_stay(tmp_path):
    a, b = (ShardSet(tmp_path, "latents", {}, "s", 2, (index, 2)) for index in range(2))
    files = [shards.temporary_path(target.path(i)) for i, target in enumerate((a, b))]
    for file in files:
        file.write_bytes(b"half")
    a.finish()
    assert [file.exists() for file in files] == [False, True]
    np.testing.assert_equal((a.missing(), b.missing()), ([0], [1]))
