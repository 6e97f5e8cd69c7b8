"""The decoder's other networks and formulas in PyTorch against those in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from configs import hyperprior, sd21, tiny  # noqa: E402
from rdc_jax.diffusion import sampling  # noqa: E402
from rdc_jax.interop.torch import fusion as torch_fusion  # noqa: E402
from rdc_jax.interop.torch import networks as torch_networks  # noqa: E402
from rdc_jax.interop.torch import sampler  # noqa: E402
from rdc_jax.interop.torch.layout import decoder_state  # noqa: E402
from rdc_jax.interop.torch.timesteps import level_timesteps as torch_levels  # noqa: E402
from rdc_jax.interop.torch.weights import load_state  # noqa: E402
from rdc_jax.model_folder.codec_model import downsampling_of  # noqa: E402
from rdc_jax.models import autoencoder, fusion, gdn, step_profile  # noqa: E402
from rdc_jax.models.networks import Networks  # noqa: E402
from rdc_jax.models.timesteps import level_timesteps  # noqa: E402

SIDE = 8


def with_edges():
    config = tiny.get_config("smoke")
    config.model.autoencoder.analysis_padding = "edge"
    return config


CONFIGS = {
    "tiny": lambda: tiny.get_config("smoke"),
    "edge": with_edges,
    "hyperprior": lambda: hyperprior.get_config("smoke"),
    "sd21": lambda: sd21.get_config("smoke"),
}


def to_torch(x):
    """Converts [B,h,w,c] to [B,c,h,w]."""
    return torch.from_numpy(np.moveaxis(np.array(x), -1, 1).copy())


def to_numpy(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    """(Flax networks, random parameters, PyTorch networks, config) of a config of smoke size."""
    if request.param == "sd21":
        pytest.importorskip("diffusers")
    config = CONFIGS[request.param]().model.to_dict()
    networks = Networks.from_config(config)
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        if "beta" in name or "gamma" in name:
            return rng.uniform(0.1, 0.4, leaf.shape).astype(np.float32)
        scale = 0.2 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return rng.normal(0, scale, leaf.shape).astype(np.float32)

    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(draw, shapes)
    theirs = torch_networks.Networks(config, networks.hyperprior.latent_unit)
    state = decoder_state(params)
    load_state(theirs, {name.removeprefix("networks."): value for name, value in state.items()})
    return networks, params, theirs.requires_grad_(False).eval(), config


def close(found, expected):
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.fixture
def latents(pair, rng):
    """(yhat, mean, scale, levels, timesteps of levels), a batch of one."""
    shape = (1, SIDE, SIDE, pair[0].latent_channels)
    yhat, mean = (rng.normal(0, 20, shape).astype(np.float32) for _ in range(2))
    scale = np.exp2(rng.uniform(-6, 6, shape)).astype(np.float32)
    levels = rng.integers(0, 4, shape[:3])
    return yhat, mean, scale, levels, np.array([700, 420.5, 3, 90], np.float32)


def test_autoencoder(pair, rng):
    networks, params, theirs, config = pair
    f = networks.downsampling
    images = rng.uniform(-1, 1, (2, 4 * f, 6 * f, 3)).astype(np.float32)
    latent = np.asarray(jax.jit(networks.encode)(params, images))
    close(to_numpy(theirs.autoencoder.encode(to_torch(images))), latent)
    close(
        to_numpy(theirs.decode(to_torch(latent))),
        np.asarray(jax.jit(networks.decode)(params, latent)),
    )
    assert theirs.downsampling == downsampling_of(config) == f


def test_steps_and_prior(pair, latents):
    networks, params, theirs, _ = pair
    levels, values = latents[3:]
    t = np.linspace(0, 1000, 77, dtype=np.float32)
    steps = np.asarray(networks.steps(params, jnp.asarray(t)))
    np.testing.assert_allclose(theirs.steps(torch.from_numpy(t)).numpy(), steps, rtol=1e-5)
    ours = level_timesteps(jnp.asarray(values)[None], jnp.asarray(levels))
    at_levels = torch_levels(torch.from_numpy(values)[None], torch.from_numpy(levels))
    at_pixels = to_torch(ours.at_pixels(ours.values))
    expected = np.asarray(networks.steps_at_pixels(params, ours))
    for timesteps in (at_levels, at_pixels):
        found = to_numpy(theirs.steps_at_pixels(timesteps))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert theirs.silent_below == networks.silent_below


def test_denoise(pair, latents):
    networks, params, theirs, _ = pair
    yhat, mean, scale, levels, values = latents
    timesteps = level_timesteps(jnp.asarray(values)[None], jnp.asarray(levels))
    expected = np.asarray(jax.jit(networks.denoise)(params, yhat, timesteps, mean, scale))
    at_levels = torch_levels(torch.from_numpy(values)[None], torch.from_numpy(levels))
    found = theirs.denoise(to_torch(yhat), at_levels, to_torch(mean), to_torch(scale))
    close(to_numpy(found), expected)


@pytest.mark.parametrize("clock", ["proportional", "clamped"])
def test_clock(clock):
    values = np.array([700, 420.5, 3, 90], np.float32)
    found = sampler.clock_timesteps(torch.from_numpy(values), 4, clock)
    expected = sampling.clock_timesteps(jnp.asarray(values), 4, clock)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_duplicated_constants_are_equal():
    from rdc_jax.interop.torch import autoencoder as torch_autoencoder
    from rdc_jax.interop.torch import mean_scale

    assert torch_autoencoder.LATENT_GAIN == autoencoder.LATENT_GAIN
    assert torch_autoencoder.DOWNSAMPLING == autoencoder.DOWNSAMPLING
    assert (mean_scale.PEDESTAL, mean_scale.BETA_MIN) == (gdn.PEDESTAL, gdn.BETA_MIN)
    assert torch_fusion.MIN_DEVIATION == fusion.MIN_DEVIATION
    assert torch_networks.PROFILE_GAIN == step_profile.GAIN
    assert torch_networks.PROFILE_LOG2_RANGE == step_profile.LOG2_RANGE
