"""What tau 0, tau 1 and the formula between promise of any fusion module."""

import dataclasses
import itertools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import window_networks
from rdc_jax.decoding.sampling import starting_noise
from rdc_jax.diffusion import residual
from rdc_jax.model_folder import fusion_module
from rdc_jax.models.fusion import decoded_latent
from rdc_jax.models.timesteps import LevelTimesteps
from tests.codec.cases import (
    DEFAULT_STEPS,
    DEFAULT_TAU,
    HEIGHT,
    WIDTH,
    difference,
    right_part,
    smooth,
)
from tests.diffusion.reference_sampler import sample

# The ends


ZEROS = {
    "scalar": 0.0,
    "integer": 0,
    "uint8": np.zeros((HEIGHT, WIDTH), np.uint8),
    "float": np.zeros((HEIGHT, WIDTH), np.float32),
    "bool": np.zeros((HEIGHT, WIDTH), bool),
}


@pytest.mark.parametrize("kind", ZEROS)
def test_at_0_the_module_changes_nothing(codec, base, data, kind):
    expected = base.decode(data, steps=1)
    for steps in (1, 4):
        np.testing.assert_array_equal(codec.decode(data, tau=ZEROS[kind], steps=steps), expected)
        np.testing.assert_array_equal(base.decode(data, tau=ZEROS[kind], steps=steps), expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_map_of_ones_is_tau_1(codec, data, steps):
    expected = codec.decode(data, tau=1.0, steps=steps)
    for ones in (np.full((HEIGHT, WIDTH), 255, np.uint8), np.ones((HEIGHT, WIDTH), bool),
                 np.ones((HEIGHT, WIDTH))):  # fmt: skip
        np.testing.assert_array_equal(codec.decode(data, tau=ones, steps=steps), expected)
    np.testing.assert_array_equal(codec.decode(data, tau=1, steps=steps), expected)


def test_the_module_and_its_steps_change_the_image(codec, data):
    faithful, one, three = (
        codec.decode(data, tau=tau, steps=steps) for tau, steps in ((0, 1), (1, 1), (1, 3))
    )
    assert difference(faithful, one).mean() > 1
    assert difference(faithful, three).mean() > 1
    assert difference(one, three).mean() > 0.5


def test_tau_acts_continuously_and_rises(codec, data):
    faithful = codec.decode(data, tau=0)
    far = [difference(codec.decode(data, tau=tau), faithful).mean() for tau in (1e-3, 0.3, 0.6, 1)]
    assert far == sorted(far) and far[0] < 0.1 < far[1] < far[3]


def test_both_clocks_are_the_same_to_a_module(codec, data):
    pictures = [codec.decode(data, steps=2, clock=clock) for clock in ("proportional", "clamped")]
    np.testing.assert_array_equal(*pictures)


# What files hold


def test_a_file_is_the_same_but_for_its_hints(codec, base, example):
    pixels, data, _ = example
    settings = dict(quality=60, importance=~right_part(HEIGHT, WIDTH, 48), seed=5)
    before = bytes(data)
    for tau in (0.0, 0.4, 1.0):
        codec.decode(data, tau=tau)
        assert data == before == codec.encode(pixels, **settings, tau=1.0, steps=1)
    assert base.encode(pixels, **settings, tau=1.0, steps=1) == data
    other = codec.encode(pixels, **settings, tau=0.4, steps=1)
    header, sections = container.unpack(data)
    assert (header.default_tau, header.default_steps) == (255, 1)
    assert container.unpack(other)[0] == dataclasses.replace(header, default_tau=102)
    assert container.unpack(other)[1] == sections
    # One byte, and the header's checksum.
    changed = [i for i in range(len(data)) if data[i] != other[i]]
    end = sections[0].offset
    assert len(other) == len(data)
    assert changed[0] == end - 5 and set(changed) <= set(range(end - 5, end))


def test_the_module_chooses_the_hints(codec, base):
    pixels = smooth(24, 40)
    header = container.unpack(codec.encode(pixels))[0]
    assert header.default_tau == round(255 * DEFAULT_TAU)
    assert header.default_steps == DEFAULT_STEPS
    header = container.unpack(base.encode(pixels))[0]
    assert (header.default_tau, header.default_steps) == (255, 1)


def test_the_hints_are_what_decoding_does(codec, base):
    pixels = smooth(24, 40)
    data = codec.encode(pixels, tau=0.6, steps=3)
    np.testing.assert_array_equal(codec.decode(data), codec.decode(data, tau=0.6, steps=3))
    np.testing.assert_array_equal(base.decode(data), base.decode(data, tau=0.6, steps=3))


def test_decoding_depends_on_the_file_and_the_module_alone(codec, data, smoke_model, module_folder):
    first = codec.decode(data, tau=0.7, steps=2)
    other = codec.encode(smooth(40, 40, seed=9), quality=10)
    codec.decode(other, tau=1.0, steps=3)
    np.testing.assert_array_equal(codec.decode(bytes(data), tau=0.7, steps=2), first)
    again = codecs.load(smoke_model, module_folder)
    np.testing.assert_array_equal(again.decode(bytes(data), tau=0.7, steps=2), first)


def test_the_noise_is_uniform_and_follows_from_the_seed(codec):
    from rdc_jax.entropy import dither

    shape = (40, 30, 56)
    noise = starting_noise(5, shape)
    assert noise.shape == shape and noise.dtype == np.float32
    assert np.abs(noise).max() <= np.float32(3**0.5)
    np.testing.assert_allclose(noise.std(), 1, rtol=0.01)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.01)
    np.testing.assert_array_equal(starting_noise(5, shape), noise)
    window = starting_noise(5, (9, 7, 56), row0=20, col0=13)
    np.testing.assert_array_equal(window, noise[20:29, 13:20])
    for seed in (6, 2**32 - 1):
        other = starting_noise(seed, shape)
        assert abs(np.corrcoef(other.ravel(), noise.ravel())[0, 1]) < 0.02
    coded = dither.dither_values(dither.dither_phases(5, *shape))
    assert abs(np.corrcoef(coded.ravel(), noise.ravel())[0, 1]) < 0.02


def test_a_module_inside_the_model_is_the_default(smoke_model, module_folder, data, codec, base,
                                                  tmp_path):  # fmt: skip
    shutil.copytree(smoke_model, tmp_path / "model")
    shutil.copytree(module_folder, tmp_path / "model" / fusion_module.FOLDER)
    default, none = (codecs.load(tmp_path / "model", fusion) for fusion in (None, "none"))
    assert none.module is None
    for tau in (0.0, 1.0):
        expected = codec.decode(data, tau=tau)
        np.testing.assert_array_equal(default.decode(data, tau=tau), expected)
        np.testing.assert_array_equal(none.decode(data, tau=tau), base.decode(data, tau=tau))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 23)])
def test_small_images_of_any_size_and_grey_ones(codec, height, width):
    grey = smooth(height, width)[..., 0]
    decoded = codec.decode(codec.encode(grey), tau=np.ones((height, width)))
    assert decoded.shape == (height, width, 3) and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, decoded[..., :1].repeat(3, -1))


# Against the formula


@pytest.fixture(scope="module")
def latents():
    """(yhat, mean, scale, levels, timesteps, tau) of one tile."""
    rng, side = np.random.default_rng(7), window_networks.WINDOW_PIXELS // 8
    shape = (side, side, 56)
    yhat, mean = (rng.normal(0, 30, shape).astype(np.float32) for _ in range(2))
    scale = np.exp(rng.normal(2, 1, shape)).astype(np.float32)
    levels = rng.integers(0, 8, (side, side)).astype(np.uint8)
    values = np.linspace(700, 200, 8).astype(np.float32)
    return yhat, mean, scale, levels, values, rng.uniform(0, 1, (side, side)).astype(np.float32)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_module_fuses_its_ddim_sample(codec, latents, steps):
    """One tile by the networks, called directly."""
    networks, params = codec._networks, codec._params
    yhat, mean, scale, levels, values, tau = latents
    module = codec._fusion
    noise = starting_noise(3, yhat.shape)
    tile = window_networks.reconstruction(
        networks, params, values, steps=steps, clock="proportional", fusion=module
    )
    found = tile(yhat, mean, scale, levels, tau, noise)
    weights = jax.nn.one_hot(jnp.asarray(levels, jnp.int32)[None], 8)
    timesteps = LevelTimesteps(jnp.asarray(values[None]), weights)
    prior = (jnp.asarray(x[None]) for x in (yhat, mean, scale))
    noisy, mean, scale = prior
    decode = jax.jit(decoded_latent, static_argnums=0)
    decoded = decode(networks, params, noisy, timesteps, mean, scale)
    velocity, noise = jax.jit(module.fusion.velocity), jnp.asarray(noise[None])
    for pair in itertools.pairwise(residual.clock(steps)):
        now, after = (jnp.full((1,), u, jnp.float32) for u in pair)
        v = velocity(module.params, noise, now, decoded)
        noise = residual.ddim_step(noise, v, now, after)
    y_d = decoded.latent + decoded.deviation * noise
    fused = residual.fuse(decoded.latent, y_d, jnp.asarray(tau)[None, :, :, None])
    expected = 127.5 * (np.asarray(jax.jit(networks.decode)(params, fused))[0] + 1)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


@pytest.mark.parametrize("clock", ["proportional", "clamped"])
def test_without_a_module_one_step_and_sample_are_fused(base, latents, clock):
    networks, params = base._networks, base._params
    yhat, mean, scale, levels, values, random_tau = latents
    weights = jax.nn.one_hot(jnp.asarray(levels, jnp.int32)[None], 8)
    denoise = jax.jit(networks.denoise)

    def sampled(steps):
        return sample(
            lambda y, t: denoise(params, y, LevelTimesteps(t, weights), mean[None], scale[None]),
            jnp.asarray(yhat[None]),
            jnp.asarray(values[None]),
            lambda t: networks.steps_at_pixels(params, LevelTimesteps(t, weights)),
            num_steps=steps,
            clock=clock,
        )

    tile = window_networks.reconstruction(networks, params, values, steps=3, clock=clock)
    faithful, realistic = sampled(1), sampled(3)
    for tau in (np.zeros_like(random_tau), random_tau, np.ones_like(random_tau)):
        found = tile(*latents[:4], tau, None)
        fused = residual.fuse(faithful, realistic, jnp.asarray(tau)[None, :, :, None])
        expected = 127.5 * (np.asarray(jax.jit(networks.decode)(params, fused))[0] + 1)
        np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


def test_without_a_module_tau_needs_steps(base, data):
    faithful = base.decode(data, tau=0, steps=3)
    np.testing.assert_array_equal(base.decode(data, tau=1, steps=1), faithful)
    sampled, half = (base.decode(data, tau=tau, steps=3) for tau in (1, 0.5))
    far, near = (difference(picture, faithful).mean() for picture in (sampled, half))
    assert 0 < near < far
