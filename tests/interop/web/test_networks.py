"""Whole files with the exported networks in onnxruntime-web, in Node.js, against onnxruntime."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_pixels_equal_those_of_onnxruntime(node, site, files, tmp_path):
    pytest.importorskip("onnxruntime")
    from rdc_jax.interop.onnx import decoder as onnx_decoder

    decoder, cases = onnx_decoder.load("tiny"), []
    for file in ("small.rdc", "tiled.rdc"):
        (tmp_path / file).write_bytes(files[file])
        for tau in (0, "roi", None):
            name = f"{file} {tau}"
            pixels = decoder.decode(files[file], tau=tau)
            (tmp_path / f"{name}.rgb").write_bytes(pixels.tobytes())
            cases.append({"name": name, "file": file, "tau": tau})
    (tmp_path / "cases.json").write_text(json.dumps({"site": str(site), "cases": cases}))
    printed = node("networks.test.mjs", tmp_path, test=True)
    assert f"# pass {len(cases)}\n" in printed and "# fail 0\n" in printed
