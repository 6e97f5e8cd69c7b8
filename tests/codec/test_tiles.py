"""Pictures in tiles: crops, damage, borders; with random networks unless said otherwise."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax.bitstream import container
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.cli.main import main
from rdc_jax.codec import codec as codecs
from rdc_jax.decoding import concealment, deblocking
from rdc_jax.entropy.tiled_latent import DamagedTile
from rdc_jax.errors import RdcError

HEIGHT, WIDTH, TILE = 300, 563, 256  # 2 x 3 tiles, 1 x 2 of the networks'


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [128 + 90 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)]
    noise = rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def mask():
    return np.mgrid[0:HEIGHT, 0:WIDTH][1] > WIDTH // 3


@pytest.fixture(scope="module")
def coded(codec, pixels, mask):
    """(file with tiles, report)."""
    return codec.encode(
        pixels, quality=70, importance=mask, seed=3, tile=TILE, return_report=True
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(codec, coded):
    return codec.decode(coded[0])


def place_of_tiles(data):
    sections = container.unpack(data)[1]
    section = next(s for s in sections if s.type == SectionType.TILES)
    return section.offset, section.offset + section.total_bytes - 4 - len(section.payload)


def with_damage(data, place):
    damaged = bytearray(data)
    damaged[place] ^= 0x10
    return bytes(damaged)


def error(a, b):
    return float(np.mean((a.astype(np.float64) - b) ** 2))


def test_a_file_with_tiles_comes_back(codec, coded, whole, pixels):
    data, report = coded
    assert whole.shape == pixels.shape and whole.dtype == np.uint8
    assert set(report.section_bytes) == {"importance", "tiles"}
    header, latent, conditions = codec.decode_latent(data)
    assert latent.symbol_hash == report.symbol_hash
    assert latent.yhat.shape[:2] == report.bits_map.shape == (38, 71)
    assert report.bytes == len(data)
    tiles = 6 * (4 + 4 + 2 * 6)  # index, CRC, the ends of two range coders
    assert 8 * len(data) <= 1.01 * report.ideal_bits + (64 + tiles) * 8
    rebuilt = codec.reconstruct(header, latent, conditions)
    away = np.ones(whole.shape[:2], bool)  # from borders, whose steps are smoothed
    away[248:264], away[:, 248:264], away[:, 504:520] = False, False, False
    np.testing.assert_array_equal(rebuilt[away], whole[away])


def test_tiles_change_the_image_little(codec, coded, whole, pixels, mask):
    plain = codec.encode(pixels, quality=70, importance=mask, seed=3)
    assert plain == codec.encode(pixels, quality=70, importance=mask, seed=3, tile=0)
    assert SectionType.TILES not in {s.type for s in container.unpack(plain)[1]}
    assert error(whole, pixels) < 1.1 * error(codec.decode(plain), pixels)
    assert error(whole, codec.decode(plain)) < error(whole, pixels)


CROPS = [(0, 0, 1, 1), (250, 240, 20, 30), (WIDTH - 1, HEIGHT - 1, 1, 1), (0, 256, WIDTH, 1)]


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("make", [bytes, io.BytesIO])
def test_a_crop_is_a_window_of_the_whole(codec, coded, whole, crop, make):
    x, y, w, h = crop
    found = codec.decode(make(coded[0]), crop=crop)
    np.testing.assert_array_equal(found, whole[y : y + h, x : x + w])


def test_a_crop_of_a_file_without_tiles(codec, pixels):
    data = codec.encode(pixels, quality=30)
    whole, crop = codec.decode(data), codec.decode(data, crop=(100, 20, 300, 200))
    np.testing.assert_array_equal(crop, whole[20:220, 100:400])


def test_a_crop_with_taus_and_steps(codec, coded):
    tau = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
    for how in ({"tau": tau, "steps": 3}, {"tau": "roi", "steps": 2}):
        whole = codec.decode(coded[0], **how)
        crop = codec.decode(coded[0], crop=(240, 100, 40, 50), **how)
        np.testing.assert_array_equal(crop, whole[100:150, 240:280])


@pytest.mark.parametrize("crop", [(0, 0, 0, 5), (-1, 0, 5, 5), (560, 0, 4, 4), (0, 300, 1, 1)])
def test_a_crop_outside_is_refused(codec, coded, crop):
    with pytest.raises(RdcError, match="does not lie in the image of 563 x 300"):
        codec.decode(coded[0], crop=crop)


def test_a_crop_reads_no_tile_that_it_does_not_need(codec, coded):
    """The last tile is damaged, and all else can still be decoded alone."""
    damaged = with_damage(coded[0], len(coded[0]) - 9)
    with pytest.raises(RdcError, match=r"tile 6 of 6 \(pixels 512,256 to 562,299\)"):
        codec.decode(damaged)
    whole = codec.decode(coded[0])
    np.testing.assert_array_equal(codec.decode(damaged, crop=(0, 0, 90, 90)), whole[:90, :90])
    with pytest.raises(RdcError, match="tile 6 of 6"):
        codec.decode(damaged, crop=(500, 280, 10, 10))


def test_damage_is_filled_in_and_told(codec, coded, whole):
    damaged, told = with_damage(coded[0], len(coded[0]) - 9), []
    found = codec.decode(damaged, resilient=True, on_damage=told.append)
    assert [(t.number, t.count, t.reason) for t in told] == [(5, 6, "CRC-32 mismatch")]
    far = np.s_[:, :240]  # the networks' first tile alone
    np.testing.assert_array_equal(found[far], whole[far])
    assert np.any(found[256:, 512:] != whole[256:, 512:])
    with pytest.warns(UserWarning, match="tile 6 of 6 .*was filled in"):
        codec.decode(damaged, resilient=True)


def test_a_file_that_ends_early_loses_what_is_missing(codec, coded):
    told = []
    length = place_of_tiles(coded[0])[1] + 300
    found = codec.decode(coded[0][:length], resilient=True, on_damage=told.append)
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert told and {t.reason for t in told} == {"cut off"}
    with pytest.raises(RdcError, match="truncated"):
        codec.decode(coded[0][:length])


def test_damage_before_the_tiles_is_fatal(codec, coded):
    begin, payload = place_of_tiles(coded[0])
    for place in (0, 7, 20, begin - 2, begin, payload, payload + 1, payload + 9):
        with pytest.raises(RdcError) as caught:
            codec.decode(with_damage(coded[0], place), resilient=True)
        assert "\n" not in str(caught.value)


def test_damage_anywhere_is_noticed(codec, coded):
    data = coded[0]
    for place in range(0, len(data), len(data) // 40):
        with pytest.raises(RdcError):
            codec.decode(with_damage(data, place))


def test_a_tile_that_decodes_to_nonsense_is_damaged_too(codec, coded):
    """Every CRC is right, the symbols are not."""
    header, sections = container.unpack(coded[0])
    other = container.pack(dataclasses.replace(header, dither_seed=4), sections)
    told = []
    with pytest.raises(RdcError, match=r"tile \d of 6"):
        codec.decode(other)
    codec.decode(other, resilient=True, on_damage=told.append)
    assert told and all("do not decode" in tile.reason for tile in told)


def test_the_side_is_checked(codec, pixels):
    for tile in (100, 128, 16384):
        with pytest.raises(RdcError, match="power of two from 256 to 8192"):
            codec.encode(pixels, tile=tile)
    resilient = codec.encode(pixels, resilient=True, quality=20)
    assert resilient == codec.encode(pixels, tile=256, quality=20)


# The step at a border


def test_a_step_along_a_border_goes_and_an_edge_stays(rng):
    ramp = np.linspace(60, 90, 128)[None, :, None] + np.zeros((96, 128, 3))
    stepped = ramp + 6 * (np.arange(128) >= 64)[None, :, None]
    stepped -= 4 * (np.arange(96) >= 32)[:, None, None]
    edges = ramp.copy()
    edges[:48, 64:] += 40 * (rng.random((48, 1, 1)) < 0.4)  # crosses the border here and there
    edges[48:, 64:] += 40
    smooth = deblocking.smoothed(np.rint(stepped).astype(np.uint8), Window(32, 128, 0, 128), 64)
    assert np.abs(np.diff(smooth.astype(int), axis=1)).max() <= 2
    assert np.abs(np.diff(smooth.astype(int), axis=0)).max() <= 2
    kept = deblocking.smoothed(np.rint(edges).astype(np.uint8), Window(0, 96, 0, 128), 64)
    changed = np.abs(kept.astype(int) - np.rint(edges)).mean(2)
    assert changed[:, 56:72].mean() < 1 and changed[57:].max() == 0 and changed[:, :56].max() == 0


def test_a_damaged_tile_takes_the_colours_around_it():
    ramp = np.linspace(20, 220, 192).astype(np.uint8)[None, :, None].repeat(96, 0).repeat(3, 2)
    picture, hole = ramp.copy(), np.s_[32:64]
    picture[hole, 64:128] = 128
    damaged = DamagedTile(1, 9, 64, 132, 64, 32, "CRC-32 mismatch")
    found = concealment.filled(picture, Window(100, 196, 0, 192), [damaged])
    assert np.abs(found.astype(int) - ramp).max() < 25
    np.testing.assert_array_equal(np.delete(found, hole, 0), np.delete(ramp, hole, 0))
    grey = np.full((40, 40, 3), 128, np.uint8)
    alone = DamagedTile(0, 1, 0, 0, 40, 40, "cut off")
    assert np.all(concealment.filled(grey, Window(0, 40, 0, 40), [alone]) == 128)
    apart = damaged._replace(x=300)
    assert np.all(concealment.filled(grey, Window(100, 140, 0, 40), [apart]) == 128)


@pytest.mark.parametrize(("steps", "tau"), [(1, 0.0), pytest.param(4, 1.0, marks=pytest.mark.slow)])
def test_no_seam_shows_at_borders(steps, tau):
    """The shipped model: the error jumps at tiles' borders hardly more than elsewhere."""
    from rdc_jax import demo, images

    picture = images.read_image(demo.FOLDER / "flower.png").pixels[:320, :512]
    codec = codecs.load()
    data = codec.encode(picture, quality=25, tile=256)
    wrong = codec.decode(data, tau=tau, steps=steps).astype(np.float64) - picture
    jumps = np.abs(np.diff(wrong, axis=1)).mean((0, 2))
    elsewhere = np.delete(jumps[7::8], 31)  # borders of latent pixels
    assert jumps[255] < 1.3 * elsewhere.max() and jumps[255] < 1.6 * elsewhere.mean()


# The commands


def test_the_commands(smoke_model, pixels, tmp_path, capsys):
    photo, file, out = (str(tmp_path / name) for name in ("a.png", "a.rdc", "b.png"))
    Image.fromarray(pixels).save(photo)
    model = ["--model", str(smoke_model)]
    assert main(["encode", photo, "-q", "50", "--resilient", *model]) == 0
    capsys.readouterr()
    assert main(["info", file, "-j"]) == 0
    info = json.loads(capsys.readouterr().out)
    tiles = info["tiles"]
    assert (tiles["rows"], tiles["columns"], tiles["side"]) == (2, 3, 256)
    assert 0 < tiles["bytes"]["min"] <= tiles["bytes"]["mean"] <= tiles["bytes"]["max"]
    assert main(["info", file]) == 0
    assert "tiles: 3 x 2 of 256 pixels" in capsys.readouterr().out

    assert main(["decode", file, "-o", out, *model]) == 0
    whole = np.asarray(Image.open(out))
    assert main(["decode", file, "--crop", "240,90,50,60", "-f", "-o", out, "-j", *model]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(out)), whole[90:150, 240:290])
    assert '"crop": [240, 90, 50, 60]' in capsys.readouterr().out

    data = (tmp_path / "a.rdc").read_bytes()
    (tmp_path / "a.rdc").write_bytes(with_damage(data, len(data) - 9))
    assert main(["decode", file, "-f", "-o", out, *model]) == 2
    assert "tile 6 of 6" in capsys.readouterr().err
    assert main(["decode", file, "-f", "-o", out, "-j", "--resilient", *model]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["damaged_tiles"][0]["number"] == 5
    assert "rdc: warning:" in said.err and "tile 6 of 6" in said.err

    for arguments, message in (
        (["--crop", "1,2,3"], "four whole numbers"),
        (["--crop", "0,0,5,5", "--symbol-hash"], "--symbol-hash describes a whole file"),
        (["--crop", "0,0,999,5"], "does not lie in the image"),
    ):
        assert main(["decode", file, "-f", "-o", out, *arguments, *model]) == 2
        assert message in capsys.readouterr().err
    assert main(["encode", photo, "-f", "--tile", "100", *model]) == 2
    assert "power of two" in capsys.readouterr().err
