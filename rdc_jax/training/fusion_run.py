"""What a run that trains the plug-and-play module does otherwise than one that trains a codec.

The frozen base codec comes from `init_from` (a shipped model's name or a folder), and with it
`config.model`; the module of an earlier stage from `fusion_from`.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from rdc_jax import fusion_folder, model_folder
from rdc_jax.diffusion import losses, residual
from rdc_jax.diffusion.quantization import add_uniform_noise
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import perceptual, perceptual_weights
from rdc_jax.models.fusion import Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training import fusion_stages, looks
from rdc_jax.training.initialization import fitted_to
from rdc_jax.training.stages import Noised, entropy_bits, received_latent
from rdc_jax.training.validation import TIMESTEPS

STEPS = (1, 2, 4)  # sampler steps that validation looks at


def is_fusion(config: ml_collections.ConfigDict) -> bool:
    """Whether the config's stage trains a module."""
    return config.stage in fusion_stages.TRAINED


def makes_codec(config: ml_collections.ConfigDict) -> bool:
    """Whether the config's stage trains a codec: alone, or together with its module."""
    return not is_fusion(config) or config.stage in fusion_stages.WITH_BASE


def without_module(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a run's parameters that are a codec's."""
    others = {*fusion_stages.MODULE, "perceptual"}
    return {part: tree for part, tree in params.items() if part not in others}


def codec_name(config: ml_collections.ConfigDict) -> str:
    """What the codec that a run makes is called: with a module, as its base was."""
    return model_folder.load(config.init_from).name if is_fusion(config) else config.name


def with_base(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config with the `model` section of its base codec, grown where `grow` says so.

    Configs of other stages are returned as they are.
    """
    if not is_fusion(config):
        return config
    if not config.init_from:
        raise RdcError(f"stage {config.stage} needs init_from=MODEL, the frozen base codec")
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model = ml_collections.ConfigDict(model_folder.load(config.init_from).config)
        for part, fields in config.grow.items():
            if fields and config.stage not in fusion_stages.WITH_BASE:
                raise RdcError(f"stage {config.stage} keeps its base: grow.{part} must be empty")
            config.model[part].update(fields)
    return config


def initial_parameters(config: ml_collections.ConfigDict, networks: Networks) -> dict[str, Any]:
    """The base codec's parameters, the module's (fresh, or of `fusion_from`), and the LPIPS net."""
    base = model_folder.load(config.init_from)
    base_params = fitted_to(networks, base.params, config.seed)
    fusion = build(config, networks)
    module = jax.jit(fusion.init)(jax.random.key(config.seed))
    module = jax.device_get(fusion.start(module, base_params))
    if config.fusion_from:
        earlier = fusion_folder.load(config.fusion_from, base.model_id).params
        for part, params in earlier.items():
            fresh, stored = map(model_folder.parameter_shapes, (module[part], params))
            if fresh != stored:
                raise RdcError(f"the {part} in {config.fusion_from} does not fit config.fusion")
        module |= earlier
    params = base_params | module
    if config.stage != "transform":
        judges = looks.Looks.from_config(config.training.looks.to_dict())
        params["perceptual"] = looks.load_networks(judges)
    return params


def build(config: ml_collections.ConfigDict, networks: Networks) -> Fusion:
    """The module's networks."""
    return Fusion.from_config(config.fusion.to_dict(), networks)


def export(config: ml_collections.ConfigDict, folder: Path, params: Mapping[str, Any]) -> None:
    """Writes the module's folder, bound to the base of `init_from`. params: host arrays.

    A module that has learnt together with its base goes inside the folder of that new base.
    """
    base = config.init_from
    if makes_codec(config):
        base, folder = folder, folder / fusion_folder.FOLDER
    base_id = model_folder.load(base).model_id
    fusion_folder.save(folder, config.name, config.fusion.to_dict(), base_id, params)


def make_validation(config: ml_collections.ConfigDict, networks: Networks):
    """Returns (params, crops) -> (scalars, sheet), the module's fixed validation rule.

    Rate, PSNR and LPIPS (AlexNet) of held-out crops, uint8 [N,S,S,3], at
    the codec's validation timesteps: at tau 0, and at tau 1 after each number of steps in STEPS.
    In stage auxiliary, tau 1 is the auxiliary encoder's latent. The sheet has the originals on
    top, then per timestep a row at tau 0 and one at tau 1 after one step.
    """
    fusion = build(config, networks)
    ruler = jax.tree.map(jnp.asarray, perceptual_weights.load("alexnet"))
    of_encoder = config.stage == "auxiliary"

    @jax.jit
    def measure(params, ruler, crop, timestep):
        x = crop.astype(jnp.float32) / losses.PIXEL_RANGE - 1.0
        y = networks.encode(params, x)
        index = jnp.zeros(y.shape[:3], jnp.int32)
        timesteps = level_timesteps(timestep.astype(jnp.float32).reshape(1, 1), index)
        code_key, z_key, noise_key = jax.random.split(jax.random.key(0), 3)
        yhat = add_uniform_noise(code_key, y, networks.steps_at_pixels(params, timesteps))
        noised = Noised(x, y, yhat, timesteps, jnp.ones((*y.shape[:3], 1)))
        y_bits, z_bits, mean, scale = entropy_bits(networks, params, noised, z_key)
        received = received_latent(networks, params, noised, mean)
        decoded = decoded_latent(networks, params, received, timesteps, mean, scale)
        latents = {"": decoded.latent}
        if of_encoder:
            latents["_y_p"] = fusion.better_latent(params, x, y, decoded)
        else:
            noise = fusion_stages.unit_noise(noise_key, y.shape)
            for steps in STEPS:
                clean = sample(fusion, params, noise, decoded, steps)
                latents[f"_{steps}"] = decoded.latent + decoded.deviation * clean
        bpp = jnp.sum(y_bits + z_bits) / (crop.shape[1] * crop.shape[2])
        results, pictures = {"bpp": bpp}, []
        for name, latent in latents.items():
            picture = jnp.clip(networks.decode(params, latent), -1.0, 1.0) + 1.0
            shown = jnp.round(losses.PIXEL_RANGE * picture)
            mse = jnp.mean(jnp.square(shown - crop.astype(jnp.float32)))
            results[f"psnr{name}"] = 10 * jnp.log10(255.0**2 / mse)
            in_range = shown / losses.PIXEL_RANGE - 1.0
            results[f"lpips{name}"] = perceptual.lpips(ruler, x, in_range)[0]
            pictures.append(shown[0].astype(jnp.uint8))
        return results, pictures[0], pictures[1]

    def run(params: Any, crops: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        scalars: dict[str, float] = {}
        rows = [np.concatenate(list(crops[:6]), axis=1)]
        for t in TIMESTEPS:
            found = [jax.device_get(measure(params, ruler, c[None], jnp.asarray(t))) for c in crops]
            for name in found[0][0]:
                scalars[f"{name}@{t}"] = float(np.mean([f[0][name] for f in found]))
            for which in (1, 2):
                rows.append(np.concatenate([f[which] for f in found[:6]], axis=1))
        return scalars, np.concatenate(rows, axis=0)

    return run


def sample(fusion: Fusion, params, noise: jax.Array, decoded, num_steps: int) -> jax.Array:
    """The module's DDIM sample of the residual, [B,h,w,C], unrolled."""
    noisy, values = noise, residual.clock(num_steps)
    for pair in itertools.pairwise(values):
        now, after = (jnp.full((noise.shape[0],), u) for u in pair)
        v = fusion.velocity(params, noisy, now, decoded)
        noisy = residual.ddim_step(noisy, v, now, after)
    return noisy
