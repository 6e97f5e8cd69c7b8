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
from rdc_jax.model_folder import codec_model
from tests.golden.make import digests_of_extras

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
FILES = GOLDEN["files"]


@functools.cache
def codec_of(model: str) -> codecs.Codec:
    return codecs.load(FOLDER / model)


@pytest.mark.parametrize("name", GOLDEN["models"])
def test_the_models_are_the_ones_the_files_were_made_with(name):
    assert codec_model.load(FOLDER / name).model_id.hex() == GOLDEN["models"][name]


def test_every_file_is_listed():
    assert {path.stem for path in FOLDER.glob("*.rdc")} == set(FILES)
    assert {path.stem for path in FOLDER.glob("*.png")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_decodes_to_the_same_symbols_and_image(name):
    entry = FILES[name]
    data = (FOLDER / f"{name}.rdc").read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"], "the golden file was changed"
    assert data[4] == entry["format_version"]
    codec = codec_of(entry["model"])
    assert codec.decode_latent(data)[1].symbol_hash == entry["symbol_hash"]
    assert digests_of_extras(data) == entry.get("extras", {})

    pixels = codec.decode(data)
    expected = np.asarray(Image.open(FOLDER / f"{name}.png"))
    assert pixels.shape == expected.shape
    difference = np.abs(pixels.astype(int) - expected)
    # Rounding of floats may move a pixel to the next value, rarely by more.
    assert difference.max() <= 3 and np.mean(difference > 0) <= 0.02


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
