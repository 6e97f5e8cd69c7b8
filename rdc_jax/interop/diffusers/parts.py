"""Export formats of U-Net and autoencoder: a diffusers class if one computes the same, or our own.

    diffusers class    its config.json, diffusion_pytorch_model.safetensors
    our own format     config.json {"kind": ..., every field of the module}, model.safetensors

Our own format has the names and the layout (channels last) of our parameters.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.interop.diffusers import configs
from rdc_jax.models.networks import Networks

STOCK_WEIGHTS, OWN_WEIGHTS = "diffusion_pytorch_model.safetensors", "model.safetensors"
NO_CLASS = "an autoencoder of this kind has no class in diffusers"


class Part(NamedTuple):
    """How one network is exported.

    Attributes:
        name: "unet" or "autoencoder".
        folder: Folder of the export.
        config: Content of config.json.
        obstacle: Why no diffusers class computes the same, or None if one does.
    """

    name: str
    folder: str
    config: dict[str, Any]
    obstacle: str | None


def parts(model: Mapping[str, Any], networks: Networks) -> list[Part]:
    """Returns how U-Net and autoencoder are exported.

    Args:
        model: The `model` section of a config.
        networks: Networks of this config.
    """
    found = []
    if networks.unet is not None:
        obstacle = configs.unet_obstacle(networks)
        config = own_unet_config(networks) if obstacle else configs.unet_config(networks)
        found.append(Part("unet", "unet", config, obstacle))
    if model["autoencoder"]["kind"] == "kl":
        config = configs.autoencoder_config(networks.autoencoder)
        return [*found, Part("autoencoder", "vae", config, None)]
    config = own_autoencoder_config(model, networks)
    return [*found, Part("autoencoder", "autoencoder", config, NO_CLASS)]


def own_unet_config(networks: Networks) -> dict[str, Any]:
    """Returns config.json of a U-Net in our own format: every field of `models.unet.UNet`."""
    unet = networks.unet
    fields = ("channels", "layers", "heads", "mid_heads", "norm", "groups", "out_channels")
    return {
        "kind": "unet",
        "context_shape": networks.context_shape,
        "in_channels": networks.unet_channels,
        "prediction": networks.prediction,
        "prior_conditioning": networks.prior_conditioning,
        "silent_scales": networks.silent_scales,  # name on disk of the scales in skip mode
        **{name: getattr(unet, name) for name in fields},
    }


def own_autoencoder_config(model: Mapping[str, Any], networks: Networks) -> dict[str, Any]:
    """Returns config.json of an autoencoder in our own format: every field of its module."""
    module, kind = networks.autoencoder, model["autoencoder"]["kind"]
    known = ("parent", "name", "dtype")
    fields = {k: getattr(module, k) for k in module.__dataclass_fields__ if k not in known}
    return {
        "kind": kind,
        **fields,
        "downsampling": networks.downsampling,
        "latent_channels": networks.latent_channels,
    }
