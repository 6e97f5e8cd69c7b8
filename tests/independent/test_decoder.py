"""The package against a decoder that was written from docs/bitstream.md and shares no code."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from rdc_jax import codec as codecs
from rdc_jax import file_decoding, model_folder
from rdc_jax.entropy import bitstream, importance_coding
from rdc_jax.entropy.entropy_model import EntropyModel
from tests.independent import decoder, dither
from tests.independent.container import Damaged

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
FILES = json.loads((GOLDEN / "golden.json").read_text())["files"]


def of_the_package(data: bytes, folder: Path) -> dict:
    """What `decode_latent` gives, with the network's own integers."""
    model = model_folder.load(folder)
    entropy = EntropyModel.from_arrays(model.entropy)
    f = file_decoding.downsampling_of(model.config)
    found = {"latent_unit": entropy.latent_unit}
    network, parameters = entropy.network, entropy.network.pass_parameters

    def recorded(number, features, known, where):
        values = parameters(number, features, known, where)
        for name, array in zip(("mean", "log2_scale"), values, strict=True):
            whole = found.setdefault(name, np.zeros((*where.shape, array.shape[-1]), np.int64))
            whole[where] = array
        return values

    network.pass_parameters = recorded
    header, coded, _ = file_decoding.decode_latent(data, model, entropy, f)
    payloads = {section.type: section.payload for section in bitstream.unpack(data)[1]}
    grid = importance_coding.decode_importance(payloads[1], header.map_shape, header.num_levels)
    return found | {"header": header, "coded": coded, "grid": grid}


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
def test_golden_files_decode_to_the_same_integers(name):
    folder, data = GOLDEN / FILES[name]["model"], (GOLDEN / f"{name}.rdc").read_bytes()
    theirs = decoder.decode(data, folder)
    assert theirs.symbol_hash == FILES[name]["symbol_hash"]
    assert_equal(of_the_package(data, folder), theirs)


def test_a_file_of_the_shipped_model_decodes_to_the_same_integers(rng):
    y, x = np.mgrid[0:44, 0:60]
    pixels = 128 + 90 * np.sin(x[..., None] / [5, 9, 14] + y[..., None] / [7, 4, 11])
    pixels = np.clip(pixels + rng.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)
    folder = model_folder.find(None)
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


def test_it_imports_nothing_of_the_package():
    for path in HERE.glob("*.py"):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not any(n.split(".")[0] in ("rdc_jax", "numpy", "constriction") for n in names)
