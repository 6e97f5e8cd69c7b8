"""`rdc models`: lists the models that come with the package."""

import json
from argparse import Namespace

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, fusion_module


def run(args: Namespace) -> int:
    folders = codec_model.shipped()
    if not folders:
        raise RdcError(f"no models are installed in {codec_model.SHIPPED}")
    for folder in folders:
        model = codec_model.load(folder)
        module = fusion_module.choose(model, None)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        default = folder.name == codec_model.DEFAULT_MODEL
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
