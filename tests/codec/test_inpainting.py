"""Replacing a part of a picture: nothing leaks, nothing else changes."""

import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from rdc_jax.cli.main import main
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import inpainting
from rdc_jax.errors import RdcError
from rdc_jax.images import smooth_fill


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


def picture(height=96, width=128):
    y, x = np.mgrid[:height, :width]
    plane = 128 + 60 * np.sin(x / 17) * np.cos(y / 11)
    return np.clip(np.stack([plane, plane + 9, 255 - plane], -1), 0, 255).astype(np.uint8)


def spot(height=96, width=128, touching=False):
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - (0 if touching else 40), x - 70) < 15


@pytest.mark.parametrize("touching", [False, True])
@pytest.mark.parametrize("settings", [{}, dict(tau=0.0), dict(steps=2)])
def test_the_rest_stays_and_what_was_there_does_not_matter(codec, rng, settings, touching):
    pixels, mask = picture(), spot(touching=touching)
    result = inpainting.inpaint(codec, pixels, mask, **settings)
    np.testing.assert_array_equal(result[~mask], pixels[~mask])
    other = pixels.copy()
    other[mask] = rng.integers(0, 256, (mask.sum(), 3))
    np.testing.assert_array_equal(inpainting.inpaint(codec, other, mask, **settings), result)
    around = pixels.copy()
    around[~mask] = 255 - around[~mask]
    assert np.any(inpainting.inpaint(codec, around, mask, **settings)[mask] != result[mask])


def test_only_the_surroundings_are_computed(codec, monkeypatch):
    pixels, mask = picture(640, 700), spot(640, 700)
    seen = []
    analyse = codec.analyse
    monkeypatch.setattr(codec, "analyse", lambda p: seen.append(p.shape) or analyse(p))
    inpainting.inpaint(codec, pixels, mask)
    assert seen == [(40 + 15 + inpainting.CONTEXT, 29 + 70 - 14 + inpainting.CONTEXT, 3)]


@pytest.mark.parametrize("size", [(1, 9), (33, 20), (64, 64), (7, 129)])
def test_the_fill_is_smooth_and_keeps_what_is_known(rng, size):
    pixels = np.full((*size, 3), (10, 100, 200), np.uint8)
    hidden = rng.random(size) < 0.8
    hidden[0, 0] = False
    damaged = np.where(hidden[..., None], 255, pixels).astype(np.uint8)
    np.testing.assert_array_equal(smooth_fill.filled(damaged, hidden), pixels)
    ramp = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (64, 64, 3)).astype(np.uint8)
    filled = smooth_fill.filled(ramp, spot(64, 64) | (np.hypot(*np.mgrid[-30:34, -30:34]) < 9))
    assert np.abs(filled.astype(int) - ramp).max() < 40
    with pytest.raises(ValueError, match="all pixels are hidden"):
        smooth_fill.filled(ramp, np.ones((64, 64), bool))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((96, 128), bool), "replaces nothing"),
        (np.ones((96, 128), bool), "the whole image"),
        (np.ones((8, 8), bool), "must be bool"),
        (np.ones((96, 128)), "must be bool"),
    ],
)
def test_masks_that_are_no_good(codec, mask, words):
    with pytest.raises(RdcError, match=words):
        inpainting.inpaint(codec, picture(), mask)


def test_the_command(smoke_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)
    monkeypatch.chdir(tmp_path)
    pixels, mask = picture(), spot()
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(np.uint8(255 * mask)).save("mask.png")
    model = ["--model", str(smoke_model)]
    assert main(["inpaint", "photo.png", "--mask", "mask.png", "--json", *model]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["output"] == "photo_inpainted.png"
    assert report["replaced_share"] == pytest.approx(mask.mean())
    with Image.open("photo_inpainted.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[~mask], pixels[~mask])

    assert main(["encode", "photo.png", "-o", "a.rdc", *model]) == 0
    assert main(["decode", "a.rdc", "-o", "a.png", *model]) == 0
    assert main(["inpaint", "a.rdc", "--mask", "mask.png", "-o", "b.png", *model]) == 0
    with Image.open("a.png") as decoded, Image.open("b.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[~mask], np.asarray(decoded)[~mask])
        assert np.any(np.asarray(image) != np.asarray(decoded))

    for arguments, words in (
        (["photo.png", "--mask", "mask.png"], "give -f"),
        (["photo.png", "--mask", "mask.png", "-o", "x.txt"], "image format"),
        (["photo.png", "--mask", "no.png", "-o", "x.png"], "no such image"),
        (["mask.png", "--mask", "missing.png", "-o", "mask.png", "-f"], "the input itself"),
    ):
        capsys.readouterr()
        assert main(["inpaint", *arguments, *model]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_no_small_copy_of_the_image_stays_behind(smoke_model, tmp_path, monkeypatch):
    """EXIF can hold a thumbnail; a profile says nothing of the picture and stays."""
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture(40, 40)).save("photo.png", exif=exif, icc_profile=profile)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:20] = 255
    Image.fromarray(mask).save("mask.png")
    command = ["inpaint", "photo.png", "--mask", "mask.png", "-o", "out.png"]
    assert main([*command, "--model", str(smoke_model)]) == 0
    with Image.open("out.png") as result:
        assert not result.getexif() and result.info["icc_profile"] == profile
