"""`rdc import`: turns weights of another project into a folder for `rdc encode --model`."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.cli import output_folder
from rdc_jax.cli.commands.train import configured
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.model_folder.files import flatten, unflatten
from rdc_jax.models.networks import Networks

OF_A_MODEL = ("manifest.json", "entropy.safetensors")  # no other folder contains both
OF_DIFFUSERS = ("config", "overrides", "unet", "vae", "context")


def run(args: Namespace) -> int:
    out = Path(args.out)
    is_model = all((out / name).is_file() for name in OF_A_MODEL)
    output_folder.check(out, is_model, args.force)
    check_module(out, Path(args.path))
    work = {"compressai": from_compressai, "diffusers": from_diffusers}[args.origin]
    try:
        with output_folder.made(out, unlisted=[codec_model.BOUNDS]) as folder:
            report, lines = work(args, out, folder)
    except OSError as error:
        raise RdcError(f"cannot write {out}: {error.strerror or error}") from error
    print(json.dumps(report) if args.json else "\n".join(lines))
    return 0


def check_module(out: Path, source: Path) -> None:
    """Raises RdcError where a fusion module would lose the model that it was trained for."""
    there, coming = (folder / fusion_module.FOLDER / "manifest.json" for folder in (out, source))
    same = there.is_file() and coming.is_file() and there.read_bytes() == coming.read_bytes()
    if there.parent.exists() and not same:
        raise RdcError(
            f"{there.parent} is a fusion module of the model in this folder; move it away, or "
            "name a new folder"
        )


def from_compressai(args: Namespace, out: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Imports a model of CompressAI.

    Args:
        args: The arguments of the command.
        out: The output folder.
        folder: The folder to write into, which then becomes `out`.

    Returns:
        The report and the lines to print.
    """
    from rdc_jax.interop import compressai

    for name in OF_DIFFUSERS:
        if getattr(args, name):
            option = f"'{args.overrides[0]}'" if name == "overrides" else f"--{name}"
            raise RdcError(f"{option} is for --from diffusers")
    state = compressai.read_state(args.path)
    flat = flatten(compressai.from_state_dict(state))
    # A decoder will load these values: rounded to float16, as they are stored.
    params = unflatten({k: v.astype(np.float16) for k, v in flat.items()})
    config = compressai.model_section(params)
    networks = Networks.from_config(config)
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    model_id = codec_model.save(folder, out.name, config, params, entropy)
    cost = float(compressai.gaussian_cost(state).sum()) / 64**2
    report = {"path": str(out), "model_id": model_id.hex(), "hyper_prior_bpp": cost}
    line = f"{out}: model {model_id.hex()}; Gaussian hyper-prior costs {cost:.4f} bpp"
    return report, [line]


def from_diffusers(args: Namespace, out: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Imports a model of diffusers.

    Args:
        args: The arguments of the command.
        out: The output folder.
        folder: The folder to write into, which then becomes `out`.

    Returns:
        The report and the lines to print.
    """
    from rdc_jax.interop import hub
    from rdc_jax.interop.diffusers import importing, reimport

    source = hub.local_folder(args.path)
    name, next_step = out.name, ""
    if reimport.is_export(source):
        for option in OF_DIFFUSERS:
            if getattr(args, option):
                raise RdcError(f"{source} has its own settings; omit --config and the parts")
        name, imported = reimport.load(source)
    else:
        if args.config is None:
            raise RdcError("--from diffusers needs --config, for instance configs/sd21.py")
        config = configured(args.config, args.overrides)
        files = {key: getattr(args, key) for key in ("unet", "vae", "context")}
        files = {key: Path(value) for key, value in files.items() if value is not None}
        imported = importing.load(source, config.model.to_dict(), **files)
        next_step = f"rdc train --config {' '.join([args.config, *args.overrides])} init_from={out}"
    model_id = codec_model.save(
        folder, name, imported.config, imported.params, imported.entropy, exact=True
    )
    copy_beside(source, folder)
    report = {"path": str(out), "model_id": model_id.hex(), "notes": imported.notes}
    lines = [f"{out}: model {model_id.hex()}", *(f"  note: {note}" for note in imported.notes)]
    if next_step:
        report["next"] = next_step
        lines += ["  the licence of the source applies to these weights", f"  next: {next_step}"]
    return report, lines


def copy_beside(source: Path, folder: Path) -> None:
    """Copies what belongs to the model without being part of it: licences, the fusion module."""
    for file in (*source.glob("LICENSE*"), *source.glob(f"{fusion_module.FOLDER}/*.*")):
        target = folder / file.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
