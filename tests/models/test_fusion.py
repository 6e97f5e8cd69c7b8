"""The module's networks: what fresh ones do, what they are told, and the forms of timesteps."""

import dataclasses
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fusion as fusion_config
from configs import tiny
from rdc_jax.diffusion import residual
from rdc_jax.models.fusion import GRAIN_AT_START, Decoded, Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps

CHANNELS = 56
SHAPE = (2, 4, 8, CHANNELS)
T = (250.0, 612.5)


@pytest.fixture(scope="module")
def networks():
    """The smoke model's, with a U-Net of one level."""
    config = tiny.get_config("smoke")
    config.model.unet.update(channels=(16,), heads=(0,))
    return Networks.from_config(config.model.to_dict())


@pytest.fixture(scope="module")
def base(networks):
    """Parameters of an untrained denoiser, with a function that runs it."""
    keys = jax.random.split(jax.random.key(0), 2)
    unet_input = jnp.zeros((1, 8, 8, networks.unet_channels))
    params = {
        "unet": jax.jit(networks.unet.init)(keys[0], unet_input, jnp.zeros((1,)))["params"],
        "step_profile": networks.step_profile.init(keys[1], jnp.zeros((1,)))["params"],
    }
    return params, jax.jit(decoded_latent, static_argnums=0)


@pytest.fixture(scope="module", params=[False, True], ids=["own", "from_base"])
def section(request):
    """The `fusion` section of a config with small networks, for both kinds of transform."""
    config = fusion_config.get_config("smoke").fusion
    config.from_base = request.param
    config.transform.update(channels=(16, 16), heads=(0, 0))
    config.discriminator.update(width=4)
    return config.to_dict()


@pytest.fixture(scope="module")
def fusion(section, networks):
    return Fusion.from_config(section, networks)


@pytest.fixture(scope="module")
def fresh(fusion, base):
    return fusion.start(jax.jit(fusion.init)(jax.random.key(0)), base[0])


@pytest.fixture(scope="module")
def alive(fusion):
    """Random parameters, the zero-initialised ones too."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.3 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return jnp.asarray(rng.normal(0, scale, leaf.shape), leaf.dtype)

    return jax.tree.map(draw, jax.eval_shape(fusion.init, jax.random.key(0)))


@pytest.fixture(scope="module")
def decoded(networks, base):
    """Random latents, with the output that the base's denoiser has for these features."""
    rng = np.random.default_rng(1)
    latent = rng.normal(0, 30, SHAPE).astype(np.float32)
    deviation = np.exp(rng.normal(1, 1, SHAPE)).astype(np.float32)
    features = rng.normal(0, 1, (*SHAPE[:3], 3 * CHANNELS)).astype(np.float32)
    features, timesteps = jnp.asarray(features), jnp.asarray(T)
    output = networks.unet.apply({"params": base[0]["unet"]}, features, timesteps)
    return Decoded(jnp.asarray(latent), jnp.asarray(deviation), features, output, timesteps)


@pytest.fixture(scope="module")
def noise():
    return jnp.asarray(np.random.default_rng(2).uniform(-(3**0.5), 3**0.5, SHAPE), jnp.float32)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_fresh_transform_adds_a_little_grain(fusion, fresh, decoded, noise, steps):
    """Its v is -g r at every step: one step gives y_c and the share g of the noise, in units w."""
    velocity = jax.jit(fusion.velocity)
    noisy, left = noise, 1.0
    for pair in itertools.pairwise(residual.clock(steps)):
        now, after = (jnp.full((2,), value, jnp.float32) for value in pair)
        v = velocity(fresh, noisy, now, decoded)
        np.testing.assert_allclose(v, -GRAIN_AT_START * noisy, atol=2e-5)
        noisy = residual.ddim_step(noisy, v, now, after)
        angle = (pair[0] - pair[1]) * math.pi / 2
        left *= math.cos(angle) + GRAIN_AT_START * math.sin(angle)
    assert steps > 1 or left == pytest.approx(GRAIN_AT_START)
    np.testing.assert_allclose(noisy, left * np.asarray(noise), atol=1e-4)


def test_a_fresh_auxiliary_encoder_is_the_clean_latent(fusion, fresh, alive, decoded):
    rng = np.random.default_rng(3)
    image = jnp.asarray(rng.uniform(-1, 1, (2, 32, 64, 3)), jnp.float32)
    clean = decoded.latent + jnp.asarray(rng.normal(0, 3, SHAPE), jnp.float32)
    better = jax.jit(fusion.better_latent)
    np.testing.assert_array_equal(better(fresh, image, clean, decoded), clean)
    learnt = better(alive, image, clean, decoded)
    assert learnt.shape == SHAPE and np.abs(learnt - clean).mean() > 0.1


@pytest.mark.parametrize(
    ("ratio", "silent_scales"), [(0.05, 0), (1.0, 0), (20.0, 0), (0.05, 36), (20.0, 36)]
)
def test_deviation_is_that_of_the_error_left(networks, base, ratio, silent_scales):
    """Gaussian data under uniform noise, ratio of the two deviations given.

    An untrained denoiser makes the best linear estimate, whose error has this deviation under any
    law of the noise. Of a silent element that is the mean, and the error is the prior's.
    """
    params, run = base
    networks = dataclasses.replace(networks, silent_scales=silent_scales)
    silent = silent_scales > 0 and ratio > 1
    rng = np.random.default_rng(4)
    timesteps = jnp.asarray([400.0])
    step = np.asarray(networks.steps_at_pixels(params, timesteps))
    shape = (1, 64, 64, CHANNELS)
    kappa = np.broadcast_to(step / math.sqrt(12), (1, 1, 1, CHANNELS))
    mean, scale = rng.normal(0, 20, (1, 1, 1, CHANNELS)), kappa / ratio
    clean = mean + scale * rng.normal(0, 1, shape)
    yhat = clean + step * rng.uniform(-0.5, 0.5, shape)
    prior = (np.broadcast_to(x, shape).astype(np.float32) for x in (mean, scale))
    noisy = jnp.asarray(yhat, jnp.float32)
    found = run(networks, params, noisy, timesteps, *map(jnp.asarray, prior))
    expected = scale if silent else scale * kappa / np.sqrt(scale**2 + kappa**2)
    np.testing.assert_allclose(found.deviation, np.broadcast_to(expected, shape), rtol=1e-5)
    error = np.asarray(found.latent, np.float64) - clean
    np.testing.assert_allclose(error.std((0, 1, 2)), expected.ravel(), rtol=0.05)
    standardized = found.features[..., :CHANNELS]
    spread = 0 if silent else 1
    np.testing.assert_allclose(np.std(standardized, (0, 1, 2)), spread, rtol=0.05)
    np.testing.assert_allclose(np.mean(standardized, (0, 1, 2)), 0, atol=0.06)
    np.testing.assert_array_equal(found.timesteps, timesteps)


def test_constant_map_equals_scalar_timestep(fusion, alive, decoded, noise):
    constant = jnp.asarray(T)
    levels = jnp.asarray(np.random.default_rng(0).integers(0, 3, SHAPE[:3]))
    forms = {
        "scalar": constant,
        "pixels": jnp.broadcast_to(constant[:, None, None, None], (*SHAPE[:3], 1)),
        "levels": level_timesteps(jnp.broadcast_to(constant[:, None], (2, 3)), levels),
    }
    u, velocity = jnp.asarray([0.3, 0.8]), jax.jit(fusion.velocity)
    outputs = {
        name: np.asarray(velocity(alive, noise, u, decoded._replace(timesteps=t)))
        for name, t in forms.items()
    }
    assert outputs["scalar"].shape == SHAPE and outputs["scalar"].std() > 0.1
    for form in ("pixels", "levels"):
        np.testing.assert_allclose(outputs[form], outputs["scalar"], atol=2e-5)
    other = velocity(alive, noise, u, decoded._replace(timesteps=constant + 200))
    assert np.abs(np.asarray(other) - outputs["scalar"]).max() > 1e-3


def test_the_transform_is_told_the_clock_and_all_that_decoders_know(fusion, decoded, noise):
    u = jnp.asarray([0.25, 1.0])
    inputs = np.asarray(fusion.transform_inputs(noise, u, decoded))
    assert inputs.shape == (*SHAPE[:3], 6 * CHANNELS + 2)
    clock = np.broadcast_to([math.cos(math.pi / 8), math.sin(math.pi / 8)], (4, 8, 2))
    np.testing.assert_allclose(inputs[0, ..., -2:], clock, rtol=1e-5)
    np.testing.assert_allclose(inputs[1, ..., -1], 1)
    np.testing.assert_array_equal(inputs[..., 3 * CHANNELS : 4 * CHANNELS], noise)
    for change in ("latent", "deviation", "features"):
        changed = decoded._replace(**{change: 2 * getattr(decoded, change)})
        assert np.any(fusion.transform_inputs(noise, u, changed) != inputs)
    nothing = decoded._replace(deviation=jnp.zeros(SHAPE))
    assert np.all(np.isfinite(fusion.transform_inputs(noise, u, nothing)))


def test_discriminator_judges_patches_with_a_gradient(fusion, alive):
    rng = np.random.default_rng(5)
    image, faithful = (jnp.asarray(rng.uniform(-1, 1, (2, 32, 64, 3)), jnp.float32) for _ in "ab")
    judge = jax.jit(fusion.judge)
    logits = judge(alive, image, faithful)
    assert logits.shape == (2, 4, 8, 1) and logits.dtype == jnp.float32
    assert np.any(judge(alive, image, image) != logits)

    def total(discriminator, image):
        return jnp.sum(fusion.judge({"discriminator": discriminator}, image, faithful))

    of_params, of_image = jax.jit(jax.grad(total, (0, 1)))(alive["discriminator"], image)
    assert np.all(np.isfinite(of_image)) and np.any(of_image)
    for leaf in jax.tree.leaves(of_params):
        assert np.all(np.isfinite(leaf)) and np.any(leaf)


def test_a_flat_image_is_judged_with_a_finite_gradient(fusion, fresh):
    flat = jnp.zeros((1, 32, 32, 3))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(fusion.judge(fresh, x, flat))))(flat)
    assert np.all(np.isfinite(gradient))


def test_config_read_from_json_builds_the_same_networks(section, fusion, networks):
    again = Fusion.from_config(json.loads(json.dumps(section)), networks)
    assert again == fusion and hash(again) == hash(fusion)


def test_fresh_parameters_are_float32_and_have_the_three_parts(fresh):
    assert set(fresh) == {"transform", "auxiliary", "discriminator"}
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("without", [dict(prior_conditioning=False), dict(unet=None)])
def test_a_base_without_a_denoiser_to_copy_gets_the_config_s_transform(section, without):
    silence = dict(silent_scales=0)  # which needs a denoiser that knows the prior
    networks = Networks.from_config(tiny.get_config("smoke").model.to_dict() | silence | without)
    fusion = Fusion.from_config(section | {"from_base": True}, networks)
    assert not fusion.from_base
    assert list(fusion.transform.channels) == list(section["transform"]["channels"])
