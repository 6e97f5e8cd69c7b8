"""`rdc export`: writes a model for another project, or the model of a run that goes on."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from rdc_jax.cli import output_folder
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files


def run(args: Namespace) -> int:
    out = Path(args.out)
    of_targets = args.without_weights or args.runtime or args.webgpu
    if args.workdir is not None and (args.model or of_targets):
        raise RdcError("--from WORKDIR takes OUT and --step; MODEL and the others go with --to")
    if args.workdir is None and (args.model is None or args.step is not None):
        raise RdcError("--to takes MODEL and OUT; --step goes with --from")
    if args.without_weights and args.target != "onnx":
        raise RdcError("--without-weights is for --to onnx")
    if args.runtime is not None and args.target != "web":
        raise RdcError("--runtime is for --to web")
    if args.webgpu and args.target != "web":
        raise RdcError("--webgpu is for --to web")
    try:
        if args.workdir is not None:
            report, lines = of_run(args, out)
        else:
            targets = {"diffusers": to_diffusers, "onnx": to_onnx, "web": to_web}
            report, lines = targets[args.target](args, out)
    except OSError as error:
        raise RdcError(f"cannot write {out}: {error.strerror or error}") from error
    print(json.dumps(report) if args.json else "\n".join(lines))
    return 0


def of_run(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes the model of a run; returns the report and the lines to print."""
    from rdc_jax.training import export_run

    output_folder.check(out, (out / files.MANIFEST).is_file(), args.force)
    with output_folder.made(out) as folder:
        step = export_run.export_run(args.workdir, folder, args.step)
    return {"path": str(out), "step": step}, [f"{out}: the averaged weights after {step} steps"]


def to_diffusers(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes a folder for diffusers; returns the report and the lines to print."""
    from rdc_jax.codec import loading
    from rdc_jax.interop.diffusers import export, readme
    from rdc_jax.interop.diffusers.reimport import is_export

    model = codec_model.load(args.model)
    networks, _ = loading.of_model(model)
    output_folder.check(out, is_export(out), args.force)
    with output_folder.made(out) as folder:
        exported = export.export(model, networks, folder)
    classes = {part.folder: part.config.get("_class_name") for part in exported}
    lines = [f"{out}: model {model.model_id.hex()}"]
    for part in exported:
        name = classes[part.folder]
        lines += [f"  {part.folder}/: {name}" if name else f"  {readme.explanation(part)}"]
    return {"path": str(out), "model_id": model.model_id.hex(), "classes": classes}, lines


def to_onnx(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes a folder of ONNX graphs, without JAX; returns the report and the lines to print."""
    from rdc_jax.interop.onnx import folder as onnx_folder
    from rdc_jax.interop.onnx.decoder import FAITHFUL
    from rdc_jax.interop.torch import decoder as torch_decoding

    output_folder.check(out, (out / FAITHFUL).is_file(), args.force)
    decoder, weights = torch_decoding.load(args.model), not args.without_weights
    contents = onnx_folder.files(decoder, weights=weights)
    with output_folder.made(out) as folder:
        onnx_folder.write(folder, decoder, contents, weights=weights)
    model_id = decoder.model.model_id.hex()
    sizes = {name: len(data) for name, data in contents.items() if name.endswith(".onnx")}
    lines = [f"{out}: model {model_id}"]
    lines += [f"  {name}: {size / 1e6:.1f} MB" for name, size in sizes.items()]
    if not weights:
        lines += ["  the graphs contain no weights; put them into MODEL/onnx"]
    report = {"path": str(out), "model_id": model_id, "module_id": decoder.module_identity}
    return report | {"weights": weights, "bytes": sizes}, lines


def to_web(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes a folder with a page that decodes; returns the report and the lines to print."""
    from rdc_jax.interop import export_folder
    from rdc_jax.interop.web import folder as web_folder

    output_folder.check(out, (out / web_folder.LIBRARY).is_file(), args.force)
    model = codec_model.load(args.model)
    source = None if args.runtime is None else Path(args.runtime)
    contents = web_folder.files(model, source, webgpu=args.webgpu)
    with output_folder.made(out) as folder:
        export_folder.write(folder, model, contents.items())
    model_id, size = model.model_id.hex(), sum(map(len, contents.values()))
    lines = [
        f"{out}: model {model_id}, {len(contents)} files, {size / 1e6:.1f} MB",
        f"  try it: python -m http.server --directory {out}",
    ]
    return {"path": str(out), "model_id": model_id, "bytes": size}, lines
