"""`rdc export`: a model as folders that another project loads."""

import json
from argparse import Namespace
from pathlib import Path

from rdc_jax import model_folder, stored_networks
from rdc_jax.errors import RdcError
from rdc_jax.interop import diffusers_export, diffusers_readme
from rdc_jax.interop.diffusers_return import is_export


def run(args: Namespace) -> int:
    out = Path(args.out)
    model = model_folder.load(args.model)
    networks, _ = stored_networks.of_model(model)
    try:
        if out.exists() and not out.is_dir():
            raise RdcError(f"{out} is a file; name a new folder")
        if out.is_dir() and any(out.iterdir()):
            if not (is_export(out) and args.force):
                mend = "-f replaces it" if is_export(out) else "name a new folder"
                raise RdcError(f"{out} is not empty; {mend}")
            diffusers_export.remove_older(out)
        exported = diffusers_export.export(model, networks, out)
    except OSError as error:
        raise RdcError(f"cannot write {out}: {error.strerror or error}") from error
    classes = {part.folder: part.config.get("_class_name") for part in exported}
    if args.json:
        print(json.dumps({"path": str(out), "model_id": model.model_id.hex(), "classes": classes}))
        return 0
    print(f"{out}: model {model.model_id.hex()}")
    for part in exported:
        name = classes[part.folder]
        print(f"  {part.folder}/: {name}" if name else f"  {diffusers_readme.explanation(part)}")
    return 0
