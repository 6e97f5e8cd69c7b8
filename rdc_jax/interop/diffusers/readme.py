"""The README.md of an exported folder: how to load it, what it lacks, and its licence."""

from typing import Any

from rdc_jax.interop.diffusers.parts import Part
from rdc_jax.interop.export_folder import licence
from rdc_jax.model_folder import codec_model

LOADING = {
    "UNet2DConditionModel": 'unet = UNet2DConditionModel.from_pretrained("FOLDER/unet")',
    "UNet2DModel": 'unet = UNet2DModel.from_pretrained("FOLDER/unet")',
    "AutoencoderKL": 'vae = AutoencoderKL.from_pretrained("FOLDER/vae")',
}


def readme(model: codec_model.Model, exported: list[Part]) -> str:
    """Returns the text of README.md."""
    stock = [part.config["_class_name"] for part in exported if not part.obstacle]
    lines = [
        f"# {model.name}, exported by rdc_jax",
        "",
        f"Model id `{model.model_id.hex()}`: `.rdc` files that carry it decode with this model.",
        "",
    ]
    if stock:
        lines += [
            "```python",
            f"from diffusers import {', '.join(['DDIMScheduler', *stock])}",
            "",
            *(LOADING[name] for name in stock),
            'scheduler = DDIMScheduler.from_pretrained("FOLDER/scheduler")',
            "```",
            "",
        ]
    for part in exported:
        if part.obstacle:
            lines += [f"- {explanation(part)}"]
    lines += [
        "- `scheduler/`: " + noise_in_words(model.config),
        "- `entropy/`: the integer entropy model, the hyperprior's float weights, and all other "
        "parts of the model as rdc_jax stores them, with its `config.json`.",
    ]
    if (model.path / "fusion").is_dir():
        lines += [
            "- `fusion/`: the fusion module, which makes a decoded image realistic, as stored."
        ]
    if model.config.get("context_shape"):
        lines += [
            "- The U-Net's `encoder_hidden_states` are constant: `empty_prompt` in "
            "`entropy/context.safetensors`."
        ]
    if model.config["unet"] is not None and not model.config["prior_conditioning"]:
        lines += [
            "- The input of the U-Net is sqrt(alphas_cumprod[t]) times the dequantised latent. The "
            "U-Net supports a separate timestep at every pixel. A single number means a uniform "
            "importance map."
        ]
    lines += [
        "- `manifest.json`: SHA-256 of every file. No file contains pickled data.",
        "",
        "`rdc import --from diffusers FOLDER MODEL` restores the model bit for bit.",
        "",
        "## Licence of the weights",
        "",
        licence(model),
        "",
    ]
    return "\n".join(lines)


def explanation(part: Part) -> str:
    """Returns one line on a part that no diffusers class computes."""
    return (
        f"`{part.folder}/` is not a diffusers class: {part.obstacle}. It holds our parameters "
        "under our names, channels last. `config.json` has all settings of the module "
        f'("kind": "{part.config["kind"]}").'
    )


def noise_in_words(model: dict[str, Any]) -> str:
    """Describes the content of the exported scheduler, and what it cannot express."""
    kind = model["schedule"]["kind"]
    text = f"our {kind.replace('_', ' ')} noise schedule and prediction type, for DDIMScheduler"
    if model.get("step_profile"):
        text += "; the ratios between channels are in `entropy/step_profile.safetensors`"
    if model["prior_conditioning"]:
        text += "; signal and noise are per element, standardised by the entropy model's prior"
    return text + "."
