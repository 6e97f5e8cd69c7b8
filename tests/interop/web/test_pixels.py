"""From a latent to pixels: the page's modules against the package, in Node.js, without networks."""

import json
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.codec import metadata_sections
from rdc_jax.decoding import reconstruction
from rdc_jax.decoding.opened_file import ReadOptions, open_file
from rdc_jax.decoding.sampling import SamplingOptions
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.model_folder import codec_model

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = json.loads((GOLDEN / "golden.json").read_text())["files"]
CASES = [
    *((name, {}) for name in ("plain", "odd", "one_pixel", "grey", "extras", "mean_scale_region")),
    *((name, {}) for name in ("tiles", "tiles_region", "mean_scale_tiles", "hyper_latent_tiles")),
    ("tiles", {"tau": "roi", "crop": [100, 190, 150, 80]}),
    ("tiles_region", {"tau": 0.25, "crop": [250, 3, 20, 9]}),
    ("extras", {"tau": 1, "crop": [3, 5, 11, 7]}),
    ("tiles_region", {"resilient": True}),
    ("tiles", {"resilient": True}),
]


def simple(f):
    """A function in place of the networks that any language computes alike."""

    def window(yhat, mean, scale, levels, tau, noise):
        def pixels(x):
            return x.astype(np.float64).repeat(f, 0).repeat(f, 1)

        y, x = np.mgrid[: f * len(yhat), : f * len(yhat)]
        pattern = 90 + (7 * x + 13 * y) % 17 + 10 * pixels(levels) + 20 * pixels(tau)
        values = pixels(3 * yhat[..., :3].astype(np.float64) + 4 * noise[..., :3])
        return (pattern[..., None] + values).astype(np.float32)

    return window


def write_case(folder, number, name, options):
    data = bytearray((GOLDEN / f"{name}.rdc").read_bytes())
    if options.get("resilient"):
        data[-20] ^= 1  # within the last tile
    model_folder = GOLDEN / FILES[name]["model"]
    model, told = codec_model.load(model_folder), []
    crop = options.get("crop")
    read = ReadOptions(crop=crop, resilient=options.get("resilient", False), on_damage=told.append)
    opened = open_file(bytes(data), model, read)
    asked = SamplingOptions(steps=1, tau=options.get("tau"))
    pixels = reconstruction.reconstruct(
        simple(model.downsampling),
        opened.windows(EntropyModel.from_arrays(model.entropy)),
        opened.header,
        asked.resolved(opened.header, opened.conditions, model),
        opened.part,
        downsampling=model.downsampling,
        noise=True,
    )
    alpha = metadata_sections.parts_of(bytes(data), crop=crop)["alpha"]
    if alpha is None:
        alpha = np.full(pixels.shape[:2], 255, np.uint8)
    case = f"{number}_{name}"
    (folder / f"{case}.rgba").write_bytes(np.dstack([pixels, alpha]).tobytes())
    (folder / f"{case}.rdc").write_bytes(data)
    return {
        "name": case, "file": f"{case}.rdc", "model": str(model_folder), "options": options,
        "shape": pixels.shape[:2], "damaged": list(map(str, told)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    entries = [write_case(folder, number, *case) for number, case in enumerate(CASES)]
    (folder / "cases.json").write_text(json.dumps(entries))
    return folder, entries


def test_pixels_equal_those_of_the_package(node, cases):
    folder, entries = cases
    assert sum(bool(entry["damaged"]) for entry in entries) == 2
    printed = node("pixels.test.mjs", folder, test=True)
    assert f"# pass {len(CASES)}\n" in printed and "# fail 0\n" in printed
