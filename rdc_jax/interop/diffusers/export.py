"""Export of a model folder as folders that diffusers loads, with the rest as safetensors and JSON.

    unet/       config.json and weights of UNet2DConditionModel or UNet2DModel if one of them
                computes the same as our U-Net, otherwise a part in our own format
    vae/        AutoencoderKL, or autoencoder/ for small autoencoders, which diffusers lacks
    scheduler/  our noise schedule and prediction type, for DDIMScheduler
    entropy/    config.json and the rest of the model folder as stored: integer network and tables,
                hyperprior, step profile, context
    fusion/     the fusion module as stored, if the model has one
    README.md, LICENSE*, manifest.json (SHA-256 of every file, and the model id)

A part in our own format is config.json {"kind": ..., every field of the module} and
model.safetensors, with the names and the layout (channels last) of our parameters. Arrays keep the
precision of the model folder. Nothing is lost: `rdc import --from diffusers` gives the same model
id.
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
    """Writes an exported folder, the manifest last.

    Args:
        model: The model to export.
        networks: Its networks.
        out: Folder to write to.

    Returns:
        How each network was exported.

    Raises:
        OSError: the folder cannot be written.
    """
    exported = parts(model.config, networks)
    export_folder.write(out, model, files(model, networks, exported))
    return exported


def files(model: Model, networks: Networks, exported: list[Part]) -> Iterator[tuple[str, bytes]]:
    """Yields names and contents of all files except the manifest.

    Files come one at a time, because weights can be large.

    Args:
        model: The model to export.
        networks: Its networks.
        exported: From `parts.parts`.
    """
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
