"""The real encode and decode path of a latent, with random weights and random maps."""

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from rdc_jax.entropy import hyper_coding, latent_coding, tables, wiener_context
from rdc_jax.entropy.dither import dither_phases
from rdc_jax.entropy.entropy_model import EntropyModel, schedule_arrays
from rdc_jax.entropy.integer_network import condition_table
from rdc_jax.errors import RdcError

SIZES = [(1, 1), (1, 9), (7, 1), (5, 3), (4, 4), (13, 22)]
ADDITIONS = {"hyper_step": True, "hyper_context": True}
SKIPPED = 36  # number of scale indexes in skip mode, in tests that use it
FAR = 20  # distance in latent pixels without any influence: the receptive field is 16


def random_latent(rng, height, width, channels=4):
    return rng.normal(0, 30, (height, width, channels)).astype(np.float32)


def round_trip(model, latent, conditions):
    hyper, body, coded = latent_coding.encode_latent(model, latent, conditions)
    return hyper, body, coded, latent_coding.decode_latent(model, hyper, body, conditions)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_decoder_sees_what_the_encoder_saw(rng, random_model, make_conditions, height, width):
    conditions = make_conditions(height, width)
    *_, coded, decoded = round_trip(random_model, random_latent(rng, height, width), conditions)
    assert decoded.symbol_hash == coded.symbol_hash
    for name in ("yhat", "mean", "scale"):
        array = getattr(decoded, name)
        assert array.dtype == np.float32 and array.shape == (height, width, 4)
        assert np.all(np.isfinite(array))
        np.testing.assert_array_equal(array, getattr(coded, name))
    assert decoded.scale.min() > 0
    assert coded.hyper_bits + coded.latent_bits > 0
    assert coded.bits_map.sum() == pytest.approx(coded.latent_bits)


@pytest.mark.parametrize(("skipped_scales", "additions"), [(0, {}), (SKIPPED, {}), (0, ADDITIONS)])
def test_mean_and_scale_are_those_of_the_float_network(
    rng, random_hyperprior, make_model, make_conditions, skipped_scales, additions
):
    """The whole path, context included, against the network that training uses."""
    import jax.numpy as jnp

    from rdc_jax.models.conditions import condition_features
    from rdc_jax.models.hyperprior import silence_threshold

    silent_below = silence_threshold(skipped_scales) if skipped_scales else None
    module, params = random_hyperprior(silent_below=silent_below, **additions)
    random_model = make_model(params, skipped_scales=skipped_scales)
    conditions, latent = make_conditions(16, 12), random_latent(rng, 16, 12)
    coded = latent_coding.encode_latent(random_model, latent, conditions)[2]
    levels = conditions.levels[None, ..., None]
    timesteps = jnp.asarray(conditions.timesteps[levels], jnp.float32)
    condition = condition_features(timesteps, jnp.asarray(levels / 2, jnp.float32))
    table = condition_table(conditions.timesteps, 3)[conditions.levels].astype(np.float64)
    exact = random_model.network.hyper_analysis(np.rint(latent / 32.0 * 1024), table)

    def nearest(where, lattice, scale_index, phase, shift):
        return lattice.nearest(exact[where]).reshape(shift.shape) + shift

    coding = random_model.network, table, nearest, hashlib.sha256()
    z = hyper_coding.code_hyper_latent(*coding, count_bits=False)[0] / 1024
    step = random_model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    log2_step = jnp.log2(jnp.asarray(step[None], jnp.float32))
    mean, log2_scale = module.apply(
        {"params": params}, jnp.asarray(z[None], jnp.float32), jnp.asarray(coded.yhat[None]),
        condition, log2_step, method="parameters_given",
    )  # fmt: skip
    assert np.std(mean) > 3
    np.testing.assert_allclose(coded.mean, mean[0], atol=0.02 * 32)
    low, high = tables.relative_scale(0) * step, tables.relative_scale(tables.NUM_SCALES) * step
    expected = np.clip(2.0 ** np.asarray(log2_scale[0]), low, high)
    np.testing.assert_allclose(coded.scale, expected, rtol=0.02)


@pytest.fixture(scope="module")
def skipping_model(random_hyperprior, make_model):
    return make_model(random_hyperprior()[1], skipped_scales=SKIPPED)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_skipped_element_costs_nothing_and_is_its_mean_with_dither(
    rng, skipping_model, random_model, make_conditions, height, width
):
    conditions, latent = make_conditions(height, width), random_latent(rng, height, width)
    hyper, body, coded, decoded = round_trip(skipping_model, latent, conditions)
    assert decoded.symbol_hash == coded.symbol_hash
    for name in ("yhat", "mean", "scale"):
        np.testing.assert_array_equal(getattr(decoded, name), getattr(coded, name))
    levels = conditions.levels[:height, :width]
    log2_step = skipping_model.log2_step_fixed[conditions.timesteps][levels] / 1024
    index = np.rint(6 * (np.log2(coded.scale) - log2_step + 7) + 1e-4)
    skipped = index < SKIPPED
    if height * width > 16:
        assert 0.1 < skipped.mean() < 0.9
    phases = dither_phases(conditions.dither_seed, height, width, 4)
    noise = np.exp2(log2_step) * ((2 * phases.astype(float) + 1) / 64 - 0.5)
    np.testing.assert_allclose((coded.yhat - coded.mean)[skipped], noise[skipped], rtol=2e-3)
    assert np.abs((coded.yhat - coded.mean - noise)[~skipped]).max() > 10
    assert not np.any(coded.bits_map[np.all(skipped, -1)])
    everything = latent_coding.encode_latent(random_model, latent, conditions)
    assert len(body) <= len(everything[1]) and hyper == everything[0]


def test_all_elements_skipped(rng, random_hyperprior, make_model, make_conditions):
    model = make_model(random_hyperprior()[1], skipped_scales=tables.NUM_SCALES)
    conditions, latent = make_conditions(9, 6), random_latent(rng, 9, 6)
    _, body, coded, decoded = round_trip(model, latent, conditions)
    assert coded.latent_bits == 0 and len(body) <= 8
    np.testing.assert_array_equal(decoded.mean, coded.mean)


@pytest.mark.parametrize("stored", [[-1], [tables.NUM_SCALES + 1], [3, 3]])
def test_skipped_scales_out_of_range_are_refused(random_model, stored):
    table = 0.5 * 128 ** (np.arange(1001) / 1000)
    arrays = schedule_arrays(table.reshape(-1, 1), 32, skipped_scales=1)
    arrays["silent_scales"] = np.asarray(stored, np.int64)
    arrays = {f"schedule/{name}": array for name, array in arrays.items()}
    with pytest.raises(RdcError, match="silent_scales"):
        EntropyModel.from_arrays(arrays)


def test_wiener_weights_follow_the_formula(random_model):
    assert random_model.shrink.shape == (80,) and random_model.shrink.dtype == np.int64
    scale = 2.0 ** (-7 + np.arange(80) / 6)
    expected = np.round(scale**2 / (scale**2 + 1 / 12) * 65536)
    np.testing.assert_array_equal(random_model.shrink, expected)
    assert random_model.shrink[0] == 48 and random_model.shrink[-1] == 65535


def test_weights_between_scale_indexes_are_close_to_the_formula(random_model):
    fixed = np.arange(-9 * 1024, 8 * 1024)
    weight = wiener_context.interpolated_weight(random_model.shrink, fixed)
    power = 4.0 ** np.clip(fixed / 1024, -7, 79 / 6 - 7)
    np.testing.assert_allclose(weight / 65536, power / (power + 1 / 12), atol=8e-4)
    assert np.all(np.diff(weight) >= 0)
    at_index = np.ceil((np.arange(80) / 6 - 7) * 1024).astype(np.int64)
    stored = wiener_context.interpolated_weight(random_model.shrink, at_index)
    assert np.abs(stored - random_model.shrink).max() <= 24  # 1/1024 octave past an index
    np.testing.assert_array_equal(stored[::3], random_model.shrink[::3])  # hits them


def test_a_shrunk_residual_is_exact_to_the_last_bit(rng):
    """Against unbounded integers, up to the largest residual. Full weight only rounds."""
    largest = (2**31 - 1) * (64 * (2**20 - 1) + 31)
    assert largest < 2**57
    residual = np.concatenate(
        [
            [0, largest, -largest],
            rng.integers(-largest, largest, 500),
            rng.integers(-(2**20), 2**20, 500),
        ]
    )
    weight = np.concatenate([[0, 2**16, 2**16], rng.integers(0, 2**16 + 1, 1000)])
    shrunk = wiener_context.shrink_residual(residual, weight)
    expected = [
        ((int(r) >> 12) * int(w) + 2**19) >> 20 for r, w in zip(residual, weight, strict=True)
    ]
    assert shrunk.tolist() == expected
    np.testing.assert_array_equal(
        wiener_context.shrink_residual(residual, np.full(residual.shape, 2**16)),
        (residual + 2**15) >> 16,
    )
    assert not wiener_context.shrink_residual(residual, np.zeros_like(residual)).any()


def test_a_channel_without_information_does_not_disturb_the_others(
    rng, random_hyperprior, make_model, make_conditions
):
    """Another dither changes the noise in a channel of huge step. Other means hardly move."""
    steps = np.full((1001, 4), 0.01)
    params = random_hyperprior()[1]
    latent = random_latent(rng, 16, 16)

    def mean_under(seed, loud_step):
        steps[:, 2] = loud_step
        model = make_model(params, steps)
        conditions = make_conditions(16, 16, levels=np.ones((16, 16)), seed=seed)
        return latent_coding.encode_latent(model, latent, conditions)[2]

    one, other = (mean_under(seed, 2000.0) for seed in (1, 2))
    assert np.abs(one.yhat - other.yhat)[..., 2].mean() > 300
    assert np.abs(one.mean - other.mean).max() < 2


def test_symbol_hash_tells_symbols_apart(rng, random_model, make_conditions):
    latent, conditions = random_latent(rng, 8, 8), make_conditions(8, 8)
    hashes = {
        latent_coding.encode_latent(random_model, x, c)[2].symbol_hash
        for x, c in (
            (latent, conditions),
            (latent + 5, conditions),
            (latent, make_conditions(8, 8, seed=8)),
        )
    }
    assert len(hashes) == 3


@pytest.fixture(scope="module")
def noise(random_hyperprior, make_model, make_conditions):
    """(yhat - y) / step, y, mean, step of 2**18 elements; steps differ by pixel and channel."""
    rng = np.random.default_rng(5)
    base = 0.5 * 128 ** (np.arange(1001) / 1000)
    model = make_model(random_hyperprior(8)[1], base[:, None] * np.linspace(0.5, 3, 8))
    timesteps = np.linspace(900, 20, 16).astype(np.int64)
    conditions = make_conditions(192, 176, timesteps)
    latent = random_latent(rng, 192, 176, 8)
    coded = latent_coding.encode_latent(model, latent, conditions)[2]
    step = model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    return (coded.yhat.astype(np.float64) - latent) / step, latent, coded.mean, step


def test_noise_is_uniform_through_the_real_path(noise):
    u = noise[0].ravel()
    assert np.abs(u).max() <= 0.5 + 1e-4  # float32 of yhat
    assert u.mean() == pytest.approx(0, abs=3e-3)
    assert u.var() == pytest.approx(1 / 12, rel=0.01)
    histogram = np.histogram(u, 20, (-0.5, 0.5))[0] / u.size * 20
    np.testing.assert_allclose(histogram, 1, atol=0.04)


def test_noise_is_independent_through_the_real_path(noise):
    u, *others = noise
    others += [np.roll(u, 1, axis=axis) for axis in (0, 1, 2)]
    for other in others:
        assert abs(np.corrcoef(u.ravel(), other.ravel())[0, 1]) < 0.01
    for channel in range(8):
        assert u[..., channel].var() == pytest.approx(1 / 12, rel=0.03)


def test_bytes_are_close_to_the_ideal_length(rng, gaussian_model, make_conditions):
    latent = rng.normal(0, 20, (64, 64, 4)).astype(np.float32)
    hyper, body, coded = latent_coding.encode_latent(
        gaussian_model, latent, make_conditions(64, 64)
    )
    assert len(hyper) <= coded.hyper_bits / 8 * 1.01 + 64
    assert coded.latent_bits / 8 > 2000
    assert coded.latent_bits / 8 <= len(body) <= coded.latent_bits / 8 * 1.01 + 64


def test_ideal_length_is_that_of_the_gaussian(rng, gaussian_model, make_conditions):
    """Against the integral of N(0, 20^2) over each bin. Scales are quantised to 1/6 octave."""
    latent = rng.normal(0, 20, (64, 64, 4))
    conditions = make_conditions(64, 64)
    coded = latent_coding.encode_latent(gaussian_model, latent, conditions)[2]
    np.testing.assert_allclose(coded.scale, 20, rtol=0.005)
    np.testing.assert_array_equal(coded.mean, np.zeros_like(coded.mean))
    step = gaussian_model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    r = -np.abs(coded.yhat.astype(np.float64))
    upper, lower = special.log_ndtr((r + step / 2) / 20), special.log_ndtr((r - step / 2) / 20)
    bits = -(upper + np.log(-np.expm1(lower - upper))) / np.log(2)
    assert coded.latent_bits == pytest.approx(bits.sum(), rel=0.003)
    np.testing.assert_allclose(coded.bits_map, bits.sum(-1), rtol=0.1, atol=1.0)


def test_rate_falls_with_the_timestep(rng, gaussian_model, make_conditions):
    latent = rng.normal(0, 20, (32, 32, 4))
    bits = []
    for t in (0, 50, 200, 400, 600, 800, 1000):
        conditions = make_conditions(32, 32, (t,))
        coded = latent_coding.encode_latent(gaussian_model, latent, conditions)[2]
        bits.append(coded.hyper_bits + coded.latent_bits)
    assert np.all(np.diff(bits) < 0)


def test_a_finer_region_costs_bits_there_and_leaves_the_far_symbols(
    rng, random_model, make_conditions
):
    latent = random_latent(rng, 24, 72)
    levels = np.zeros((24, 72), np.uint8)
    finer = levels.copy()
    finer[8:16, 4:16] = 1
    plain, region = (
        latent_coding.encode_latent(
            random_model, latent, make_conditions(24, 72, (700, 300), grid)
        )[2]
        for grid in (levels, finer)
    )
    assert region.bits_map[8:16, 4:16].sum() > plain.bits_map[8:16, 4:16].sum() + 100
    far = slice(16 + FAR, None)
    for name in ("yhat", "mean", "scale", "bits_map"):
        a, b = getattr(plain, name), getattr(region, name)
        np.testing.assert_array_equal(a[:, far], b[:, far])
        assert np.any(a[8:16, 4:16] != b[8:16, 4:16])


@pytest.mark.parametrize(("down", "right"), [(4, 8), (8, 4)])
def test_translating_everything_translates_the_bits(
    rng, random_model, make_conditions, down, right
):
    """Interior bits move with map, latent and dither by whole cells of the hyper-latent."""
    canvas = random_latent(rng, 72, 72)
    levels = np.kron(rng.integers(0, 3, (18, 18)), np.ones((4, 4), np.int64))

    def encode(top, left):
        window = slice(top, top + 56), slice(left, left + 56)
        conditions = make_conditions(56, 56, levels=levels[window])
        conditions = dataclasses.replace(conditions, row0=top, col0=left)
        return latent_coding.encode_latent(random_model, canvas[window], conditions)[2].bits_map

    still, moved = encode(0, 0), encode(down, right)
    interior = still[FAR + down : 56 - FAR + down, FAR + right : 56 - FAR + right]
    interior = interior[: 56 - 2 * FAR - down, : 56 - 2 * FAR - right]
    np.testing.assert_array_equal(
        moved[FAR : FAR + interior.shape[0], FAR : FAR + interior.shape[1]], interior
    )
    assert interior.size > 40 and interior.std() > 0


def test_values_beyond_the_tables_are_clipped_and_still_decode(random_model, make_conditions):
    latent = np.full((6, 5, 4), 1e9, np.float32)
    latent[::2] *= -1
    *_, coded, decoded = round_trip(random_model, latent, make_conditions(6, 5, (0,)))
    assert decoded.symbol_hash == coded.symbol_hash
    np.testing.assert_array_equal(decoded.yhat, coded.yhat)
    assert np.all(np.isfinite(decoded.yhat)) and np.abs(decoded.yhat).max() > 1e5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_latent_that_is_not_finite_is_refused(random_model, make_conditions, value):
    latent = np.zeros((4, 4, 4), np.float32)
    latent[1, 2, 3] = value
    with pytest.raises(RdcError, match="non-finite"):
        latent_coding.encode_latent(random_model, latent, make_conditions(4, 4))


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


def test_entropy_model_loads_its_arrays_and_refuses_others(random_hyperprior):
    from rdc_jax.model_folder import codec_model

    steps = np.linspace(0.5, 60, 1001)[:, None]
    arrays = codec_model.entropy_arrays(random_hyperprior()[1], steps, 32.0)
    model = EntropyModel.from_arrays(arrays)
    assert model.latent_unit == 32 and model.step_fixed.dtype == np.int64
    np.testing.assert_allclose(model.step_fixed * 32 / 2**20, steps, rtol=1e-4)
    np.testing.assert_allclose(model.log2_step_fixed / 1024, np.log2(steps), atol=5e-4)
    np.testing.assert_array_equal(model.shrink, arrays["schedule/shrink"])
    shrink = arrays["schedule/shrink"]
    assert shrink.dtype == np.int32
    wrongs = [{k: v for k, v in arrays.items() if k != f"schedule/{name}"}
              for name in ("step_fixed", "shrink")]  # fmt: skip
    wrongs += [arrays | {"extra/x": steps}]
    wrongs += [
        arrays | {"schedule/shrink": wrong}
        for wrong in (
            shrink[:-1],
            shrink[:, None],
            shrink.astype(np.float32),
            np.where(shrink == shrink[3], -1, shrink).astype(np.int32),
            np.where(shrink == shrink[3], 2**16 + 1, shrink).astype(np.int32),
        )
    ]
    for wrong in wrongs:
        with pytest.raises(RdcError, match="damaged"):
            EntropyModel.from_arrays(wrong)


@pytest.mark.parametrize("size", [(8, 12), (9, 11), (1, 6), (2, 1), (7, 4)])
def test_context_continues_only_beyond_partial_cells(rng, size):
    known = rng.integers(-9, 9, (*size, 3))
    h, w = size
    more = wiener_context.continued(known)
    assert more.shape[:2] == (h + (h % 4 > 0 and h > 1), w + (w % 4 > 0 and w > 1))
    np.testing.assert_array_equal(more[:h, :w], known)
    if more.shape[0] > h:
        np.testing.assert_array_equal(more[h, :w], known[h - 2])
    if more.shape[1] > w:
        np.testing.assert_array_equal(more[:, w], more[:, w - 2])


@pytest.mark.parametrize("stored", [[2], [1, 1], [-1]])
def test_a_damaged_switch_is_named(stored):
    arrays = schedule_arrays(np.ones((1001, 1)), 32)
    arrays["continued_context"] = np.asarray(stored, np.int64)
    arrays = {f"schedule/{name}": array for name, array in arrays.items()}
    with pytest.raises(RdcError, match="continued_context"):
        EntropyModel.from_arrays(arrays)
