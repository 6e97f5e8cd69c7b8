"""The PyTorch U-Net, and diffusers' own with a map of timesteps, against the Flax U-Net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rdc_jax.errors import RdcError  # noqa: E402
from rdc_jax.interop.torch import timesteps as torch_timesteps  # noqa: E402
from rdc_jax.interop.torch.layout import torch_state  # noqa: E402
from rdc_jax.interop.torch.networks import make_unet  # noqa: E402
from rdc_jax.interop.torch.weights import load_state  # noqa: E402
from rdc_jax.models import timesteps as flax_timesteps  # noqa: E402
from rdc_jax.models.unet import UNet  # noqa: E402

CONTEXT = (3, 20)
OWN = {  # without attention: ours
    "pixel": dict(channels=(16, 24, 32), layers=1, heads=(0, 0, 0), mid_heads=0, norm="pixel"),
    "pixel, 2 layers": dict(channels=(8, 16), layers=2, heads=(0, 0), mid_heads=0, norm="pixel"),
    "one level": dict(channels=(12,), layers=1, heads=(0,), mid_heads=0, norm="pixel"),
    "group": dict(channels=(16, 32), layers=1, heads=(0, 0), mid_heads=0, groups=4),
}
STOCK = {  # with transformers: diffusers'
    "sd21": dict(channels=(16, 16, 32, 32), layers=1, heads=(2, 2, 4, 0), mid_heads=4, groups=8),
    "other heads": dict(channels=(16, 24), layers=1, heads=(4, 3), mid_heads=3, groups=4),
    "coarse alone": dict(channels=(8, 16), layers=1, heads=(0, 2), mid_heads=2, groups=4),
}
LAYOUTS = OWN | STOCK
CHANNELS_IN, CHANNELS_OUT, SIDE = 5, 4, 16


def to_torch(x):
    """Converts [B,h,w,c] to [B,c,h,w]."""
    return torch.from_numpy(np.moveaxis(np.array(x), -1, 1).copy())


def random_params(shapes, rng):
    def draw(leaf):
        scale = 0.3 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return rng.normal(0, scale, leaf.shape).astype(np.float32)

    return jax.tree.map(draw, shapes)


def pair(name, rng):
    """(Flax function, PyTorch function, PyTorch module) of one layout with the same weights."""
    if name in STOCK:
        pytest.importorskip("diffusers")
    fields = LAYOUTS[name]
    ours = UNet(CHANNELS_OUT, **fields)
    x = jnp.zeros((1, SIDE, SIDE, CHANNELS_IN))
    tokens = jnp.zeros((1, *CONTEXT))
    shapes = jax.eval_shape(ours.init, jax.random.key(0), x, jnp.zeros((1,)), tokens)["params"]
    params = random_params(shapes, rng)
    theirs = make_unet(CHANNELS_IN, CHANNELS_OUT, fields, CONTEXT[1])
    load_state(theirs, torch_state(params))
    theirs.requires_grad_(False)

    def run(x, t, context=None):
        return np.asarray(jax.jit(ours.apply)({"params": params}, x, t, context))

    def run_torch(x, t, context=None):
        context = None if context is None else torch.from_numpy(context)
        return np.moveaxis(theirs(to_torch(x), t, context).numpy(), 1, -1)

    return run, run_torch, theirs


def assert_close(found, expected):
    """Agreement to 1e-4 of the output's scale. Actual differences are near 1e-6."""
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.fixture
def inputs(rng):
    noisy = rng.normal(size=(2, SIDE, SIDE, CHANNELS_IN)).astype(np.float32)
    return noisy, rng.normal(size=(2, *CONTEXT)).astype(np.float32)


@pytest.mark.parametrize("name", LAYOUTS)
def test_random_maps(name, rng, inputs):
    run, run_torch, _ = pair(name, rng)
    noisy, context = inputs
    per_pixel = rng.uniform(0, 1000, (2, SIDE, SIDE, 1)).astype(np.float32)
    expected = run(noisy, jnp.asarray(per_pixel), context)
    assert_close(run_torch(noisy, to_torch(per_pixel), context), expected)

    values = rng.uniform(0, 1000, (2, 5)).astype(np.float32)
    levels = rng.integers(0, 5, (2, SIDE, SIDE))
    at_levels = flax_timesteps.level_timesteps(jnp.asarray(values), jnp.asarray(levels))
    found = torch_timesteps.level_timesteps(torch.from_numpy(values), torch.from_numpy(levels))
    assert_close(run_torch(noisy, found, context), run(noisy, at_levels, context))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_constant_map_is_one_timestep(name, rng, inputs):
    run, run_torch, _ = pair(name, rng)
    noisy, context = inputs
    t = np.array([37.5, 810.0], np.float32)
    expected = run(noisy, jnp.asarray(t), context)
    scalar = run_torch(noisy, torch.from_numpy(t), context)
    constant = torch.from_numpy(np.tile(t[:, None, None, None], (1, 1, SIDE, SIDE)))
    assert_close(scalar, expected)
    assert_close(run_torch(noisy, constant, context), scalar)


@pytest.mark.parametrize("name", STOCK)
def test_the_wrapper_does_not_change_diffusers(name, rng, inputs):
    _, run_torch, wrapped = pair(name, rng)
    noisy, context = inputs
    t = torch.tensor([12.0, 600.0])

    def stock():
        return wrapped.inner(to_torch(noisy), t, torch.from_numpy(context)).sample

    before = stock()
    changed = run_torch(noisy, torch.linspace(0, 900, SIDE).expand(2, 1, SIDE, SIDE), context)
    assert np.abs(np.moveaxis(before.numpy(), 1, -1) - changed).max() > 0.01
    torch.testing.assert_close(stock(), before, rtol=0, atol=0)


def test_the_wrapper_also_takes_the_unet_without_context(rng, inputs):
    """`UNet2DModel`, diffusers' class for layouts without attention, with our weights."""
    diffusers = pytest.importorskip("diffusers")
    from rdc_jax.interop.torch.diffusers_networks import TimestepMapUNet

    run, run_torch, own = pair("group", rng)
    stock = diffusers.UNet2DModel(
        in_channels=CHANNELS_IN, out_channels=CHANNELS_OUT, block_out_channels=(16, 32),
        layers_per_block=1, down_block_types=("DownBlock2D",) * 2, norm_num_groups=4,
        up_block_types=("UpBlock2D",) * 2, add_attention=False,
    )  # fmt: skip
    stock.load_state_dict(own.state_dict())
    wrapped = TimestepMapUNet(stock.requires_grad_(False))
    noisy, _ = inputs
    per_pixel = rng.uniform(0, 1000, (2, SIDE, SIDE, 1)).astype(np.float32)
    found = np.moveaxis(wrapped(to_torch(noisy), to_torch(per_pixel)).numpy(), 1, -1)
    assert_close(found, run(noisy, jnp.asarray(per_pixel)))
    t = torch.tensor([37.5, 810.0])
    constant = t[:, None, None, None].expand(2, 1, SIDE, SIDE)
    for timesteps in (t, constant):
        found = wrapped(to_torch(noisy), timesteps)
        assert_close(found.numpy(), stock(to_torch(noisy), t).sample.numpy())
    assert_close(run_torch(noisy, t), np.moveaxis(found.numpy(), 1, -1))


def test_gradients_reach_the_time_layers_through_the_wrapper(rng, inputs):
    _, _, wrapped = pair("sd21", rng)
    wrapped.requires_grad_(True)
    noisy, context = inputs
    t = torch.linspace(0, 900, SIDE).expand(2, 1, SIDE, SIDE)
    wrapped(to_torch(noisy), t, torch.from_numpy(context)).square().mean().backward()
    for name, parameter in wrapped.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_unets_that_cannot_take_a_map_are_refused():
    diffusers = pytest.importorskip("diffusers")
    from rdc_jax.interop.torch.diffusers_networks import TimestepMapUNet

    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8,), down_block_types=("DownBlock2D",), norm_num_groups=4,
        up_block_types=("UpBlock2D",), attention_head_dim=2, cross_attention_dim=8,
        resnet_time_scale_shift="scale_shift",
    )  # fmt: skip
    with pytest.raises(RdcError, match="resnet_time_scale_shift='scale_shift'"):
        TimestepMapUNet(unet)
    with pytest.raises(ValueError, match="no U-Net of this norm"):
        make_unet(4, 4, dict(channels=(8,), heads=(2,), mid_heads=2, norm="pixel"), 8)
    with pytest.raises(ValueError, match="without a context"):
        make_unet(4, 4, dict(channels=(8,), heads=(2,), mid_heads=2, groups=4), None)


def test_weights_that_do_not_fit_are_named(rng):
    *_, unet = pair("one level", rng)
    fields = LAYOUTS["one level"]
    other = UNet(CHANNELS_OUT, **fields | {"channels": (16,)})
    x = jnp.zeros((1, SIDE, SIDE, CHANNELS_IN))
    shapes = jax.eval_shape(other.init, jax.random.key(0), x, jnp.zeros((1,)))["params"]
    params = random_params(shapes, rng)
    with pytest.raises(RdcError, match=r"conv_in.bias is \(16,\), not \(12,\)"):
        load_state(unet, torch_state(params))
    del params["conv_in"]["bias"]
    with pytest.raises(RdcError, match=r"conv_in\.bias is None"):
        load_state(unet, torch_state(params))
