"""Bytes of a latent that are cut off, damaged, or read under the wrong conditions."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_jax.entropy import latent_coding
from rdc_jax.errors import RdcError
from tests.entropy.latents import random_latent


@pytest.fixture(scope="module")
def coded_bytes(random_model, make_conditions):
    conditions = make_conditions(9, 10)
    latent = random_latent(np.random.default_rng(2), 9, 10)
    return *latent_coding.encode_latent(random_model, latent, conditions), conditions


def test_truncated_bytes_are_refused(random_model, coded_bytes):
    hyper, body, _, conditions = coded_bytes
    for keep in (0, 1, len(body) // 2, len(body) - 5):
        with pytest.raises(RdcError):
            latent_coding.decode_latent(random_model, hyper, body[:keep], conditions)
    for keep in (0, len(hyper) // 2):
        with pytest.raises(RdcError):
            latent_coding.decode_latent(random_model, hyper[:keep], body, conditions)


def test_the_wrong_map_or_seed_does_not_decode_silently(random_model, coded_bytes):
    hyper, body, coded, conditions = coded_bytes
    for change in ({"dither_seed": 8}, {"levels": 2 - conditions.levels}):
        other = dataclasses.replace(conditions, **change)
        try:
            decoded = latent_coding.decode_latent(random_model, hyper, body, other)
        except RdcError:
            continue
        assert np.any(decoded.yhat != coded.yhat)


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_bytes_give_one_kind_of_error(random_model, coded_bytes, data):
    *parts, _, conditions = coded_bytes
    which = data.draw(st.sampled_from((0, 1)))
    damaged = bytearray(parts[which])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    parts[which] = bytes(damaged)
    try:
        decoded = latent_coding.decode_latent(random_model, *parts, conditions)
    except RdcError:
        return
    assert np.all(np.isfinite(decoded.yhat)) and np.all(np.isfinite(decoded.scale))


@settings(max_examples=40)
@given(noise=st.binary(max_size=80))
def test_random_bytes_give_one_kind_of_error(random_model, coded_bytes, noise):
    hyper, _, _, conditions = coded_bytes
    for parts in ((noise, noise), (hyper, noise)):
        try:
            latent_coding.decode_latent(random_model, *parts, conditions)
        except RdcError:
            pass
