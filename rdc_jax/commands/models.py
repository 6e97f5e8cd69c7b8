"""`rdc models`: the models that come with the package."""

import json
from argparse import Namespace

from rdc_jax import model_folder
from rdc_jax.errors import RdcError


def run(args: Namespace) -> int:
    folders = sorted(path.parent for path in model_folder.SHIPPED.glob("*/manifest.json"))
    if not folders:
        raise RdcError(f"no models are installed in {model_folder.SHIPPED}")
    for folder in folders:
        model = model_folder.load(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        default = folder.name == model_folder.DEFAULT_MODEL
        report = {
            "name": folder.name,
            "model_id": model.model_id.hex(),
            "bytes": size,
            "default": default,
        }
        line = f"{folder.name:<12} {model.model_id.hex()}  {size / 1e6:6.1f} MB"
        print(json.dumps(report) if args.json else line + "  default" * default)
    return 0
