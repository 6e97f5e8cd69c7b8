"""The perceptual score: its views, its guards against patterns and colour drift, its weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fusion as fusion_config
from rdc_jax.errors import RdcError
from rdc_jax.models import lpips, lpips_weights
from rdc_jax.training.tasks import looks
from rdc_jax.training.tasks.looks import Looks, Views

SIDE = 72
NOTHING = Looks(Views(), Views(), max_offset=0, pattern=0.0, colour=0.0)


def small_weights(name="alexnet"):
    """Random weights in the layout of a network, four channels a stage."""
    rng = np.random.default_rng(0)
    convolutions, channels = [], 3
    for side, _ in lpips_weights.CONVOLUTIONS[name]:
        kernel = rng.normal(0, (2 / (side**2 * channels)) ** 0.5, (side, side, channels, 4))
        convolutions.append((jnp.asarray(kernel, jnp.float32), jnp.zeros(4)))
        channels = 4
    return {"conv": convolutions, "heads": [jnp.full(4, 0.25) for _ in range(5)]}


@pytest.fixture(scope="module")
def networks():
    return {name: looks.as_parameters(small_weights(name)) for name in looks.NETWORKS}


@pytest.fixture(scope="module")
def pictures():
    """Three originals and what was decoded of them, float32 [3,72,72,3] in [-1,1] each."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    waves = [np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9)) for _ in range(9)]
    original = 0.6 * np.stack(waves).reshape(3, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    decoded = 0.9 * original + 0.1 * rng.normal(0, 1, original.shape)
    return jnp.asarray(original, jnp.float32), jnp.asarray(decoded, jnp.float32)


def lpips_of(weights, pair):
    """LPIPS [3] of a pair as it is, or flipped, as the key 0 has it."""
    flipped = looks.shifted(jax.random.split(jax.random.key(0), 3)[0], jnp.stack(pair), 0)
    return lpips.lpips(weights, *flipped)


def score_of(recipe, networks, pictures, key=0):
    original, decoded = pictures
    return looks.score(recipe, networks, jax.random.key(key), original, original, decoded)


@pytest.mark.parametrize("name", looks.NETWORKS)
def test_the_whole_view_is_lpips(networks, pictures, name):
    recipe = dataclasses.replace(NOTHING, **{name: Views(whole=2.0)})
    score, terms = score_of(recipe, networks, pictures)
    expected = lpips_of(looks.as_weights(networks[name]), pictures)
    np.testing.assert_allclose(score, 2 * expected, rtol=1e-5)
    np.testing.assert_allclose(terms[f"lpips_{name}"], np.mean(expected), rtol=1e-5)
    assert set(terms) == {f"lpips_{name}"}


def test_the_half_view_is_lpips_at_half_size(networks, pictures):
    views = {v: score_of(dataclasses.replace(NOTHING, alexnet=v), networks, pictures)[0]
             for v in (Views(whole=1.0), Views(half=0.5), Views(whole=1.0, half=0.5))}  # fmt: skip
    whole, half, both = views.values()
    np.testing.assert_allclose(both, whole + half, rtol=1e-5)
    smaller = [p.reshape(3, 36, 2, 36, 2, 3).mean((2, 4)) for p in pictures]
    expected = lpips_of(small_weights(), smaller)
    np.testing.assert_allclose(half, 0.5 * expected, rtol=1e-4)


def test_a_pair_is_cropped_by_one_of_all_offsets_and_flipped():
    y, x = np.mgrid[0:16, 0:24].astype(np.float32)
    images = jnp.asarray(np.stack([np.stack([y, x, y * 0], -1)] * 2))
    crop = jax.jit(lambda k: looks.shifted(k, images, 7))
    seen = set()
    for number in range(500):
        pair = np.asarray(crop(jax.random.key(number)))
        assert pair.shape == (2, 8, 16, 3)
        np.testing.assert_array_equal(pair[0], pair[1])
        rows, columns = pair[0, :, 0, 0], pair[0, 0, :, 1]
        flipped = columns[0] > columns[-1]
        np.testing.assert_array_equal(np.diff(rows), 1)
        np.testing.assert_array_equal(np.diff(columns), -1 if flipped else 1)
        seen.add((int(rows[0]), int(columns.min()), bool(flipped)))
    rows, columns, flips = map(set, zip(*seen, strict=True))
    assert rows == columns == set(range(8)) and flips == {False, True}
    assert looks.shifted(jax.random.key(0), images, 0).shape == images.shape


def test_the_score_sees_the_offset(networks, pictures):
    """What one offset hides, another shows: the score changes with the key."""
    recipe = dataclasses.replace(NOTHING, alexnet=Views(whole=1.0))
    fixed = [score_of(recipe, networks, pictures, key)[0] for key in (0, 1)]
    np.testing.assert_allclose(fixed[0], fixed[1], rtol=0.2)  # a flip remains
    moving = dataclasses.replace(recipe, max_offset=7)
    values = np.stack([score_of(moving, networks, pictures, key)[0] for key in range(6)])
    assert len(np.unique(values[:, 0].round(7))) > 3


def test_a_quarter_view_is_a_window_or_the_whole_at_half_size(rng):
    images = jnp.asarray(rng.normal(0, 1, (2, 3, 64, 96, 3)), jnp.float32)
    smaller = looks.half_size(images)
    assert smaller.shape == (2, 3, 32, 48, 3)
    expected = np.asarray(images)[0, 1, 10:12, 20:22].mean((0, 1))
    np.testing.assert_allclose(smaller[0, 1, 5, 10], expected, rtol=1e-5, atol=1e-6)
    kinds, places = [], set()
    for number in range(24):
        view = np.asarray(looks.quarter_view(jax.random.key(number), images))
        assert view.shape == smaller.shape
        kinds.append(np.allclose(view, smaller))
        if not kinds[-1]:
            place = np.argwhere(np.all(np.asarray(images)[0, 0] == view[0, 0, 0, 0], -1))
            ((top, left),) = place
            window = np.asarray(images)[:, :, top : top + 32, left : left + 48]
            np.testing.assert_array_equal(view, window)
            places.add((int(top), int(left)))
    assert 4 <= sum(kinds) <= 20 and len(places) > 3


def test_a_network_may_see_a_share_of_the_examples():
    assert looks.some_examples(jax.random.key(0), 6, 1.0).tolist() == list(range(6))
    assert looks.some_examples(jax.random.key(0), 6, 0.01).shape == (1,)
    draws = [looks.some_examples(jax.random.key(k), 6, 0.5) for k in range(60)]
    for index in draws:
        np.testing.assert_array_equal(np.diff(np.sort(index)), 2)
    assert {int(index[0]) for index in draws} == set(range(6))


def test_only_the_share_is_scored(networks, pictures):
    views = Views(whole=3.0, share=0.34)
    score, terms = score_of(dataclasses.replace(NOTHING, alexnet=views), networks, pictures)
    assert np.count_nonzero(score) == 1
    np.testing.assert_allclose(terms["lpips_alexnet"], np.sum(score) / 3, rtol=1e-5)


def dots(strength):
    """A dot every 8 pixels, float32 [1,64,64,3]."""
    pattern = np.zeros((1, 64, 64, 3), np.float32)
    pattern[:, 3::8, 5::8] = strength
    return pattern


def test_what_repeats_every_8_pixels_is_found(rng):
    flat, noise = np.zeros((1, 64, 64, 3), np.float32), rng.normal(0, 0.1, (1, 64, 64, 3))
    noise = noise.astype(np.float32)
    found = looks.pattern_excess(flat, flat, dots(0.3))
    assert 0.8 < found[0] < 1.3
    assert looks.pattern_excess(flat, flat, noise)[0] < 0.05
    mixed = looks.pattern_excess(flat, flat, dots(0.3) + noise)[0]
    assert 0.1 < mixed < found[0]
    assert looks.pattern_excess(flat, flat, flat)[0] == 0
    assert looks.pattern_excess(flat, dots(0.3), dots(0.3))[0] == 0  # nothing was added


def test_a_pattern_of_the_original_may_be_shown():
    flat = np.zeros((1, 64, 64, 3), np.float32)
    assert looks.pattern_excess(dots(0.3), flat, dots(0.3))[0] == 0
    assert looks.pattern_excess(dots(0.3), flat, dots(0.5))[0] > 0.2


def test_less_of_a_pattern_lowers_the_term_and_more_noise_does_not(rng):
    flat = jnp.zeros((1, 64, 64, 3))
    noise = jnp.asarray(rng.normal(0, 0.1, flat.shape), jnp.float32)
    pattern = jnp.asarray(dots(0.3))

    def excess(strength, noise_strength):
        return looks.pattern_excess(flat, flat, strength * pattern + noise_strength * noise)[0]

    of_pattern, of_noise = jax.grad(excess, (0, 1))(1.0, 1.0)
    assert of_pattern > 0.1 and abs(of_noise) < 0.1 * of_pattern


def test_the_local_mean_is_taken_away(rng):
    x = jnp.asarray(rng.normal(0, 1, (2, 12, 15, 3)), jnp.float32)
    expected = x[:, 5, 6] - x[:, 3:8, 4:9].mean((1, 2))
    np.testing.assert_allclose(looks.high_pass(x)[:, 3, 4], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(looks.high_pass(jnp.full((1, 9, 9, 3), 0.7)), 0.0, atol=1e-6)


def test_a_tint_is_an_error_of_colour_and_noise_hardly(rng):
    original = jnp.asarray(rng.uniform(-0.5, 0.5, (2, 64, 64, 3)), jnp.float32)
    levels = 127.5
    tinted = original + jnp.asarray([[[[3.0, -3.0, 0.0]]]]) / levels
    np.testing.assert_allclose(looks.colour_error(original, tinted), 2.0, rtol=1e-4)
    noise = jnp.asarray(rng.normal(0, 3 / levels, original.shape), jnp.float32)
    assert np.all(looks.colour_error(original, original + noise) < 0.6)


def test_terms_are_added_by_their_weights(networks, pictures):
    original, decoded = pictures
    margin = ((0, 0), (0, SIDE - 64), (0, SIDE - 64), (0, 0))
    faithful, picture = 0.9 * original, decoded + jnp.pad(jnp.asarray(dots(0.5)), margin)
    recipe = Looks(Views(whole=1.0, half=0.5), Views(quarter=1.0), 7, pattern=0.3, colour=0.02)
    key = jax.random.key(4)
    score, terms = looks.score(recipe, networks, key, original, faithful, picture)
    expected = (
        1.5 * terms["lpips_alexnet"] + terms["lpips_vgg16"]
        + 0.3 * terms["pattern"] + 0.02 * terms["colour"]
    )  # fmt: skip
    np.testing.assert_allclose(np.mean(score), expected, rtol=1e-5)
    assert all(value > 0 for value in terms.values())


def test_a_config_says_which_networks_are_loaded(monkeypatch):
    asked = []
    monkeypatch.setattr(
        lpips_weights, "load", lambda name: asked.append(name) or small_weights(name)
    )
    training = fusion_config.get_config().training
    recipe = Looks.from_config(training.to_dict(), 8)
    assert set(looks.load_networks(recipe)) == {"alexnet", "vgg16"}
    training.looks.vgg16.quarter = 0.0
    asked.clear()
    loaded = looks.load_networks(Looks.from_config(training.to_dict(), 8))
    assert set(loaded) == {"alexnet"} == set(asked)


def test_offset_and_lag_follow_the_latent():
    training = fusion_config.get_config().training.to_dict()
    recipe = Looks.from_config(training, 16)
    assert recipe.lattice == 16 and recipe.max_offset == 15
    training["looks"]["max_offset"] = 3
    assert Looks.from_config(training, 16).max_offset == 3
    flat = np.zeros((1, 64, 64, 3), np.float32)
    assert looks.pattern_excess(flat, flat, dots(0.3), 12)[0] < 0.05  # repeats every 8, not 12


def test_crops_that_are_too_small_and_old_configs_are_refused():
    training = fusion_config.get_config().training.to_dict()
    recipe = Looks.from_config(training, 8)
    recipe.check_crop(72)
    with pytest.raises(RdcError, match=r"data.crop_size 71 .* they need 72 pixels"):
        recipe.check_crop(71)
    del training["looks"]
    with pytest.raises(RdcError, match=r"configs/fusion\.py"):
        Looks.from_config(training, 8)


def test_networks_as_parameters_and_back():
    weights = small_weights()
    weights["conv"] += [(jnp.full((1, 1, 4, 4), float(i)), jnp.zeros(4)) for i in range(8)]
    back = looks.as_weights(looks.as_parameters(weights))
    assert jax.tree.structure(back) == jax.tree.structure(weights)
    jax.tree.map(np.testing.assert_array_equal, back, weights)  # conv_10 is not after conv_1
