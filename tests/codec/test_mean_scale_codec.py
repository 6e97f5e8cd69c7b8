"""Files of a model without denoiser: the same container, one pass, plain rounding."""

import jax
import numpy as np
import pytest

from configs import fusion as fusion_config
from configs import hyperprior
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import window_networks
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """A wavelet transform whose prior has every latent channel's deviation."""
    config = hyperprior.get_config("smoke").model.to_dict()
    networks = Networks.from_config(config)
    params = jax.device_get(jax.jit(networks.init)(jax.random.key(0)))
    images = np.stack([photograph(64, 64, seed) for seed in range(4)])
    latent = jax.jit(networks.encode)(params, images / np.float32(127.5) - 1)
    params["hyperprior"] = networks.hyperprior.matched_to(
        params["hyperprior"], latent.mean((0, 1, 2)), latent.std((0, 1, 2))
    )
    folder = tmp_path_factory.mktemp("models") / "smoke"
    params = jax.tree.map(lambda x: np.asarray(x, np.float16).astype(np.float32), params)
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    codec_model.save(folder, "hyperprior-smoke", config, params, entropy)
    return codecs.load(folder)


def photograph(height, width, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)]
    return np.clip(np.stack(planes, axis=-1) + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize("size", [(1, 1), (70, 90), (400, 150)])
def test_a_file_decodes_to_what_was_encoded(codec, size):
    pixels = photograph(*size)
    data, report = codec.encode(pixels, quality=80, return_report=True)
    assert 8 * len(data) <= 1.02 * report.ideal_bits + 100 * 8
    _, coded, conditions = codec.decode_latent(data)
    assert coded.symbol_hash == report.symbol_hash == codec.decode_latent(data)[1].symbol_hash
    assert coded.yhat.shape == (-(-size[0] // 16), -(-size[1] // 16), 12)

    # Plain rounding: within half a step of the latent, and a whole number of steps off the mean.
    latent = window_networks.analyse(codec._networks, codec._params, pixels)
    step = codec._networks.step_table({})[conditions.timesteps[0], 0]
    assert np.abs(coded.yhat - latent).max() <= step / 2 * 1.001 + 0.01
    symbols = (coded.yhat - coded.mean) / step
    np.testing.assert_allclose(symbols, np.rint(symbols), atol=1e-3)

    decoded = codec.decode(data)
    assert decoded.shape == pixels.shape
    np.testing.assert_array_equal(decoded, codec.decode(data, steps=7))  # nothing to sample
    np.testing.assert_array_equal(decoded, codec.decode(codec.encode(pixels, quality=80, seed=9)))


def test_a_region_has_smaller_steps(codec):
    pixels = photograph(160, 160)
    mask = np.zeros((160, 160), bool)
    mask[:, :80] = True
    data, report = codec.encode(pixels, quality=50, importance=mask, return_report=True)
    assert report.timesteps[0] > report.timesteps[1]
    _, coded, _ = codec.decode_latent(data)
    latent = window_networks.analyse(codec._networks, codec._params, pixels)
    error = np.abs(coded.yhat - latent)
    assert error[:, :5].max() < 0.6 * error[:, 5:].max()
    assert report.bits_map[:, :5].mean() > 1.2 * report.bits_map[:, 5:].mean()


def test_rate_follows_quality_and_target(codec):
    pixels = photograph(160, 128)
    sizes = [len(codec.encode(pixels, quality=q)) for q in (10, 50, 90)]
    assert sizes == sorted(set(sizes))
    target = 8 * sizes[1] / (160 * 128)
    assert len(codec.encode(pixels, target_bpp=target)) <= sizes[1]


def test_tau_works_on_this_base_too(codec, tmp_path):
    """A fresh module adds grain: tau 0 is the base bit for bit, also in a map; ones equal tau 1."""
    section = fusion_config.get_config("smoke").fusion.to_dict()
    fusion = Fusion.from_config(section, codec._networks)
    fresh = jax.jit(fusion.init)(jax.random.key(0))
    params = fusion.start(fresh, codec.model.params)
    fusion_module.save(tmp_path, "module", section, codec.model.model_id, params)
    with_module = codecs.load(codec.model.path, tmp_path)
    data = codec.encode(photograph(48, 80), quality=50)
    faithful, realistic = codec.decode(data), with_module.decode(data, tau=1.0)
    assert np.any(faithful != realistic)
    for tau in (0.0, np.zeros((48, 80))):
        np.testing.assert_array_equal(with_module.decode(data, tau=tau), faithful)
    np.testing.assert_array_equal(with_module.decode(data, tau=np.ones((48, 80))), realistic)
