"""The page's modules decode golden files to the integers and floats of the package, in Node.js."""

import json
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.decoding.opened_file import open_file
from rdc_jax.entropy import importance_coding, latent_coding
from rdc_jax.entropy.coder import SymbolDecoder
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.mean_scale_network import integer_log2, log2_thresholds
from rdc_jax.model_folder import codec_model

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = json.loads((GOLDEN / "golden.json").read_text())["files"]


@pytest.fixture
def recorded(monkeypatch):
    """Symbols of all passes that are decoded, in their order."""
    passes = []

    class Recording(SymbolDecoder):
        def decode(self, scale_index, phase):
            symbols = super().decode(scale_index, phase)
            passes.append(symbols)
            return symbols

    monkeypatch.setattr(latent_coding, "SymbolDecoder", Recording)
    return passes


def write_case(folder, name, recorded):
    """Writes what the package makes of a golden file; returns the entry for cases.json."""
    model_folder, file = GOLDEN / FILES[name]["model"], GOLDEN / f"{name}.rdc"
    model = codec_model.load(model_folder)
    recorded.clear()
    opened = open_file(file.read_bytes(), model)
    coded, header = opened.latent(EntropyModel.from_arrays(model.entropy)), opened.header
    grid = importance_coding.decode_importance(
        opened.reader.payload(1), header.map_shape, header.num_levels
    )
    arrays = {"map": grid, "symbols": np.concatenate(recorded)}
    arrays |= {"yhat": coded.yhat, "mean": coded.mean, "scale": coded.scale}
    for part, array in arrays.items():
        (folder / f"{name}.{part}").write_bytes(np.ascontiguousarray(array).tobytes())
    assert coded.symbol_hash == FILES[name]["symbol_hash"]
    return {"name": name, "file": str(file), "model": str(model_folder), "hash": coded.symbol_hash}


def test_golden_files_decode_to_the_same_integers_in_javascript(node, recorded, tmp_path, rng):
    cases = [write_case(tmp_path, name, recorded) for name in FILES]
    values = np.unique([1, 2, 3, 2**40, *(2 ** rng.uniform(0, 40, 500)).astype(np.int64)])
    thresholds = log2_thresholds().astype(np.int64)
    logarithms = np.stack([values, integer_log2(values, thresholds)], 1).tolist()
    content = {"cases": cases, "logarithms": logarithms, "thresholds": thresholds.tolist()}
    (tmp_path / "cases.json").write_text(json.dumps(content))
    printed = node("symbols.test.mjs", tmp_path, test=True)
    assert f"# pass {len(FILES) + 2}\n" in printed and "# fail 0\n" in printed
