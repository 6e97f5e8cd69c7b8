"""`rdc models`: the models that come with the package."""

import json
from argparse import Namespace

from rdc_jax import fusion_folder, model_folder
from rdc_jax.errors import RdcError


def run(args: Namespace) -> int:
    folders = model_folder.shipped()
    if not folders:
        raise RdcError(f"no models are installed in {model_folder.SHIPPED}")
    for folder in folders:
        model = model_folder.load(folder)
        module = fusion_folder.choose(model, None)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        default = folder.name == model_folder.DEFAULT_MODEL
        report = {
            "name": folder.name,
            "model_id": model.model_id.hex(),
            "bytes": size,
            "default": default,
            "fusion": None if module is None else module.identity,
        }
        line = f"{folder.name:<12} {model.model_id.hex()}  {size / 1e6:6.1f} MB"
        line += "  default" * default + "  with fusion module" * (module is not None)
        print(json.dumps(report) if args.json else line)
    return 0
