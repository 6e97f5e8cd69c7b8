"""Validation by all devices: the same images as by one, wherever the parameters are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import tiny
from rdc_jax.model_folder import codec_model
from rdc_jax.models.networks import Networks
from rdc_jax.training import program
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks import decoders
from rdc_jax.training.validation import measuring, on_mesh

TIMESTEPS = np.array(measuring.TIMESTEPS, np.int32)


@pytest.fixture(scope="module")
def crops():
    """Five crops, which do not fill two rounds of four devices, uint8 [5,64,64,3]."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 8, 8, 3)).repeat(8, 1).repeat(8, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def model(smoke_model):
    loaded = codec_model.load(smoke_model)
    return Networks.from_config(loaded.config), loaded.params


def decoded(networks, params, crops, mesh):
    decoder = decoders.of_codec(networks)
    seeds = measuring.seeds_of(crops)
    return list(on_mesh.decode(decoder, mesh, params, crops, seeds, TIMESTEPS))


def test_all_devices_decode_what_one_does(model, crops, monkeypatch):
    networks, params = model
    monkeypatch.setattr(partitioning, "FSDP_MIN_SIZE", 2**8)
    mesh = partitioning.make_mesh({"data": 2, "fsdp": 2}, jax.devices()[:4])
    shapes = partitioning.with_shardings(params, partitioning.parameter_sharding(mesh, params))
    placed = partitioning.place(params, shapes)
    assert any(not leaf.is_fully_replicated for leaf in jax.tree.leaves(placed))
    many = decoded(networks, placed, crops, mesh)
    one = list(measuring.decode(decoders.of_codec(networks), params, crops))
    assert len(many) == len(one) == 5
    for ours, theirs in zip(many, one, strict=True):
        np.testing.assert_allclose(ours.bpp, theirs.bpp, rtol=1e-5)
        np.testing.assert_array_equal(ours.original, theirs.original)
        assert np.abs(ours.images.astype(int) - theirs.images.astype(int)).max() <= 1


def test_a_validation_computes_in_the_dtype_of_the_run(model, crops):
    networks, params = model
    config = tiny.get_config("smoke")
    config.training.compute_dtype = "bfloat16"
    half = program.validation_networks(config.training, networks)
    assert half.dtype == jnp.bfloat16
    mesh = partitioning.make_mesh({"data": 1}, jax.devices()[:1])
    with jax.numpy_dtype_promotion("standard"):
        text = on_mesh._program(decoders.of_codec(half), mesh).lower(
            decoders.used(decoders.of_codec(half), params), crops[:1], np.int32([1]), TIMESTEPS
        )
    text = text.as_text()
    assert "bf16" in text
    whole = on_mesh._program(decoders.of_codec(networks), mesh).lower(
        decoders.used(decoders.of_codec(networks), params), crops[:1], np.int32([1]), TIMESTEPS
    )
    assert "bf16" not in whole.as_text()


def test_parameters_stay_on_the_devices(model, crops):
    """No transfer of weights to the host, or from it, happens in a validation."""
    networks, params = model
    mesh = partitioning.make_mesh({"data": 2}, jax.devices()[:2])
    shapes = partitioning.with_shardings(params, partitioning.parameter_sharding(mesh, params))
    placed = partitioning.place(params, shapes)
    fetched = []
    with pytest.MonkeyPatch.context() as patch:
        gather = partitioning.gather
        patch.setattr(
            partitioning, "gather", lambda tree, keep: fetched.append(tree) or gather(tree, keep)
        )
        decoded(networks, placed, crops[:2], mesh)
    ((bpp, original, images),) = fetched
    assert (bpp.shape, original.shape) == ((2, 4), (2, 64, 64, 3)) and images.dtype == np.uint8
