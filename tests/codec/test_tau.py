"""The distortion-perception knob: what tau 0, tau 1, maps and words promise of any module."""

import dataclasses
import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import fusion as fusion_config
from rdc_jax.bitstream import container
from rdc_jax.cli.main import main
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import window_networks
from rdc_jax.decoding import decoder
from rdc_jax.diffusion import residual, sampling
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.models.fusion import Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps

HEIGHT, WIDTH = 64, 112
DEFAULT_TAU, DEFAULT_STEPS = 0.3, 2


@pytest.fixture(scope="module")
def module_folder(smoke_model, tmp_path_factory):
    """A module of smoke size for the smoke model, every layer random."""
    model = codec_model.load(smoke_model)
    section = fusion_config.get_config("smoke").fusion
    section.transform.update(channels=(16,), heads=(0,))
    section.update(default_tau=DEFAULT_TAU, default_steps=DEFAULT_STEPS)
    fusion = Fusion.from_config(section.to_dict(), Networks.from_config(model.config))
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return rng.normal(0, scale, leaf.shape)

    shapes = jax.eval_shape(fusion.init, jax.random.key(0))["transform"]
    folder = tmp_path_factory.mktemp("modules") / "random"
    params = {"transform": jax.tree.map(draw, shapes)}
    params["transform"]["conv_out"]["kernel"] *= 16  # a module that nobody overlooks
    fusion_module.save(folder, "random", section.to_dict(), model.model_id, params)
    return folder


@pytest.fixture(scope="module")
def base(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def codec(smoke_model, module_folder):
    return codecs.load(smoke_model, module_folder)


def smooth(height, width, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / rng.uniform(20, 60) + y / rng.uniform(20, 60)) for _ in range(3)]
    return np.rint(128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def right_part(height, width, start):
    mask = np.zeros((height, width), bool)
    mask[:, start:] = True
    return mask


@pytest.fixture(scope="module")
def example(codec):
    """(pixels, file, report) with a map of two levels, important on the left."""
    pixels = smooth(HEIGHT, WIDTH)
    mask = ~right_part(HEIGHT, WIDTH, 48)
    data, report = codec.encode(
        pixels, quality=60, importance=mask, seed=5, tau=1.0, steps=1, return_report=True
    )
    return pixels, data, report


@pytest.fixture(scope="module")
def data(example):
    return example[1]


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


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


def test_the_module_and_its_steps_change_the_picture(codec, data):
    faithful, one, three = (
        codec.decode(data, tau=tau, steps=steps) for tau, steps in ((0, 1), (1, 1), (1, 3))
    )
    assert difference(faithful, one).mean() > 1
    assert difference(faithful, three).mean() > 1
    assert difference(one, three).mean() > 0.5


def test_the_knob_is_continuous_and_rises(codec, data):
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
    noise = decoder.module_noise(5, shape)
    assert noise.shape == shape and noise.dtype == np.float32
    assert np.abs(noise).max() <= np.float32(3**0.5)
    np.testing.assert_allclose(noise.std(), 1, rtol=0.01)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.01)
    np.testing.assert_array_equal(decoder.module_noise(5, shape), noise)
    window = decoder.module_noise(5, (9, 7, 56), row0=20, col0=13)
    np.testing.assert_array_equal(window, noise[20:29, 13:20])
    for seed in (6, 2**32 - 1):
        other = decoder.module_noise(seed, shape)
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
def test_small_pictures_of_any_size_and_grey_ones(codec, height, width):
    grey = smooth(height, width)[..., 0]
    decoded = codec.decode(codec.encode(grey), tau=np.ones((height, width)))
    assert decoded.shape == (height, width, 3) and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, decoded[..., :1].repeat(3, -1))


# Against the formula


@pytest.fixture(scope="module")
def latents():
    """(yhat, mean, scale, levels, timesteps, tau) of one tile."""
    rng, side = np.random.default_rng(7), window_networks.TILE_PIXELS // 8
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
    module = window_networks.Module(codec._fusion, codec._fusion_params)
    noise = decoder.module_noise(3, yhat.shape)
    tile = window_networks.picture_of_tile(
        networks, params, values, steps=steps, clock="proportional", module=module
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

    def sample(steps):
        return sampling.sample(
            lambda y, t: denoise(params, y, LevelTimesteps(t, weights), mean[None], scale[None]),
            jnp.asarray(yhat[None]),
            jnp.asarray(values[None]),
            lambda t: networks.steps_at_pixels(params, LevelTimesteps(t, weights)),
            num_steps=steps,
            clock=clock,
        )

    tile = window_networks.picture_of_tile(networks, params, values, steps=3, clock=clock)
    faithful, realistic = sample(1), sample(3)
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


# Maps


@pytest.mark.parametrize("steps", [1, 3])
def test_half_a_map_has_both_ends(codec, steps):
    """Over two tiles, with the border inside their overlap; 64 px from it, each half is alone."""
    height, width, border = 40, 448, 208
    data = codec.encode(smooth(height, width, seed=2), quality=50)
    mixed, faithful, realistic = (
        codec.decode(data, tau=tau, steps=steps)
        for tau in (right_part(height, width, border), 0, 1)
    )
    assert difference(faithful, realistic)[:, : border - 64].mean() > 1
    assert difference(mixed, faithful)[:, : border - 64].max() <= 1
    assert difference(mixed, realistic)[:, border + 64 :].max() <= 1


def test_a_border_of_the_map_is_not_a_seam(codec):
    """Compared with columns between other latent pixels, where an untrained synthesis has steps."""
    height, width, border = 192, 256, 128
    data = codec.encode(smooth(height, width, seed=4), quality=50)
    picture = codec.decode(data, tau=right_part(height, width, border)).astype(float)
    gradient = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))[7::8]
    column = border // 8 - 1
    interiors = gradient[: column - 4].mean(), gradient[column + 5 :].mean()
    assert gradient[column] <= 1.25 * max(interiors)


def test_a_map_is_averaged_over_latent_pixels(codec, data):
    board = np.indices((HEIGHT, WIDTH)).sum(0) % 2 == 0
    even = codec.decode(data, tau=np.full((HEIGHT, WIDTH), 0.5))
    assert difference(codec.decode(data, tau=board), even).max() <= 1


def test_roi_keeps_what_the_file_calls_important(codec, example):
    _, data, report = example
    np.testing.assert_array_equal(np.unique(report.levels), [0, 7])
    by_hand = np.kron(1 - report.levels / 7, np.ones((8, 8)))[:HEIGHT, :WIDTH]
    found = codec.decode(data, tau="roi", steps=2)
    np.testing.assert_array_equal(found, codec.decode(data, tau=by_hand, steps=2))
    np.testing.assert_array_equal(
        found, codec.decode(data, tau=right_part(HEIGHT, WIDTH, 48), steps=2)
    )


def test_roi_has_all_levels_between(codec):
    mask = np.broadcast_to(np.linspace(0, 1, WIDTH), (HEIGHT, WIDTH))
    data, report = codec.encode(smooth(HEIGHT, WIDTH), importance=mask, return_report=True)
    assert len(np.unique(report.levels)) > 5
    by_hand = np.kron(1 - report.levels / 7, np.ones((8, 8)))[:HEIGHT, :WIDTH]
    found = codec.decode(data, tau="roi")
    assert difference(found, codec.decode(data, tau=by_hand)).max() <= 1


def test_roi_of_a_file_without_a_map_is_tau_1(codec):
    data = codec.encode(smooth(24, 40))
    np.testing.assert_array_equal(codec.decode(data, tau="roi"), codec.decode(data, tau=1))


def test_tau_at_every_latent_pixel():
    levels = np.array([[0, 3], [6, 7]], np.uint8)
    arguments = levels, 8, (12, 16), 8
    np.testing.assert_array_equal(maps.tau_map(0.25, *arguments), np.full((2, 2), 0.25))
    roi = maps.tau_map("roi", *arguments)
    assert roi.dtype == np.float32
    np.testing.assert_allclose(roi, [[1, 4 / 7], [1 / 7, 0]], rtol=1e-6)
    tau = np.zeros((12, 16))
    tau[:8, :8], tau[8:, 8:] = 1, 0.5  # the lower latent pixels have four rows
    np.testing.assert_allclose(maps.tau_map(tau, *arguments), [[1, 0], [0, 0.5]], atol=2e-3)


# What is refused


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        (-0.1, r"tau -0\.1 must be between 0 .* and 1"),
        (1.1, r"tau 1\.1 must be between"),
        (2, "tau 2 must be between"),
        (float("nan"), "tau nan must be between"),
        (float("inf"), "tau inf must be between"),
        (np.float64(2), "tau 2"),
        (np.float32(2), "tau 2"),
        (np.float32("nan"), "tau nan"),
        (np.int64(2), "tau 2"),
        (np.array(2.0), "tau 2"),
        ("half", "tau 'half' is not a number, an array, or 'roi'"),
        ("0.5", r"tau '0\.5'"),
        (np.ones((WIDTH, HEIGHT)), f"tau map: .*is {HEIGHT} x {WIDTH} pixels but.*resize"),
        (np.ones((HEIGHT, WIDTH, 3)), "tau map: .*shape .*give an array"),
        (np.ones(HEIGHT), "tau map: "),
        (np.full((HEIGHT, WIDTH), np.nan), "tau map: .*not in 0 to 1"),
        (np.full((HEIGHT, WIDTH), 1.5), "tau map: .*not in 0 to 1"),
        (np.full((HEIGHT, WIDTH), -0.5), "tau map: .*not in 0 to 1"),
        (np.ones((HEIGHT, WIDTH), np.int32), "tau map: .*int32"),
    ],
)
def test_a_tau_that_cannot_be_is_named(codec, data, tau, message):
    with pytest.raises(RdcError, match=message) as error:
        codec.decode(data, tau=tau)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("steps", [0, 256, -1])
def test_steps_out_of_range_are_refused(codec, data, steps):
    with pytest.raises(RdcError, match=f"steps {steps} must be between 1 and 255"):
        codec.decode(data, tau=1.0, steps=steps)


@pytest.mark.parametrize("tau", [-0.1, 1.1, float("nan"), np.float32("nan"), np.float32(2)])
def test_a_hint_out_of_range_is_refused(codec, tau):
    with pytest.raises(RdcError, match="tau"):
        codec.encode(smooth(8, 8), tau=tau)


# On the command line


@pytest.fixture
def coded(data, tmp_path, monkeypatch):
    """The example as a file in a folder of its own."""
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)
    path = tmp_path / "file.rdc"
    path.write_bytes(data)
    return path


@pytest.fixture
def decode(coded, smoke_model, module_folder, capsys):
    """Runs `rdc decode` with more arguments; (exit code, pixels or None, stdout, stderr)."""

    def run(*arguments, fusion=module_folder):
        target = coded.with_suffix(".png")
        target.unlink(missing_ok=True)
        command = ["decode", coded, "--model", smoke_model, *arguments]
        command += [] if fusion is None else ["--fusion", fusion]
        code = main([str(part) for part in command])
        output, error = capsys.readouterr()
        pixels = None
        if target.exists():
            with Image.open(target) as image:
                pixels = np.asarray(image)
        return code, pixels, output, error

    return run


@pytest.mark.parametrize("tau", ["0", "0.25", "1", "roi"])
def test_command_decodes_at_a_tau(decode, codec, data, tau):
    code, pixels, _, error = decode("--tau", tau, "--steps", "2", "--quiet")
    assert (code, error) == (0, "")
    expected = codec.decode(data, tau=tau if tau == "roi" else float(tau), steps=2)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_command_decodes_with_a_map(decode, codec, data, tmp_path, mode):
    mask = right_part(HEIGHT, WIDTH, 48)
    Image.fromarray(mask).convert("L").convert(mode).save(tmp_path / "map.png")
    code, pixels, _, error = decode("--tau", tmp_path / "map.png")
    assert (code, error) == (0, "")
    np.testing.assert_array_equal(pixels, codec.decode(data, tau=mask))


def test_command_decodes_without_a_module(decode, base, data):
    for fusion in ("none", None):
        code, pixels, _, error = decode("--steps", "3", fusion=fusion)
        assert (code, error) == (0, "")
        np.testing.assert_array_equal(pixels, base.decode(data, steps=3))


def test_command_reports_tau(decode):
    assert json.loads(decode("--json")[2])["tau"] == 1.0
    assert json.loads(decode("--json", "--tau", "roi")[2])["tau"] == "roi"


def test_command_reports_a_number_as_a_number(decode):
    assert json.loads(decode("--json", "--tau", "0.25")[2])["tau"] == 0.25


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        ("2", "--tau 2 must be between 0 (faithful) and 1 (realistic)"),
        ("-0.5", "--tau"),
        ("nan", "--tau nan must be between"),
        ("missing.png", "--tau missing.png is neither a number from 0 to 1 nor roi"),
        ("ROI", "did you mean --tau roi?"),
        ("", "rdc: error"),
    ],
)
def test_command_refuses_a_tau_in_one_line(decode, tau, message):
    code, pixels, output, error = decode("--tau", tau)
    assert (code, pixels, output) == (2, None, "")
    assert error.startswith("rdc: error: ") and error.count("\n") == 1
    assert message in error


def test_command_refuses_a_map_of_another_size(decode, tmp_path):
    Image.new("L", (HEIGHT, WIDTH)).save(tmp_path / "map.png")
    code, pixels, output, error = decode("--tau", tmp_path / "map.png")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert "tau map" in error and "resize" in error


def test_command_refuses_a_folder_without_a_module(decode, tmp_path):
    code, pixels, output, error = decode(fusion=tmp_path / "nothing")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert error.startswith("rdc: error: no fusion module in")


def test_command_refuses_a_module_of_another_base(decode, module_folder, tmp_path):
    module = fusion_module.load(module_folder, model_folder_id(module_folder))
    fusion_module.save(tmp_path / "other", "other", module.config, bytes(8), module.params)
    code, pixels, output, error = decode(fusion=tmp_path / "other")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert "was made for model 0000000000000000" in error and "--fusion" in error


def model_folder_id(folder):
    return bytes.fromhex(json.loads((folder / "config.json").read_text())["base"])


def test_command_writes_the_hint_that_info_shows(coded, smoke_model, capsys, tmp_path):
    Image.fromarray(smooth(24, 40)).save(tmp_path / "photo.png")
    command = ["encode", tmp_path / "photo.png", "--model", smoke_model, "--tau", ".3", "--quiet"]
    assert main([str(part) for part in command]) == 0
    assert main(["info", str(tmp_path / "photo.rdc"), "--json"]) == 0
    header = json.loads(capsys.readouterr().out)["header"]
    assert header["default_tau"] == 0.3
    assert header["default_steps"] == 1
