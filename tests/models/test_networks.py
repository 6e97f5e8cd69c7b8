"""The configs build, count what they claim, and join their networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import sd21, tiny
from rdc_jax.diffusion.schedule import scaled_linear
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def built(config):
    networks = Networks.from_config(config.model.to_dict())
    return networks, jax.eval_shape(networks.init, jax.random.key(0))


def randomised(shapes, scale=0.05):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, scale, leaf.shape), leaf.dtype), shapes
    )


def test_stable_diffusion_scale():
    networks, params = built(sd21.get_config())
    assert count(params["unet"]) == 865_910_724
    assert count(params["autoencoder"]) == 83_653_863
    assert count(params["hyperprior"]) == pytest.approx(4.14e6, rel=0.01)
    counted = {k: v for k, v in params.items() if k != "context"}  # the empty prompt is a constant
    assert count(counted) == pytest.approx(953.7e6, rel=0.005)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert params["context"]["empty_prompt"].shape == (77, 1024)
    assert networks.unet_channels == 4


def test_stable_diffusion_layout():
    unet = built(sd21.get_config())[1]["unet"]
    attention = {name for name in unet if "attentions" in name}
    assert attention == {
        *(f"down_blocks_{b}_attentions_{i}" for b in (0, 1, 2) for i in (0, 1)),
        "mid_block_attentions_0",
        *(f"up_blocks_{b}_attentions_{i}" for b in (1, 2, 3) for i in (0, 1, 2)),
    }
    block = unet["down_blocks_1_attentions_0"]["transformer_blocks_0"]
    assert block["attn1"]["to_k"]["kernel"].shape == (640, 640)
    assert block["attn2"]["to_k"]["kernel"].shape == (1024, 640)
    assert "bias" not in block["attn1"]["to_q"] and "bias" in block["attn1"]["to_out_0"]
    assert block["ff_net_0_proj"]["kernel"].shape == (640, 8 * 640)
    assert unet["time_embedding"]["linear_1"]["kernel"].shape == (320, 1280)
    # The widest skip meets the narrowest block at the end of the way up.
    assert unet["up_blocks_3_resnets_0"]["conv1"]["kernel"].shape == (3, 3, 960, 320)


def test_tiny_is_small():
    params = built(tiny.get_config())[1]
    assert 2 * count(params) < 25e6  # bytes of the shipped float16 weights
    assert set(params) == {"autoencoder", "hyperprior", "unet", "step_profile"}


@pytest.mark.parametrize("module", [tiny, sd21])
def test_unknown_variant_is_refused(module):
    with pytest.raises(ValueError, match=r"known: .*smoke"):
        module.get_config("huge")


@pytest.mark.parametrize("module", [tiny, sd21])
def test_variants_have_the_same_settings(module):
    full, smoke = module.get_config(), module.get_config("smoke")
    other = tiny.get_config()
    for section in ("data", "training"):
        assert set(full[section]) == set(smoke[section]) == set(other[section])
    assert set(full) == set(other)


def test_smoke_of_the_stable_diffusion_layout():
    networks, shapes = built(sd21.get_config("smoke"))
    params = randomised(shapes)
    images = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 3)), jnp.float32)
    latent = jax.jit(networks.encode)(params, images)
    assert latent.shape == (1, 8, 8, 4)
    levels = jnp.asarray(np.random.default_rng(2).integers(0, 16, (1, 8, 8)))
    timesteps = level_timesteps(jnp.linspace(100.0, 500.0, 16)[None], levels)
    denoise = jax.jit(networks.denoise)
    mean, scale = jnp.zeros(()), jnp.ones(())
    clean = denoise(params, latent, timesteps, mean, scale)
    assert clean.shape == latent.shape and bool(jnp.all(jnp.isfinite(clean)))
    # No prior conditioning: another prior changes nothing. The constant context does.
    np.testing.assert_array_equal(denoise(params, latent, timesteps, mean + 3.0, scale), clean)
    other = params | {"context": {"empty_prompt": params["context"]["empty_prompt"] + 1.0}}
    assert np.abs(denoise(other, latent, timesteps, mean, scale) - clean).max() > 1e-6
    assert jax.jit(networks.decode)(params, clean).shape == images.shape


def test_steps_agree_in_all_forms():
    networks, shapes = built(tiny.get_config("smoke"))
    params = randomised({"step_profile": shapes["step_profile"]}, 0.2)
    values = jnp.asarray([[200.0, 500.0, 800.0]])
    levels = jnp.asarray(np.random.default_rng(0).integers(0, 3, (1, 4, 6)))
    by_level = level_timesteps(values, levels)
    a = networks.steps_at_pixels(params, by_level)
    b = networks.steps_at_pixels(params, by_level.at_pixels(values))
    assert a.shape == (1, 4, 6, 56)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    c = networks.steps_at_pixels(params, jnp.asarray([500.0]))
    np.testing.assert_allclose(c[0, 0, 0], networks.step_table(params)[500], rtol=1e-6)
    assert np.ptp(np.asarray(c)) > 0  # the profile differs between channels


def test_step_table_without_a_profile_is_the_schedule():
    networks = built(sd21.get_config("smoke"))[0]
    table = networks.step_table({})
    assert table.shape == (1001, 1) and table.dtype == np.float64
    np.testing.assert_allclose(table[:, 0], scaled_linear().step(jnp.arange(1001)), rtol=1e-6)


@pytest.mark.parametrize(
    "without", [dict(prior_conditioning=False), dict(unet=None), dict(prediction="eps")]
)
def test_silence_needs_a_denoiser_that_knows_the_prior(without):
    model = tiny.get_config("smoke").model.to_dict()
    assert model["silent_scales"] > 0
    with pytest.raises(ValueError, match="silent_scales"):
        Networks.from_config(model | without)
    assert Networks.from_config(model | without | dict(silent_scales=0)).silent_below is None
