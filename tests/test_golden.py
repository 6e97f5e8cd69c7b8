"""Golden files: what any earlier version wrote decodes to the same symbols, for ever.

tests/golden/golden.json lists every file with its hashes, tests/golden/make.py adds to it. A test
that fails here means that files of users no longer decode: mend the code, never the golden file.
"""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax.codec import codec as codecs
from rdc_jax.entropy import tile_edges
from rdc_jax.model_folder import codec_model
from tests.golden.make import digests_of_extras

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
FILES = GOLDEN["files"]
TILED = {"tiles": 256, "tiles_region": 256, "hyper_latent_tiles": 256, "mean_scale_tiles": 512}
REACH = 16  # pixels on each side of a tile's border


@functools.cache
def codec_of(model: str) -> codecs.Codec:
    return codecs.load(FOLDER / model)


@pytest.mark.parametrize("name", GOLDEN["models"])
def test_the_models_are_the_ones_the_files_were_made_with(name):
    assert codec_model.load(FOLDER / name).model_id.hex() == GOLDEN["models"][name]


def test_every_file_is_listed():
    assert {path.stem for path in FOLDER.glob("*.rdc")} == set(FILES)
    assert {path.stem for path in FOLDER.glob("*.png")} == set(FILES)


def difference(name):
    """Absolute difference int [H,W,3] of a decoded golden file to its stored image."""
    pixels = codec_of(FILES[name]["model"]).decode((FOLDER / f"{name}.rdc").read_bytes())
    expected = np.asarray(Image.open(FOLDER / f"{name}.png"))
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected)


def assert_rounded_alike(found):
    """Rounding of floats may move a pixel to the next value, rarely by more."""
    assert found.max() <= 3 and np.mean(found > 0) <= 0.02


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_decodes_to_the_same_symbols_and_image(name, monkeypatch):
    """The images are older than the correction of tile edges, which is another test's."""
    monkeypatch.setattr(tile_edges, "without_edges", lambda coded, right, bottom: coded)
    entry = FILES[name]
    data = (FOLDER / f"{name}.rdc").read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"], "the golden file was changed"
    assert data[4] == entry["format_version"]
    codec = codec_of(entry["model"])
    assert codec.decode_latent(data)[1].symbol_hash == entry["symbol_hash"]
    assert digests_of_extras(data) == entry.get("extras", {})

    assert_rounded_alike(difference(name))


@pytest.mark.parametrize(("name", "tile"), TILED.items())
def test_the_correction_of_tile_edges_stays_at_the_borders(name, tile):
    """Decoders take a line off that showed there in flat areas: a fault that the images have."""
    found = difference(name)
    for axis in (0, 1):
        borders = range(tile, found.shape[axis], tile)
        near = [place for border in borders for place in range(border - REACH, border + REACH)]
        near = [place for place in near if place < found.shape[axis]]
        found = np.delete(found, near, axis)
    assert_rounded_alike(found)


def test_what_is_there_is_never_replaced(tmp_path, monkeypatch):
    from tests.golden import make

    monkeypatch.setattr(make, "HERE", tmp_path)
    monkeypatch.setattr(make, "LIST", tmp_path / "golden.json")
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    make.main()  # all are listed: nothing to do
    assert json.loads((tmp_path / "golden.json").read_text()) == GOLDEN
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN | {"files": {}}))
    (tmp_path / "plain.rdc").write_bytes(b"someone's")
    with pytest.raises(SystemExit, match="nothing is replaced"):
        make.main()
    (tmp_path / "golden.json").write_text(json.dumps({"models": {}, "files": {}}))
    (tmp_path / "mean_scale").mkdir()
    monkeypatch.setattr(make.miniature, "MODELS", {"mean_scale": ()})
    with pytest.raises(SystemExit, match="nothing is replaced"):
        make.main()
    assert (tmp_path / "plain.rdc").read_bytes() == b"someone's"
