"""The folder of `rdc export --to web`: a page that decodes `.rdc` files, for any static host.

    index.html, page/, service_worker.js     the page
    rdc.js, rdc/                             the library: decode(bytes), <rdc-image>
    model/                                   graphs, weights and integers of the model
    runtime/                                 onnxruntime-web
    README.md, manifest.json                 how to serve it; SHA-256 of every file

Page and library are stored in `site` as they are served. They have no build step.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rdc_jax.interop import export_folder
from rdc_jax.interop.onnx.decoder import FAITHFUL, KNOB
from rdc_jax.interop.web import graphs, runtime
from rdc_jax.model_folder import fusion_module
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.files import as_json

SITE = Path(__file__).with_name("site")
LIBRARY = "rdc.js"  # by which an earlier export is known
SERVICE_WORKER, VERSION_MARK = "service_worker.js", b"@VERSION@"
WEIGHTS = {
    FAITHFUL: [graphs.CODEC_WEIGHTS],
    KNOB: [graphs.CODEC_WEIGHTS, graphs.FUSION_WEIGHTS],
}
TAU = """The attribute `tau` goes from 0 (smallest
error) to 1 (most natural texture); without it, the file decides."""
NO_TAU = "The attribute `tau` has no effect with this model."
README = SITE.with_name("site_README.md")


def files(
    model: Model, runtime_source: Path | None = None, *, webgpu: bool = False
) -> dict[str, bytes]:
    """Returns the contents of all files except the manifest, by name.

    Args:
        model: The model. Its own fusion module comes with it.
        runtime_source: A copy of onnxruntime-web, None to fetch it, see `runtime.files`.
        webgpu: Whether the networks can run on WebGPU, which takes a second, larger runtime.

    Raises:
        RdcError: The runtime or a package that makes graphs is missing.
    """
    module = fusion_module.choose(model, None)
    runtimes = runtime.files(runtime_source, webgpu=webgpu)  # first: the graphs take a while
    contents = {f"model/{name}": data for name, data in model_files(model, module).items()}
    contents |= {f"runtime/{name}": data for name, data in runtimes.items()}
    contents |= site_files()
    size = sum(map(len, contents.values()))
    contents["README.md"] = readme(model, size, module is not None).encode()
    mark = _version(contents).encode()
    contents[SERVICE_WORKER] = contents[SERVICE_WORKER].replace(VERSION_MARK, mark)
    return contents


def site_files() -> dict[str, bytes]:
    """Returns page and library as they are stored, contents by name."""
    paths = sorted(path for path in SITE.rglob("*") if path.is_file())
    return {path.relative_to(SITE).as_posix(): path.read_bytes() for path in paths}


def model_files(model: Model, module: fusion_module.Module | None) -> dict[str, bytes]:
    """Returns the contents of the folder `model`, by name.

    Args:
        model: The model.
        module: Its fusion module, None for a page without tau.
    """
    contents = graphs.files(model, module)
    contents["entropy.safetensors"] = (model.path / "entropy.safetensors").read_bytes()
    contents["model.json"] = as_json(
        {
            "name": model.name,
            "model_id": model.model_id.hex(),
            "module_id": None if module is None else module.identity,
            "num_levels": model.num_levels,
            "downsampling": model.downsampling,
            "graphs": {name: WEIGHTS[name] for name in WEIGHTS if name in contents},
        }
    )
    return contents | dict(export_folder.licence_files(model))


def readme(model: Model, size: int, fusion: bool) -> str:
    """Returns the text of README.md.

    Args:
        model: The model.
        size: Bytes of the other files.
        fusion: Whether the model has a fusion module.
    """
    return README.read_text(encoding="utf-8").format(
        name=model.name,
        model_id=model.model_id.hex(),
        megabytes=f"{size / 1e6:.0f}",
        tau=TAU if fusion else NO_TAU,
        runtime=runtime.PACKAGE,
        licence=export_folder.licence(model).replace("See ", "See model/"),
    )


def _version(contents: Mapping[str, bytes]) -> str:
    """A name for these files, which changes with any of them."""
    digest = hashlib.sha256()
    for name, data in sorted(contents.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]
