"""`rdc data encode-latents`: runs the frozen autoencoder over a set of photos once.

Training on the result (data.kind=latents) neither reads image files nor encodes them. Several hosts
can share the work: each one encodes its own shards with its own devices.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from rdc_jax.cli import job_sharing
from rdc_jax.cli.commands.train import INTERRUPTED, configured
from rdc_jax.codec import compilation_cache
from rdc_jax.data import encode_latents, sources
from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.latent_source import autoencoder_identity
from rdc_jax.data.shards import SKIPPED
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.models.networks import Networks
from rdc_jax.training import check_config, program
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks import latent_checks

TILES_PER_DEVICE = 4


def run(args: Namespace) -> int:
    config = configured(args.config, args.overrides)
    compilation_cache.enable()
    try:
        manifest = encode(config, args)
    except KeyboardInterrupt:
        print(
            "rdc: interrupted; the same command continues with the missing shards",
            file=sys.stderr,
        )
        return INTERRUPTED
    if not manifest["complete"]:
        shards = manifest["shards"]
        done = sum(shard is not None for shard in shards)
        print(f"{args.out}: {done} of {len(shards)} shards; other processes write the others")
        return 0
    text = f"{args.out}: {manifest['images']} photos, {manifest['tiles']} tiles"
    if manifest["enlarged"]:
        side = manifest["settings"]["tile"]
        text += f", {manifest['enlarged']} photos enlarged because they are smaller than {side}"
    if manifest["masks"]:
        text += f", {manifest['masks']} photos with a mask"
    text += f", {len(manifest['shards'])} shards, {manifest['bytes'] / 1e6:.1f} MB"
    if manifest["skipped"]:
        text += f"; {manifest['skipped']} skipped, listed in {args.out}/{SKIPPED}"
    print(text)
    return 0


def encode(config: ml_collections.ConfigDict, args: Namespace) -> dict[str, Any]:
    """Encodes the photos of the config's `data` section; returns the manifest of the set."""
    config = check_config.checked(config)
    latent_checks.check_downsampling(config.name, Networks.from_config(config.model.to_dict()))
    size, cell = config.data.crop_size, config.model.cell_size
    tile = args.tile or 2 * size
    if tile < size or tile % cell or tile % LATENT_PIXELS:
        raise RdcError(
            f"--tile {tile} must be a multiple of {np.lcm(cell, LATENT_PIXELS)} and at least "
            f"data.crop_size {size}"
        )
    config.data.kind = sources.kind_of(config.data.kind, config.data.path)
    if config.data.kind == "latents":
        raise RdcError("data.kind must name images here, not latents")
    if not config.init_from:
        raise RdcError("encode-latents needs init_from=FOLDER with the autoencoder's weights")
    sharing = job_sharing.place(args, os.environ)
    source = sources.open_source(
        config.data.kind,
        config.data.path,
        split=config.data.split,
        tfds_dir=config.data.tfds_dir,
        synthetic_size=2 * size,
        seed=config.seed,
        cache=False,
    )
    params = autoencoder_parameters(config)
    settings = encode_latents.Settings(
        tile=tile,
        latent_channels=config.model.latent_channels,
        autoencoder=autoencoder_identity(params, config.model.autoencoder.to_dict()),
        compute_dtype=config.training.compute_dtype,
    )
    batch = (args.batch or TILES_PER_DEVICE) * jax.local_device_count()
    return encode_latents.encode_latents(
        source,
        args.out,
        settings,
        compiled_encoder(config, params),
        batch=batch,
        shards=args.shards,
        threads=config.data.num_threads,
        sharing=sharing,
    )


def autoencoder_parameters(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The autoencoder of init_from. Raises RdcError when it does not fit this config."""
    params = codec_model.load(config.init_from).params.get("autoencoder", {})
    module = Networks.from_config(config.model.to_dict()).autoencoder
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    wanted = jax.eval_shape(module.init, jax.random.key(0), image)["params"]
    if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, wanted):
        raise RdcError(
            f"init_from={config.init_from} has another autoencoder than model.autoencoder of "
            "this config"
        )
    latent = jax.eval_shape(
        lambda p, x: module.apply({"params": p}, x, method="encode"), wanted, image
    )
    if latent.shape[-1] != config.model.latent_channels:
        raise RdcError(
            f"model.latent_channels is {config.model.latent_channels}, but model.autoencoder makes "
            f"{latent.shape[-1]}"
        )
    return params


def compiled_encoder(
    config: ml_collections.ConfigDict, params: Mapping[str, Any]
) -> encode_latents.Encode:
    """The autoencoder as a function of a batch of crops, spread over the devices of this host."""
    mesh = partitioning.make_mesh(devices=jax.local_devices())
    networks = Networks.from_config(config.model.to_dict())
    networks = program.training_networks(config.training, networks, mesh)
    split = partitioning.batch_sharding(mesh)
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    weights = jax.device_put({"autoencoder": dict(params)}, whole)

    @jax.jit
    def latents_of(weights, tiles):
        x = tiles.astype(jnp.float32) / PIXEL_RANGE - 1.0
        return networks.encode(weights, x).astype(jnp.float16)

    def encode(tiles: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(latents_of(weights, jax.device_put(tiles, split)))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise RdcError(
                f"{len(tiles)} tiles of {tiles.shape[1]} pixels do not fit in the devices' "
                "memory; use a smaller --batch or --tile"
            ) from error

    return encode
