"""The process that runs one setting: `python -m rdc_jax.selftest.worker JOB.json`.

JOB.json is {"model", "decoder", "decode": {name: path}, "encode": [names], "out": folder}. The
process prints one line of JSON: {"decoded": {name: digests}, "encoded": {name: digests},
"platforms": [..]}.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.model_folder import codec_model
from rdc_jax.selftest.corpus import corpus


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Decodes and encodes what a job asks for; returns what is printed."""
    model = codec_model.load(job["model"])
    decode_latent, encode, platforms = _decoder(job["decoder"], model)
    files = {name: Path(path).read_bytes() for name, path in job["decode"].items()}
    encoded = {}
    images = corpus() if job["encode"] else {}
    for name in job["encode"]:
        pixels, options = images[name]
        data, report = encode(pixels, **options, return_report=True)
        (Path(job["out"]) / f"{name}.rdc").write_bytes(data)
        encoded[name] = {"symbols": report.symbol_hash, "file": hashlib.sha256(data).hexdigest()}
    decoded = {name: digests(decode_latent, data) for name, data in files.items()}
    return {"decoded": decoded, "encoded": encoded, "platforms": platforms}


def decoded_here(model: codec_model.Model, files: dict[str, Path]) -> dict[str, Any]:
    """Digests of files as this process decodes them, without JAX."""
    decode_latent = _decoder("numpy", model)[0]
    return {name: digests(decode_latent, path.read_bytes()) for name, path in files.items()}


def digests(decode_latent: Any, data: bytes) -> dict[str, str]:
    """SHA-256 of a file's map, of its symbols, and of the exact means and values of its latent."""
    _, coded, known = decode_latent(data)
    return {
        "map": hashlib.sha256(np.ascontiguousarray(known.levels)).hexdigest(),
        "symbols": coded.symbol_hash,
        "means": hashlib.sha256(coded.mean.astype("<f4").tobytes()).hexdigest(),
        "values": hashlib.sha256(coded.yhat.astype("<f4").tobytes()).hexdigest(),
    }


def _decoder(kind: str, model: codec_model.Model) -> tuple[Any, Any, list[str]]:
    """(decode_latent, encode or None, platforms)."""
    if kind == "jax":
        import jax

        from rdc_jax.codec.codec import Codec

        codec = Codec(model)
        return codec.decode_latent, codec.encode, sorted({d.platform for d in jax.devices()})
    if kind == "onnxruntime":
        import onnxruntime

        from rdc_jax.interop.onnx import decoder as onnx_decoder

        decoder = onnx_decoder.Decoder(model, None, model.path / onnx_decoder.FOLDER)
        return decoder.decode_latent, None, [f"onnxruntime {onnxruntime.__version__}"]
    entropy = EntropyModel.from_arrays(model.entropy)
    return lambda data: file_decoding.decode_latent(data, model, entropy), None, ["numpy"]


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))))
