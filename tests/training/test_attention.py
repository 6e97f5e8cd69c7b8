"""The TPU kernel, interpreted, against plain attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.models.attention import plain_attention
from rdc_jax.training import attention
from rdc_jax.training.cluster import partitioning


@pytest.fixture(scope="module")
def mesh():
    return partitioning.make_mesh({"data": 2}, jax.devices()[:2])


def inputs(length):
    keys = jax.random.split(jax.random.key(0), 4)
    query, *others = (jax.random.normal(key, (2, 1, length, 64)) for key in keys)
    return [query / 8, *others]  # scaled, as `Attend` wants


def value_and_gradients(attend, length):
    query, key, value, weights = inputs(length)

    def loss(query, key, value):
        return jnp.sum(attend(query, key, value) * weights)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(query, key, value)


def test_the_tpu_kernel_computes_attention_and_its_gradients(mesh, monkeypatch):
    monkeypatch.setattr(attention, "PALLAS_BLOCK", 128)
    monkeypatch.setattr(attention, "PALLAS_KEY_BLOCK", 256)
    kernel = attention.pallas_attention(mesh, interpret=True)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        value, gradients = value_and_gradients(kernel, 512)
    plain_value, plain_gradients = value_and_gradients(plain_attention, 512)
    np.testing.assert_allclose(value, plain_value, rtol=1e-4)
    for ours, plain in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(ours, plain, atol=2e-5)


def test_lengths_that_do_not_fill_its_blocks_go_without_it(mesh):
    query, key, value, _ = inputs(64)
    kernel = attention.pallas_attention(mesh)
    np.testing.assert_array_equal(kernel(query, key, value), plain_attention(query, key, value))


@pytest.mark.parametrize("kind", ["pallas", "cudnn"])
def test_a_kernel_that_the_devices_do_not_have_is_refused(mesh, kind):
    with pytest.raises(RdcError, match=f"training.attention={kind}"):
        attention.attention_kernel(kind, mesh, jnp.bfloat16)


def test_an_unknown_kernel_is_named(mesh):
    with pytest.raises(RdcError, match=r"training.attention must be one of .* not 'fast'"):
        attention.attention_kernel("fast", mesh, jnp.float32)


class Gpu:
    platform, device_kind = "gpu", "Tesla V100-SXM2-16GB"

    def __init__(self, capability):
        self.compute_capability = capability


class MeshOf:
    """As much of a mesh as the choice of a kernel looks at."""

    def __init__(self, device):
        self.devices = np.array([device], object)


@pytest.mark.parametrize(
    ("capability", "dtype", "kernel"),
    [
        ("7.0", jnp.bfloat16, plain_attention),
        ("7.5", jnp.bfloat16, plain_attention),
        ("8.0", jnp.bfloat16, attention.cudnn_attention),
        ("10.0", jnp.bfloat16, attention.cudnn_attention),
        ("9.0", jnp.float32, plain_attention),
    ],
)
def test_cudnn_is_chosen_where_it_has_the_kernel(capability, dtype, kernel):
    assert attention.attention_kernel("auto", MeshOf(Gpu(capability)), dtype) is kernel


def test_cudnn_is_refused_on_older_gpus():
    with pytest.raises(
        RdcError, match=r"compute capability 8.0 or newer, and Tesla V100.* has 7.0"
    ):
        attention.attention_kernel("cudnn", MeshOf(Gpu("7.0")), jnp.bfloat16)
