"""Imported weights against diffusers itself: outputs and gradients. Skipped without diffusers."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import sd21
from rdc_jax.diffusion import preconditioning
from rdc_jax.interop.diffusers import configs, importing, names
from rdc_jax.model_folder.files import flatten, parameter_shapes
from rdc_jax.models.autoencoder_kl import AutoencoderKL
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.models.unet import UNet
from rdc_jax.training.tasks import codec_losses

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

CROSS = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")
PLAIN = ("DownBlock2D", "UpBlock2D")
TOKENS = 3
LAYOUTS = {  # attention at which levels, then options of the class
    "stable diffusion 2": (
        (1, 1, 0), dict(attention_head_dim=(2, 4, 8), use_linear_projection=True),
    ),
    "stable diffusion 1": ((1, 1, 0), dict(attention_head_dim=4)),
    "all levels": ((1, 1), dict(attention_head_dim=(1, 2), layers_per_block=2)),
    "coarse only": ((0, 1), dict(attention_head_dim=(2, 8), use_linear_projection=True)),
    "middle only": ((0, 0), dict(attention_head_dim=2)),
    "no attention": ((0, 0, 0), dict(add_attention=False)),
}  # fmt: skip


def randomized(module):
    """A module of diffusers with random weights in every layer, norms and biases included."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            noise = torch.randn(value.shape, generator=generator)
            fan_in = value[0].numel()
            value.copy_(noise / fan_in**0.5 if value.ndim > 1 else value + 0.1 * noise)
    return module.eval()


def stock_unet(layout):
    """A small U-Net of diffusers."""
    attends, options = LAYOUTS[layout]
    channels = (16, 32, 32)[: len(attends)]
    blocks = [CROSS if level else PLAIN for level in attends]
    shared = dict(
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        down_block_types=tuple(down for down, _ in blocks),
        up_block_types=tuple(up for _, up in reversed(blocks)),
        norm_num_groups=8,
    )
    options = {"layers_per_block": 1} | shared | options
    if "add_attention" in options:
        return randomized(diffusers.UNet2DModel(**options))
    return randomized(diffusers.UNet2DConditionModel(cross_attention_dim=12, **options))


def saved(module, folder):
    module.save_pretrained(folder)
    return folder


def imported_unet(folder):
    """Our U-Net and its parameters from a folder of diffusers."""
    where, config = importing.read_config(folder)
    theirs = configs.read_unet(config, where)
    model = UNet(theirs.out_channels, **theirs.section)
    context = jnp.zeros((1, TOKENS, theirs.context_width)) if theirs.context_width else None
    noisy = jnp.zeros((1, 8, 8, theirs.in_channels))
    shapes = jax.eval_shape(model.init, jax.random.key(0), noisy, jnp.zeros(1), context)["params"]
    return model, importing.stock_parameters(folder, parameter_shapes(shapes)), context


def nchw(x):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)))


def nhwc(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unets_agree(layout, tmp_path, rng):
    theirs = stock_unet(layout)
    model, params, context = imported_unet(saved(theirs, tmp_path))
    noisy = rng.normal(0, 1, (2, 8, 16, 4)).astype(np.float32)
    times = np.array([17.25, 640.0], np.float32)
    inputs = (nchw(noisy), torch.from_numpy(times))
    if context is not None:
        context = rng.normal(0, 1, (2, TOKENS, 12)).astype(np.float32)
        inputs += (torch.from_numpy(context),)
    with torch.no_grad():
        expected = nhwc(theirs(*inputs).sample)
    assert expected.std() > 0.1
    apply = jax.jit(model.apply)
    assert_close(apply({"params": params}, noisy, times, context), expected)
    if layout not in ("stable diffusion 2", "no attention"):
        return
    # A constant map, pixel by pixel and as levels, is the same thing.
    by_pixel = np.broadcast_to(times[:, None, None, None], (2, 8, 16, 1))
    assert_close(apply({"params": params}, noisy, jnp.asarray(by_pixel), context), expected)
    levels = jnp.asarray(rng.integers(0, 2, (2, 8, 16)))
    by_level = level_timesteps(jnp.repeat(jnp.asarray(times)[:, None], 2, 1), levels)
    assert_close(apply({"params": params}, noisy, by_level, context), expected)


@pytest.mark.parametrize(
    "options",
    [
        dict(block_out_channels=(8, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4),
        dict(block_out_channels=(8, 8, 24), layers_per_block=2, latent_channels=6,
             norm_num_groups=8, scaling_factor=0.5),
    ],
)  # fmt: skip
def test_autoencoders_agree(options, tmp_path, rng):
    levels = len(options["block_out_channels"])
    theirs = randomized(
        diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            **options,
        )
    )
    where, config = importing.read_config(saved(theirs, tmp_path))
    section = configs.read_autoencoder(config, where)
    assert section.pop("kind") == "kl"
    model = AutoencoderKL(**section)
    images = rng.uniform(-1, 1, (2, 16, 32, 3)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    params = importing.stock_parameters(tmp_path, parameter_shapes(shapes))
    factor = theirs.config.scaling_factor
    with torch.no_grad():
        latent = nhwc(theirs.encode(nchw(images)).latent_dist.mean * factor)
        decoded = nhwc(theirs.decode(nchw(latent) / factor).sample)
    apply = jax.jit(model.apply, static_argnames="method")
    assert_close(apply({"params": params}, images, method="encode"), latent)
    assert_close(apply({"params": params}, latent, method="decode"), decoded)


@pytest.mark.parametrize("prediction", ["v", "eps"])
def test_a_training_loss_and_its_gradients_agree(prediction, monkeypatch, rng):
    """The loss of stage "diffusion" at uniform maps. Its noise is recorded and given to PyTorch."""
    section = sd21.get_config("smoke").model.to_dict() | {"prediction": prediction}
    networks = Networks.from_config(section)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))

    def draw(path, leaf):
        noise = rng.standard_normal(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return noise / np.float32(np.sqrt(np.prod(leaf.shape[:-1])))
        return 0.1 * noise + np.float32(path[-1].key == "scale")

    params = jax.tree.map_with_path(draw, shapes)
    recipe = codec_losses.Recipe(
        16, (10, 700), 400.0, uniform_map_share=1.0, input_perturbation=0.1
    )
    loss = codec_losses.diffusion_loss(networks, recipe)
    latent = rng.normal(0, 1, (4, 16, 16, 4)).astype(np.float32)
    batch = {"latent": latent, "importance": np.zeros((4, 8, 8), np.uint8)}
    trained, frozen = {"unet": params["unet"]}, {k: v for k, v in params.items() if k != "unet"}
    key = jax.random.key(0)
    ours, gradients = jax.jit(jax.value_and_grad(lambda p: loss(p, frozen, batch, key)[0]))(trained)

    recorded = {}
    run_unet, target = Networks.run_unet, preconditioning.target

    def recording_unet(self, params, yhat, timesteps, mean, scale):
        output, z = run_unet(self, params, yhat, timesteps, mean, scale)
        recorded.update(noisy=z.noisy, t=timesteps.values[:, 0])
        return output, z

    def recording_target(*arguments):
        recorded["target"] = target(*arguments)
        return recorded["target"]

    monkeypatch.setattr(Networks, "run_unet", recording_unet)
    monkeypatch.setattr(preconditioning, "target", recording_target)
    loss(trained, frozen, batch, key)

    theirs = diffusers.UNet2DConditionModel.from_config(configs.unet_config(networks))
    flat = flatten(params["unet"])
    state = {
        names.diffusers_key(k): torch.from_numpy(names.to_diffusers(k, v)) for k, v in flat.items()
    }
    theirs.load_state_dict(state)
    context = torch.from_numpy(np.asarray(params["context"]["empty_prompt"]))
    output = theirs(
        nchw(recorded["noisy"]), torch.from_numpy(np.array(recorded["t"])),
        context[None].expand(4, -1, -1),
    ).sample  # fmt: skip
    error = torch.nn.functional.mse_loss(output, nchw(recorded["target"]))
    error.backward()
    assert float(ours) == pytest.approx(error.item(), rel=1e-4)
    expected = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    for path, value in flatten(gradients["unet"]).items():
        name = names.diffusers_key(path)
        want, given = expected.pop(name), names.to_diffusers(path, np.asarray(value))
        assert np.linalg.norm(given - want) <= 1e-3 * np.linalg.norm(want), name
    assert not expected


@pytest.mark.slow
def test_the_benchmark_of_the_full_size_runs_at_a_small_one():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "benchmarks/diffusers_parity.py", "configs/sd21.py:smoke"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["relative_error"].keys() == {"unet", "encode", "decode"}
