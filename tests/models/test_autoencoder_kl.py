"""The Stable Diffusion autoencoder: size, layout, shapes, compute type."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.autoencoder_kl import AutoencoderKL

STABLE_DIFFUSION_PARAMETERS = 83_653_863


@pytest.fixture(scope="module")
def tiny():
    """A three-level network, parameters without compiling an initialisation, and images."""
    model = AutoencoderKL(block_out_channels=(8, 16, 16), layers_per_block=1, norm_num_groups=4)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(-1.0, 1.0, (2, 16, 24, 3)), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0.0, 0.1, leaf.shape), leaf.dtype), shapes
    )
    return model, variables, images


def test_stable_diffusion_parameter_count_and_names():
    model = AutoencoderKL()
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == STABLE_DIFFUSION_PARAMETERS
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}

    assert set(params) == {"encoder", "decoder", "quant_conv", "post_quant_conv"}
    encoder, decoder = params["encoder"], params["decoder"]
    assert encoder["down_blocks_0"]["resnets_0"]["conv1"]["kernel"].shape == (3, 3, 128, 128)
    assert encoder["down_blocks_1"]["resnets_0"]["conv_shortcut"]["kernel"].shape[2:] == (128, 256)
    assert "downsamplers_0" not in encoder["down_blocks_3"]
    assert set(encoder["mid_block"]["attentions_0"]) == {
        "group_norm", "to_q", "to_k", "to_v", "to_out_0",
    }  # fmt: skip
    assert set(decoder["up_blocks_0"]) == {"resnets_0", "resnets_1", "resnets_2", "upsamplers_0"}
    assert "upsamplers_0" not in decoder["up_blocks_3"]
    assert decoder["conv_out"]["kernel"].shape == (3, 3, 128, 3)


def test_stable_diffusion_latent_shape():
    model = AutoencoderKL()
    image = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    latent = jax.eval_shape(lambda v, x: model.apply(v, x, method="encode"), variables, image)
    assert latent.shape == (1, 8, 12, 4)


def test_shapes_and_types(tiny):
    model, variables, images = tiny
    latent = model.apply(variables, images, method="encode")
    assert latent.shape == (2, 4, 6, 4)
    decoded = model.apply(variables, latent, method="decode")
    assert decoded.shape == images.shape
    assert latent.dtype == decoded.dtype == jnp.float32
    assert bool(jnp.isfinite(decoded).all())


def test_latent_carries_the_scaling_factor(tiny):
    model, variables, images = tiny
    unscaled = model.clone(scaling_factor=1.0)
    latent = model.apply(variables, images, method="encode")
    np.testing.assert_allclose(
        latent, 0.18215 * unscaled.apply(variables, images, method="encode"), rtol=1e-5
    )
    np.testing.assert_allclose(
        model.apply(variables, latent, method="decode"),
        unscaled.apply(variables, latent / 0.18215, method="decode"),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip


def test_downsampling_pads_bottom_and_right_only():
    from rdc_jax.models.autoencoder_kl import Downsample

    # A kernel that is one at its first tap and zero elsewhere picks the even pixels.
    kernel = jnp.zeros((3, 3, 1, 1)).at[0, 0].set(1.0)
    params = {"conv": {"kernel": kernel, "bias": jnp.zeros(1)}}
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    y = Downsample(jnp.float32).apply({"params": params}, x)
    np.testing.assert_array_equal(y, x[:, ::2, ::2])


def test_bfloat16_compute_keeps_float32_parameters(tiny):
    model, variables, images = tiny
    half = model.clone(dtype=jnp.bfloat16)
    # Flax's own GroupNorm promotes bfloat16 to float32 for its statistics.
    with jax.numpy_dtype_promotion("standard"):
        latent = half.apply(variables, images, method="encode")
    assert latent.dtype == jnp.float32
    reference = model.apply(variables, images, method="encode")
    np.testing.assert_allclose(latent, reference, atol=0.05)


def test_wrong_size_is_refused(tiny):
    model, variables, _ = tiny
    with pytest.raises(ValueError, match="multiple of 4"):
        model.apply(variables, jnp.zeros((1, 18, 16, 3)), method="encode")
