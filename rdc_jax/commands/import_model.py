"""`rdc import`: weights of another project as a model folder that `rdc encode --model` takes."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import fusion_folder, model_folder
from rdc_jax.commands.train import apply_override, load_config
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks

OF_DIFFUSERS = ("config", "overrides", "unet", "vae", "context")


def run(args: Namespace) -> int:
    out = Path(args.out)
    if (out / "manifest.json").exists() and not args.force:
        raise RdcError(f"{out} holds a model already; -f replaces it")
    try:
        report, lines = {"compressai": from_compressai, "diffusers": from_diffusers}[args.origin](
            args, out
        )
    except OSError as error:
        raise RdcError(f"cannot write {out}: {error.strerror or error}") from error
    print(json.dumps(report) if args.json else "\n".join(lines))
    return 0


def from_compressai(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes the model; returns the report and what to print."""
    from rdc_jax.interop import compressai

    for name in OF_DIFFUSERS:
        if getattr(args, name):
            said = f"'{args.overrides[0]}'" if name == "overrides" else f"--{name}"
            raise RdcError(f"{said} is for --from diffusers")
    state = compressai.read_state(args.path)
    flat = model_folder.flatten(compressai.from_state_dict(state))
    # What a decoder will load: rounded to the float16 that is stored.
    params = model_folder.unflatten({k: v.astype(np.float16) for k, v in flat.items()})
    config = compressai.model_section(params)
    networks = Networks.from_config(config)
    entropy = model_folder.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    model_id = model_folder.save(out, out.name, config, params, entropy)
    cost = float(compressai.gaussian_cost(state).sum()) / 64**2
    report = {"path": str(out), "model_id": model_id.hex(), "hyper_prior_bpp": cost}
    line = f"{out}: model {model_id.hex()}; Gaussian hyper-prior costs {cost:.4f} bpp"
    return report, [line]


def from_diffusers(args: Namespace, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Writes the model; returns the report and what to print."""
    from rdc_jax.interop import diffusers_import, diffusers_return, hub

    folder = hub.local_folder(args.path)
    name, next_step = out.name, ""
    if diffusers_return.is_export(folder):
        for option in OF_DIFFUSERS:
            if getattr(args, option):
                raise RdcError(f"{folder} brings its own settings; leave out config and parts")
        name, imported = diffusers_return.load(folder)
    else:
        if args.config is None:
            raise RdcError("--from diffusers needs --config, for instance configs/sd21.py")
        config = load_config(args.config)
        for override in args.overrides:
            apply_override(config, override)
        files = {key: getattr(args, key) for key in ("unet", "vae", "context")}
        files = {key: Path(value) for key, value in files.items() if value is not None}
        imported = diffusers_import.load(folder, config.model.to_dict(), **files)
        next_step = f"rdc train --config {' '.join([args.config, *args.overrides])} init_from={out}"
    model_id = model_folder.save(
        out, name, imported.config, imported.params, imported.entropy, exact=True
    )
    copy_beside(folder, out)
    report = {"path": str(out), "model_id": model_id.hex(), "notes": imported.notes}
    lines = [f"{out}: model {model_id.hex()}", *(f"  note: {note}" for note in imported.notes)]
    if next_step:
        report["next"] = next_step
        lines += ["  the licence of the source applies to these weights", f"  next: {next_step}"]
    return report, lines


def copy_beside(folder: Path, out: Path) -> None:
    """Copies what is no part of the model but belongs to it: licences, the module of an export."""
    for file in (*folder.glob("LICENSE*"), *folder.glob(f"{fusion_folder.FOLDER}/*.*")):
        target = out / file.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
