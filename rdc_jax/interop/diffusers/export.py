"""A model folder as folders that diffusers loads, and the rest in safetensors and JSON.

    unet/       config.json and weights: UNet2DConditionModel or UNet2DModel, where one of them
                computes what ours does, else our own parts
    vae/        AutoencoderKL; autoencoder/ for the small autoencoders, which diffusers has not
    scheduler/  our noise schedule and prediction type, for DDIMScheduler
    entropy/    config.json and the rest of the model folder as stored: integer network and tables,
                hyperprior, step profile, context
    fusion/     the plug-and-play module, if the model has one, as stored
    README.md, LICENSE*, manifest.json (sha256 of every file, and the model id)

Our own parts are config.json {"kind": ..., every field of the module} and model.safetensors, with
the names and the layout (channels last) of our parameters. Arrays keep the precision in which the
model folder has them; nothing is lost, and `rdc import --from diffusers` gives the same model id.
"""

from collections.abc import Iterator
from pathlib import Path

import safetensors.numpy

from rdc_jax.interop import export_folder
from rdc_jax.interop.diffusers import names
from rdc_jax.interop.diffusers.parts import OWN_WEIGHTS, STOCK_WEIGHTS, Part, parts
from rdc_jax.interop.diffusers.readme import readme
from rdc_jax.interop.diffusers.scheduler import scheduler_config
from rdc_jax.model_folder import fusion_module
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.files import as_json, exactly, flatten
from rdc_jax.models.networks import Networks

ENTROPY = "entropy"


def export(model: Model, networks: Networks, out: Path) -> list[Part]:
    """Writes the folder `out`, the manifest last; returns how the networks were exported.

    Raises OSError when it cannot be written.
    """
    exported = parts(model.config, networks)
    export_folder.write(out, model, files(model, networks, exported))
    return exported


def files(model: Model, networks: Networks, exported: list[Part]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files but the manifest, one at a time: weights may be large."""
    yield "README.md", readme(model, exported).encode()
    yield from export_folder.licence_files(model)
    yield "scheduler/scheduler_config.json", as_json(scheduler_config(model.config, networks))
    for part in exported:
        flat = {k: exactly(part.name, v) for k, v in flatten(model.params[part.name]).items()}
        weights = OWN_WEIGHTS
        if not part.obstacle:
            weights = STOCK_WEIGHTS
            flat = {names.diffusers_key(k): names.to_diffusers(k, v) for k, v in flat.items()}
        yield f"{part.folder}/config.json", as_json(part.config)
        yield f"{part.folder}/{weights}", safetensors.numpy.save(flat, {"format": "pt"})
    networks_outside = {f"{part.name}.safetensors" for part in exported}
    for file in sorted(model.path.glob("*")):
        stored = file.suffix == ".safetensors" and file.name not in networks_outside
        if stored or file.name == "config.json":
            yield f"{ENTROPY}/{file.name}", file.read_bytes()
    module = fusion_module.choose(model, None)
    for file in sorted(module.path.iterdir()) if module is not None else ():
        if file.is_file():
            yield f"{fusion_module.FOLDER}/{file.name}", file.read_bytes()
