"""The README.md of an exported folder: what loads it, what it is not, whose licence applies."""

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
    """Text of README.md."""
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
        "- `entropy/`: what decides a symbol (integers), the hyperprior's float weights, and the "
        "other parts of the model as rdc_jax stores them, with its `config.json`.",
    ]
    if (model.path / "fusion").is_dir():
        lines += ["- `fusion/`: the module that makes a decoded picture realistic, as stored."]
    if model.config.get("context_shape"):
        lines += [
            "- The U-Net's `encoder_hidden_states` is a constant: `empty_prompt` in "
            "`entropy/context.safetensors`."
        ]
    if model.config["unet"] is not None and not model.config["prior_conditioning"]:
        lines += [
            "- The U-Net sees sqrt(alphas_cumprod[t]) times the dequantised latent. It was made "
            "for a timestep of its own at every pixel; a plain number is the case of an even map."
        ]
    lines += [
        "- `manifest.json`: sha256 of every file. There is no pickle in any of them.",
        "",
        "Back again, bit for bit: `rdc import --from diffusers FOLDER MODEL`.",
        "",
        "## Licence of the weights",
        "",
        licence(model),
        "",
    ]
    return "\n".join(lines)


def explanation(part: Part) -> str:
    """One line on a part that is no class of diffusers."""
    return (
        f"`{part.folder}/` is no diffusers class: {part.obstacle}. It holds our parameters under "
        'our names, channels last, and in `config.json` all that builds the module ("kind": '
        f'"{part.config["kind"]}").'
    )


def noise_in_words(model: dict[str, Any]) -> str:
    """What the exported scheduler says, and what it leaves out."""
    kind = model["schedule"]["kind"]
    text = f"our {kind.replace('_', ' ')} noise schedule and prediction type, for DDIMScheduler"
    if model.get("step_profile"):
        text += "; the ratios between channels are in `entropy/step_profile.safetensors`"
    if model["prior_conditioning"]:
        text += "; signal and noise are per element, standardised by the entropy model's prior"
    return text + "."
