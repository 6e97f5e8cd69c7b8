"""The package against a decoder that was written from docs/bitstream.md and shares no code."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.codec import codec as codecs
from rdc_jax.decoding.opened_file import open_file
from rdc_jax.entropy import importance_coding, tile_edges
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from tests.fuzz import mutations
from tests.independent import decoder, dither
from tests.independent.container import Damaged

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
FILES = json.loads((GOLDEN / "golden.json").read_text())["files"]


def of_the_package(data: bytes, folder: Path) -> dict:
    """What `decode_latent` gives, with the network's own integers."""
    model = codec_model.load(folder)
    entropy = EntropyModel.from_arrays(model.entropy)
    opened = open_file(data, model)
    header, h, w = opened.header, opened.conditions.height, opened.conditions.width
    windows = [Window(0, h, 0, w)]
    if opened.tiles is not None:
        windows = [
            opened.tiles.index.grid.window(n) for n in range(len(opened.tiles.index.offsets))
        ]
    network, parameters = entropy.network, entropy.network.pass_parameters
    whole = np.zeros((2, h, w, network.latent_channels), np.int64)
    tile = -1

    def recorded(number, features, known, where):
        nonlocal tile
        tile += number == 0
        values = parameters(number, features, known, where)
        for array, part in zip(whole, values, strict=True):
            array[windows[tile].of(Window(0, h, 0, w))][where] = part
        return values

    network.pass_parameters = recorded
    coded = opened.latent(entropy)
    assert tile == len(windows) - 1
    payloads = {section.type: section.payload for section in container.unpack(data)[1]}
    grid = importance_coding.decode_importance(payloads[1], header.map_shape, header.num_levels)
    return {
        "header": header,
        "coded": coded,
        "grid": grid,
        "mean": whole[0],
        "log2_scale": whole[1],
        "latent_unit": entropy.latent_unit,
    }


def assert_equal(ours: dict, theirs: decoder.Decoded) -> None:
    coded, unit = ours["coded"], ours["latent_unit"]
    assert coded.symbol_hash == theirs.symbol_hash
    np.testing.assert_array_equal(ours["grid"], theirs.grid)
    np.testing.assert_array_equal(ours["mean"], theirs.mean)
    np.testing.assert_array_equal(ours["log2_scale"], theirs.log2_scale)
    value = np.array(theirs.value, np.int64)
    np.testing.assert_array_equal(coded.yhat, (value * (unit / 2**26)).astype(np.float32))
    np.testing.assert_array_equal(coded.mean, np.array(theirs.mean) * np.float32(unit / 2**10))
    header = ours["header"]
    for name in ("width", "height", "model_id"):
        assert getattr(header, name) == getattr(theirs.header, name)
    assert header.dither_seed == theirs.header.seed and header.default_tau == theirs.header.tau


@pytest.mark.parametrize("name", FILES)
def test_golden_files_decode_to_the_same_integers(name, monkeypatch):
    """Without the correction of tile edges, which comes after what the document defines."""
    monkeypatch.setattr(tile_edges, "without_edges", lambda coded, right, bottom: coded)
    folder, data = GOLDEN / FILES[name]["model"], (GOLDEN / f"{name}.rdc").read_bytes()
    theirs = decoder.decode(data, folder)
    assert theirs.symbol_hash == FILES[name]["symbol_hash"]
    assert_equal(of_the_package(data, folder), theirs)


def test_a_file_of_the_shipped_model_decodes_to_the_same_integers(rng):
    y, x = np.mgrid[0:44, 0:60]
    pixels = 128 + 90 * np.sin(x[..., None] / [5, 9, 14] + y[..., None] / [7, 4, 11])
    pixels = np.clip(pixels + rng.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)
    folder = codec_model.find(None)
    data = codecs.load(folder).encode(pixels, quality=60, importance=(x > 30), seed=7)
    assert_equal(of_the_package(data, folder), decoder.decode(data, folder))


def test_the_check_of_the_document():
    words = dither.philox((0, 0, 0, 0), (0, 0))
    assert words == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)


def test_it_notices_damage():
    """The rules that the document gives are enough to refuse what the package refuses."""
    data = (GOLDEN / "one_row.rdc").read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(Damaged):
            decoder.decode(bytes(damaged), GOLDEN / "model")


@pytest.mark.parametrize("side", [7, 8, 9, 10, 13, 14])
def test_it_refuses_tiles_that_do_not_fit_the_latent(side):
    """As the package does: 16 latent pixels are too few, and the count of tiles must be right."""
    folder, data = GOLDEN / "mean_scale", (GOLDEN / "mean_scale_tiles.rdc").read_bytes()
    header, sections = mutations.take_apart(data)
    index, tiles = mutations.take_tiles_apart(dict(sections)[4])
    index[0] = side
    payloads = dict(sections) | {4: mutations.put_tiles_together(index, tiles)}
    changed = mutations.put_together(header, list(payloads.items()))
    if side == 9:
        assert changed == data
        assert_equal(of_the_package(changed, folder), decoder.decode(changed, folder))
        return
    with pytest.raises(Damaged):
        decoder.decode(changed, folder)
    with pytest.raises(RdcError, match="index of section TILES"):
        of_the_package(changed, folder)


def test_it_imports_nothing_of_the_package():
    for path in HERE.glob("*.py"):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not any(n.split(".")[0] in ("rdc_jax", "numpy", "constriction") for n in names)
