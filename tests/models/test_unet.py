"""The denoiser: a constant map is a scalar timestep, maps act where they differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.models.unet import UNet

SIZE = (2, 8, 8)
T = (250.0, 612.5)


def random_parameters(model, *arguments):
    """Every leaf random (biases and the zero-initialised output too), about unit gain."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *arguments)
    rng = np.random.default_rng(0)

    def draw(leaf):
        fan_in = max(1, int(np.prod(leaf.shape[:-1])))
        scale = 0.3 if leaf.ndim == 1 else fan_in**-0.5
        return jnp.asarray(rng.normal(0, scale, leaf.shape), leaf.dtype)

    return jax.tree.map(draw, shapes)


def forms_of_a_constant_map():
    constant = jnp.asarray(T)
    levels = jnp.asarray(np.random.default_rng(0).integers(0, 3, SIZE))
    return {
        "scalar": constant,
        "pixels": jnp.broadcast_to(constant[:, None, None, None], (*SIZE, 1)),
        "levels": level_timesteps(jnp.broadcast_to(constant[:, None], (2, 3)), levels),
    }


@pytest.fixture(scope="module", params=["group", "pixel"])
def network(request):
    """A small U-Net with self- and cross-attention, and what it needs beside timesteps."""
    model = UNet(
        4, channels=(16, 32), layers=1, heads=(2, 0), mid_heads=4, norm=request.param, groups=8
    )
    rng = np.random.default_rng(1)
    noisy = jnp.asarray(rng.normal(0, 1, (*SIZE, 4)), jnp.float32)
    context = jnp.asarray(rng.normal(0, 1, (2, 3, 12)), jnp.float32)
    variables = random_parameters(model, noisy, jnp.asarray(T), context)
    return model, variables, noisy, context


def test_constant_map_equals_scalar_timestep(network):
    model, variables, noisy, context = network
    outputs = {
        name: np.asarray(model.apply(variables, noisy, timesteps, context))
        for name, timesteps in forms_of_a_constant_map().items()
    }
    assert outputs["scalar"].shape == noisy.shape
    spread = outputs["scalar"].std()
    assert spread > 0.1  # the parameters are such that the output means something
    for form in ("pixels", "levels"):
        assert np.abs(outputs[form] - outputs["scalar"]).max() < 1e-5 * spread

    other = model.apply(variables, noisy, jnp.asarray([T[0] + 100, T[1]]), context)
    change = np.abs(np.asarray(other) - outputs["scalar"]).max(axis=(1, 2, 3))
    assert change[0] > 0.01 * spread and change[1] < 1e-5 * spread


@pytest.mark.parametrize("network", ["pixel"], indirect=True)
def test_level_map_equals_pixel_map(network):
    model, variables, noisy, context = network
    values = jnp.asarray([[100.0, 400.0, 800.0], [50.0, 60.0, 999.0]])
    levels = jnp.asarray(np.random.default_rng(2).integers(0, 3, SIZE))
    by_level = level_timesteps(values, levels)
    by_pixel = by_level.at_pixels(values)
    a, b = (
        np.asarray(model.apply(variables, noisy, form, context)) for form in (by_level, by_pixel)
    )
    assert np.abs(a - b).max() < 2e-5 * a.std()


def test_without_attention_a_map_acts_locally():
    model = UNet(2, channels=(8, 8), layers=1, heads=(0, 0), mid_heads=0, norm="pixel")
    noisy = jnp.asarray(np.random.default_rng(3).normal(0, 1, (1, 4, 96, 2)), jnp.float32)
    uniform = jnp.full((1, 4, 96, 1), 300.0)
    variables = random_parameters(model, noisy, uniform)
    reference = model.apply(variables, noisy, uniform)
    changed = model.apply(variables, noisy, uniform.at[:, :, :4].set(800.0))
    difference = np.abs(np.asarray(changed - reference)).max(axis=(0, 1, 3))
    assert difference[:4].min() > 1e-4
    assert difference[48:].max() == 0


def test_bfloat16_computes_throughout_and_returns_float32():
    # Without attention: Flax's own layer norm mixes types, which the strict rules refuse.
    model = UNet(3, channels=(8, 8), layers=1, heads=(0, 0), mid_heads=0, norm="pixel")
    noisy = jnp.asarray(np.random.default_rng(4).normal(0, 1, (1, 8, 8, 3)), jnp.float32)
    t = jnp.asarray([400.0])
    variables = random_parameters(model, noisy, t)
    half, captured = model.clone(dtype=jnp.bfloat16).apply(
        variables, noisy, t, capture_intermediates=True
    )
    assert half.dtype == jnp.float32
    projections = [
        leaf
        for path, leaf in jax.tree.leaves_with_path(captured["intermediates"])
        if "time_emb_proj" in jax.tree_util.keystr(path)
    ]
    assert projections and {leaf.dtype for leaf in projections} == {jnp.dtype("bfloat16")}
    reference = np.asarray(model.apply(variables, noisy, t))
    np.testing.assert_allclose(half, reference, atol=0.1 * reference.std())


def test_wrong_size_is_refused():
    model = UNet(2, channels=(8, 8, 8), layers=1, heads=(0, 0, 0), mid_heads=0, norm="pixel")
    with pytest.raises(ValueError, match="multiple of 4"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 6, 8, 2)), jnp.zeros(1))
