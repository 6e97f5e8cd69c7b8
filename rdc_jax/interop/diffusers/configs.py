"""Conversion between config.json of diffusers' U-Nets and autoencoders and our config sections.

Our networks cover Stable Diffusion 1.x and 2.x. All other options of the diffusers classes must
have the values of these models, and unknown options must be off. Otherwise the weights would
compute something else, so an error names the option.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.errors import RdcError
from rdc_jax.models.autoencoder_kl import AutoencoderKL
from rdc_jax.models.networks import Networks
from rdc_jax.models.unet import UNet

CONDITIONED, UNCONDITIONED, AUTOENCODER = "UNet2DConditionModel", "UNet2DModel", "AutoencoderKL"
UNET_FIXED = {
    "act_fn": "silu",
    "attention_type": "default",
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "resnet_out_scale_factor": 1,
    "resnet_time_scale_shift": "default",
    "time_embedding_type": "positional",
    "transformer_layers_per_block": 1,
    "upsample_type": "conv",
}
AUTOENCODER_FIXED = {
    "act_fn": "silu",
    "mid_block_add_attention": True,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
READ = {  # converted to our settings, or checked, below
    *("in_channels", "out_channels", "block_out_channels", "layers_per_block", "norm_num_groups"),
    *("down_block_types", "mid_block_type", "up_block_types", "attention_head_dim"),
    *("cross_attention_dim", "add_attention", "latent_channels", "scaling_factor"),
}
HARMLESS = {  # do not change the result of given weights
    *("sample_size", "dropout", "upcast_attention", "use_linear_projection", "force_upcast"),
    *("addition_embed_type_num_heads", "addition_time_embed_dim", "num_train_timesteps"),
    "attn_norm_num_groups",
}


class UNetConfig(NamedTuple):
    """A U-Net of diffusers: a full `model.unet` section, channels and width of the context."""

    section: dict[str, Any]
    in_channels: int
    out_channels: int
    context_width: int | None


def read_unet(config: Mapping[str, Any], where: str) -> UNetConfig:
    """Converts the config.json of a U-Net.

    Args:
        config: Content of config.json.
        where: Its path, for error messages.

    Raises:
        RdcError: our U-Net cannot compute the same.
    """
    name = _class(config, where, (CONDITIONED, UNCONDITIONED))
    _check_options(config, UNET_FIXED, where)
    plain = name == UNCONDITIONED
    try:
        channels = tuple(config["block_out_channels"])
        levels = len(channels)
        down, up = tuple(config["down_block_types"]), tuple(config["up_block_types"])
        heads = _per_level(config.get("attention_head_dim") or 8, levels)
        layers = _per_level(config["layers_per_block"], levels)
        section = {
            "channels": channels,
            "layers": int(layers[0]),
            "norm": "group",
            "groups": int(config.get("norm_num_groups") or 0),
        }
        outside = int(config["in_channels"]), int(config["out_channels"])
        widths = set(_per_level(config.get("cross_attention_dim") or 1280, levels))
    except (KeyError, TypeError, ValueError) as error:
        raise RdcError(f"{where} is an incomplete config of {name}: {error!r}") from error
    has_attention, blocks_match = _attention(down, up)
    middle = config.get("mid_block_type", "UNetMidBlock2D" if plain else "UNetMidBlock2DCrossAttn")
    obstacle = (
        (len(down) != levels or not blocks_match, "its blocks differ from ours"),
        (plain and any(has_attention), "ours has no such attention in its blocks"),
        (plain and config.get("add_attention", True), "add_attention is not false"),
        (middle != f"UNetMidBlock2D{'' if plain else 'CrossAttn'}", f"mid_block_type is {middle}"),
        (len(set(layers)) > 1, "layers_per_block differs between levels"),
        (not section["groups"], "norm_num_groups is missing"),
        (len(widths) > 1, "cross_attention_dim differs between levels"),
    )
    for broken, why in obstacle:
        if broken:
            raise RdcError(f"{where}: this U-Net cannot be imported, {why}")
    section["heads"] = tuple(
        int(n) if has else 0 for n, has in zip(heads, has_attention, strict=True)
    )
    section["mid_heads"] = 0 if plain else int(heads[-1])
    return UNetConfig(section, *outside, None if plain else int(widths.pop()))


def _attention(down: tuple[str, ...], up: tuple[str, ...]) -> tuple[list[bool], bool]:
    """Returns which levels have attention, and whether all blocks have types that we support."""
    block = ("DownBlock2D", "UpBlock2D")
    attending = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")
    has_attention = [kind == attending[0] for kind in down]
    expected = tuple((attending if has else block)[0] for has in has_attention)
    mirrored = tuple((attending if has else block)[1] for has in reversed(has_attention))
    return has_attention, down == expected and up == mirrored


def read_autoencoder(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Converts the config.json of an autoencoder to a full `model.autoencoder` section.

    Args:
        config: Content of config.json.
        where: Its path, for error messages.

    Raises:
        RdcError: our autoencoder cannot compute the same.
    """
    _class(config, where, (AUTOENCODER,))
    _check_options(config, AUTOENCODER_FIXED, where)
    try:
        section = {
            "kind": "kl",
            "block_out_channels": tuple(config["block_out_channels"]),
            "layers_per_block": int(config["layers_per_block"]),
            "latent_channels": int(config["latent_channels"]),
            "norm_num_groups": int(config.get("norm_num_groups", 32)),
            "scaling_factor": float(config.get("scaling_factor", 0.18215)),
            "image_channels": int(config.get("in_channels", 3)),
        }
        kinds = {*config["down_block_types"], *config["up_block_types"]}
    except (KeyError, TypeError, ValueError) as error:
        raise RdcError(f"{where} is an incomplete config of {AUTOENCODER}: {error!r}") from error
    if kinds != {"DownEncoderBlock2D", "UpDecoderBlock2D"}:
        raise RdcError(f"{where}: this autoencoder cannot be imported, its blocks differ from ours")
    if config.get("out_channels", 3) != section["image_channels"]:
        raise RdcError(f"{where}: in_channels and out_channels differ")
    return section


def unet_obstacle(networks: Networks) -> str | None:
    """Returns why no diffusers class computes the same as this U-Net, or None if one does."""
    unet = networks.unet
    if unet.norm != "group":
        return "its norms are per pixel (RMS over channels), which no block of diffusers has"
    if not any(unet.heads) and not unet.mid_heads:
        return None
    if networks.context_shape is None:
        return f"its transformers have no cross-attention, which {CONDITIONED} cannot leave out"
    if not unet.mid_heads:
        return f"its middle has no transformer, which {CONDITIONED} cannot leave out"
    if unet.heads[-1] not in (0, unet.mid_heads):
        return f"{CONDITIONED} has as many heads in the middle as at the lowest level"
    return None


def unet_config(networks: Networks) -> dict[str, Any]:
    """Returns config.json of the diffusers class that computes the same as the U-Net.

    Call this only if `unet_obstacle` returns None.
    """
    unet = networks.unet
    attends = bool(unet.mid_heads)
    heads = [n or unet.mid_heads for n in unet.heads]
    down = ["CrossAttnDownBlock2D" if n else "DownBlock2D" for n in unet.heads]
    up = ["CrossAttnUpBlock2D" if n else "UpBlock2D" for n in reversed(unet.heads)]
    config = {
        "_class_name": CONDITIONED if attends else UNCONDITIONED,
        "act_fn": "silu",
        "block_out_channels": list(unet.channels),
        "down_block_types": down,
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": networks.unet_channels,
        "layers_per_block": unet.layers,
        "norm_eps": 1e-5,
        "norm_num_groups": unet.groups,
        "out_channels": networks.latent_channels,
        "up_block_types": up,
    }
    if not attends:
        return config | {"add_attention": False}
    return config | {
        "attention_head_dim": heads,  # diffusers uses this misleading name for the number of heads
        "cross_attention_dim": networks.context_shape[1],
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "use_linear_projection": True,
    }


def autoencoder_config(autoencoder: AutoencoderKL) -> dict[str, Any]:
    """Returns config.json of diffusers' `AutoencoderKL`."""
    levels = len(autoencoder.block_out_channels)
    return {
        "_class_name": AUTOENCODER,
        "act_fn": "silu",
        "block_out_channels": list(autoencoder.block_out_channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": autoencoder.image_channels,
        "latent_channels": autoencoder.latent_channels,
        "layers_per_block": autoencoder.layers_per_block,
        "norm_num_groups": autoencoder.norm_num_groups,
        "out_channels": autoencoder.image_channels,
        "scaling_factor": autoencoder.scaling_factor,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def check_settings(module: UNet | AutoencoderKL, section: Mapping[str, Any], where: str) -> None:
    """Checks that a network of our config has the settings of a file to import.

    Args:
        module: Network of our config.
        section: Settings of the file.
        where: Path of the file, for error messages.

    Raises:
        RdcError: a field differs. The message names it.
    """
    for field, value in section.items():
        if field != "kind" and getattr(module, field) != value:
            raise RdcError(
                f"{where} says {field} {_words(value)}, the config "
                f"{_words(getattr(module, field))}; give the config of this architecture"
            )


def _class(config: Mapping[str, Any], where: str, known: tuple[str, ...]) -> str:
    name = config.get("_class_name")
    if name not in known:
        raise RdcError(f"{where} describes {name or 'no class'}, not {' or '.join(known)}")
    return name


def _check_options(config: Mapping[str, Any], fixed: Mapping[str, Any], where: str) -> None:
    """Raises RdcError unless every option has the value of our networks or is off."""
    for key, value in config.items():
        if key.startswith("_") or key in READ | HARMLESS:
            continue
        if key in fixed:
            wanted = fixed[key]
            if any(v != wanted for v in (value if isinstance(value, list) else [value])):
                raise RdcError(f"{where}: {key} is {value}; only {wanted} can be imported")
        elif value not in (None, False):
            raise RdcError(f"{where}: {key} is {value}, an option that cannot be imported")


def _per_level(value: Any, levels: int) -> list[Any]:
    values = list(value) if isinstance(value, list | tuple) else [value] * levels
    if len(values) != levels:
        raise ValueError(f"{len(values)} values for {levels} levels")
    return values


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
