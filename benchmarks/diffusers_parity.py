"""Checks that imported diffusers weights give the same outputs in both libraries, at full size.

    python benchmarks/diffusers_parity.py                      layout of Stable Diffusion 2.1
    python benchmarks/diffusers_parity.py configs/sd21.py:smoke

diffusers writes random weights with `save_pretrained`, and the code of `rdc import` reads them. One
latent of 64 x 64 with 77 tokens and one image of 512 x 512 go through both libraries, in float32 on
a CPU. The script prints the largest absolute difference relative to the largest output. Full size
needs about 9 GB of memory, 4 GB in --folder, and seven minutes on two cores. Only one library holds
its network in memory at a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDES = {"configs/sd21.py": 64}  # side of the latent by config; OTHER_SIDE for other configs
OTHER_SIDE = 16
TIMESTEP = 321.5


def inputs(networks, side: int) -> dict[str, np.ndarray]:
    """Draws one latent, context and image, float32, channels last."""
    rng = np.random.default_rng(0)
    pixels = side * networks.downsampling
    return {
        "latent": rng.standard_normal((1, side, side, networks.latent_channels), np.float32),
        "context": rng.standard_normal((1, *networks.context_shape), np.float32),
        "image": rng.uniform(-1, 1, (1, pixels, pixels, 3)).astype(np.float32),
    }


def theirs(networks, arrays: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Returns outputs of diffusers with random weights, and writes the weights to the folder."""
    import diffusers
    import torch

    from rdc_jax.interop.diffusers import configs

    def nchw(x):
        return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))

    torch.manual_seed(0)
    found = {}
    with torch.inference_mode():
        config = configs.unet_config(networks)
        unet = diffusers.UNet2DConditionModel.from_config(config).eval()
        times = torch.tensor([TIMESTEP])
        context = torch.from_numpy(arrays["context"])
        found["unet"] = unet(nchw(arrays["latent"]), times, context).sample
        unet.save_pretrained(folder / "unet")
        del unet
        gc.collect()
        config = configs.autoencoder_config(networks.autoencoder)
        vae = diffusers.AutoencoderKL.from_config(config).eval()
        factor = vae.config.scaling_factor
        found["encode"] = vae.encode(nchw(arrays["image"])).latent_dist.mean * factor
        found["decode"] = vae.decode(nchw(arrays["latent"]) / factor).sample
        vae.save_pretrained(folder / "vae")
    return {name: value.numpy().transpose(0, 2, 3, 1) for name, value in found.items()}


def ours(networks, model, arrays: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Returns outputs of our networks with the weights in the folder."""
    import jax

    from rdc_jax.interop.diffusers import importing

    params = importing.load(folder, model).params
    found = {}
    for name, part, call in (
        ("unet", "unet", lambda p, a: networks.unet.apply(
            {"params": p["unet"]}, a["latent"], np.float32([TIMESTEP]), a["context"])),
        ("encode", "autoencoder", lambda p, a: networks.encode(p, a["image"])),
        ("decode", "autoencoder", lambda p, a: networks.decode(p, a["latent"])),
    ):  # fmt: skip
        found[name] = np.asarray(jax.jit(call)({part: params[part]}, arrays))
        if name == "unet":
            del params["unet"]
            gc.collect()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/sd21.py")
    parser.add_argument("--folder", help="folder of the weights; default: a temporary one")
    args = parser.parse_args()

    from rdc_jax.cli.commands.train import load_config
    from rdc_jax.models.networks import Networks

    model = load_config(args.config).model.to_dict()
    networks = Networks.from_config(model)
    side = SIDES.get(args.config, OTHER_SIDE)
    arrays = inputs(networks, side)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        start = time.monotonic()
        expected = theirs(networks, arrays, Path(folder))
        gc.collect()
        print(f"diffusers: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        given = ours(networks, model, arrays, Path(folder))
    figures = {
        name: float(np.abs(given[name] - value).max() / np.abs(value).max())
        for name, value in expected.items()
    }
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.monotonic() - start
    print(json.dumps({"config": args.config, "latent_side": side, "relative_error": figures,
                      "seconds": round(seconds), "peak_gib": round(memory, 1)}))  # fmt: skip
    return 0 if max(figures.values()) <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
