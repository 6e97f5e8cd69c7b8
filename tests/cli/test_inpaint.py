"""`rdc inpaint` keeps nothing that could show what it replaced, and writes where it is told to."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from rdc_jax.cli.main import main
from rdc_jax.codec import inpainting
from rdc_jax.images import LoadedImage
from tests.cli.runs import fails, opened, tree
from tests.images.files import P3, saved

SECRET = b"what was removed"
WITHIN = np.s_[20:40, 30:50]


def plain(value=90) -> np.ndarray:
    return np.full((61, 83, 3), value, np.uint8)


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x010E] = SECRET.decode()
    return tags.tobytes()


def text_chunk() -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Thumb::Image", SECRET.decode())
    chunks.add_itxt("XML:com.adobe.xmp", (b"<a>%s</a>" % SECRET).decode())
    return chunks


CARRIERS = {
    "photo.jpg": dict(kind="JPEG", exif=exif(), xmp=b"<a>%s</a>" % SECRET, comment=SECRET),
    "photo.png": dict(kind="PNG", exif=exif(), pnginfo=text_chunk()),
    "photo.webp": dict(kind="WEBP", exif=exif(), xmp=b"<a>%s</a>" % SECRET),
    "photo.tif": dict(kind="TIFF", tiffinfo={270: SECRET.decode(), 700: SECRET, 33723: SECRET}),
    "photo.avif": dict(kind="AVIF", exif=exif(), xmp=b"<a>%s</a>" % SECRET),
}


@pytest.fixture
def mask(tmp_path):
    plane = np.zeros((61, 83), np.uint8)
    plane[WITHIN] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(plane).save(path)
    return path


@pytest.mark.parametrize(
    ("source", "coded", "output"),
    [
        *((source, False, "out.png") for source in CARRIERS),
        *(("photo.jpg", False, f"out.{ending}") for ending in ("jpg", "webp", "tif", "avif")),
        *((source, True, "out.png") for source in ("photo.jpg", "photo.tif")),
    ],
)
def test_only_the_profile_is_kept(source, coded, output, models, mask, capsys):
    path, out = mask.with_name(source), mask.with_name(output)
    path.write_bytes(saved(plain(), icc_profile=P3, **CARRIERS[source]))
    assert SECRET in path.read_bytes()
    model = ["--model", str(models / "first")]
    if coded:
        assert main(["encode", str(path), *model]) == 0
        path = path.with_suffix(".rdc")
        assert SECRET in path.read_bytes()
    assert main(["inpaint", str(path), "--mask", str(mask), "-o", str(out), *model]) == 0
    assert ("EXIF and XMP are left out" in capsys.readouterr().err) == (not coded)
    image = opened(out)
    assert SECRET not in out.read_bytes() and image.info["icc_profile"] == P3
    assert not image.info.get("exif") and not image.info.get("xmp")


def test_alpha_and_hidden_colours_are_replaced(models):
    """Neither the outline of the replaced part nor its colours stay in the alpha plane."""
    from rdc_jax.codec import codec as codecs

    codec, mask = codecs.load(models / "first"), np.zeros((61, 83), bool)
    mask[WITHIN] = True
    alpha = np.full((61, 83), 200, np.uint8)
    alpha[25:35, 35:45] = 0  # inside the mask
    alpha[45:, :] = 0  # outside
    results = []
    for value in (10, 250):
        pixels = plain()
        pixels[WITHIN] = value
        pixels[45:] = value  # as a reader would fill it from above
        image = LoadedImage(pixels, alpha=alpha, exif=b"x", xmp=b"x")
        results.append(inpainting.inpaint_image(codec, image, mask))
    assert results[0].exif is None and results[0].xmp is None
    assert (results[0].alpha[WITHIN] > 100).all()
    np.testing.assert_array_equal(results[0].alpha[~mask], alpha[~mask])
    np.testing.assert_array_equal(results[0].pixels, results[1].pixels)


def test_where_it_is_written(models, mask, capsysbinary, monkeypatch):
    folder = mask.parent / "pictures"
    folder.mkdir()
    photo = folder / "photo.png"
    Image.fromarray(plain()).save(photo)
    command = ["inpaint", "--mask", str(mask), "--model", str(models / "first")]
    monkeypatch.chdir(mask.parent)
    assert main([*command, str(photo)]) == 0
    assert main([*command, str(photo), "-o", "new/"]) == 0
    assert (mask.parent / "new" / "photo_inpainted.png").is_file()
    assert sorted(tree(folder)) == [str(photo), str(folder / "photo_inpainted.png")]
    capsysbinary.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(photo.read_bytes())))
    assert main([*command, "-"]) == 0
    result = capsysbinary.readouterr().out
    assert result == (folder / "photo_inpainted.png").read_bytes()


def test_one_line_instead_of_a_traceback(models, mask, tmp_path, capsys):
    long = tmp_path / ("e" * 249 + ".png")
    Image.fromarray(plain()).save(long)
    model = ["--model", models / "first"]
    assert "too long" in fails(capsys, tmp_path, "inpaint", long, "--mask", mask, *model)
    assert "too long" in fails(capsys, tmp_path, "roi", long, "--roi", "center", *model)
    assert "cannot both" in fails(capsys, tmp_path, "inpaint", "-", "--mask", "-", *model)
    assert "cannot both" in fails(capsys, tmp_path, "roi", "-", "--roi", "-", *model)
    assert "cannot both" in fails(capsys, tmp_path, "encode", "-", "--roi", "-", *model)


def test_a_crop_has_no_thumbnail_of_the_whole(models, tmp_path):
    photo, out = tmp_path / "photo.jpg", tmp_path / "crop.png"
    photo.write_bytes(saved(plain(), icc_profile=P3, **CARRIERS["photo.jpg"]))
    model = ["--model", str(models / "first")]
    assert main(["encode", str(photo), *model]) == 0
    coded = str(photo.with_suffix(".rdc"))
    assert main(["decode", coded, "-o", str(out), "--crop", "0,0,20,20", *model]) == 0
    assert SECRET not in out.read_bytes() and opened(out).info["icc_profile"] == P3
