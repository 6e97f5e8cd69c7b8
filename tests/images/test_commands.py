"""Alpha and metadata through `rdc encode`, `rdc info` and `rdc decode`."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.cli.main import main
from rdc_jax.images import read_image, transparency
from tests.images.files import HELD, P3, XMP, exif


def rdc(capsys, *arguments) -> Any:
    """The JSON of one command that must succeed."""
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_commands_keep_alpha_and_metadata(photo, smoke_model, capsys):
    model = ("--json", "--model", smoke_model)
    report = rdc(capsys, "encode", photo, *model)
    assert report["alpha"] and report["section_bytes"]["icc"] == len(P3)
    coded, out = photo.with_suffix(".rdc"), photo.with_name("out.png")
    shown = {s["name"]: s for s in rdc(capsys, "info", coded, "--json")["sections"]}
    assert shown["icc"]["holds"] == "Display P3, nearly"
    assert shown["exif"]["payload_bytes"] == len(exif(1)) and "alpha" in shown
    assert main(["encode", str(photo), "-f", *map(str, model[1:])]) == 0
    assert "of alpha, icc, exif, xmp), " in capsys.readouterr().out
    assert main(["info", str(coded)]) == 0
    assert "Display P3, nearly\n" in capsys.readouterr().out
    assert rdc(capsys, "decode", coded, "-o", out, *model)["alpha"]
    original, back = (read_image(path, keep_alpha=True) for path in (photo, out))
    np.testing.assert_array_equal(back.alpha, original.alpha)
    assert {kind: getattr(back, kind) for kind in HELD} == HELD

    assert (
        main(["decode", str(coded), "-o", str(photo.with_name("out.jpg")), *map(str, model)]) == 0
    )
    assert "laid on white" in capsys.readouterr().err
    back = read_image(photo.with_name("out.jpg"), keep_alpha=True)
    assert back.alpha is None and {kind: getattr(back, kind) for kind in HELD} == HELD

    rdc(capsys, "decode", coded, "-f", "-o", out, *model, "--metadata", "xmp")
    back = read_image(out, keep_alpha=True)
    assert (back.icc, back.exif, back.xmp) == (None, None, XMP % 1) and back.alpha is not None


@pytest.mark.parametrize("seen", [0, 30])
def test_transparent_pixels_are_smooth_in_the_output(seen, tmp_path, smoke_model, rng, capsys):
    alpha = np.zeros((64, 80, 1), np.uint8)
    alpha[:, :seen] = 255
    pixels = rng.integers(0, 256, (64, 80, 3), np.uint8)
    photo, coded, out = (tmp_path / name for name in ("p.png", "p.rdc", "out.png"))
    Image.fromarray(np.dstack([pixels, alpha])).save(photo)
    rdc(capsys, "encode", photo, "-o", coded, "--json", "--model", smoke_model)
    rdc(capsys, "decode", coded, "-o", out, "--json", "--model", smoke_model)
    with Image.open(out) as image:
        back = np.asarray(image)
    decoded = rdc_jax.load(smoke_model).decode(coded.read_bytes())
    np.testing.assert_array_equal(back[..., 3:], alpha)
    np.testing.assert_array_equal(back[:, :seen, :3], decoded[:, :seen])
    hidden = transparency.filled(decoded, alpha[..., 0])[:, seen:]
    np.testing.assert_array_equal(back[:, seen:, :3], hidden)
    assert (decoded[:, seen:] != hidden).any() and (seen or (hidden == 255).all())


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--metadata", "none"], {"alpha"}),
        (["--metadata", "icc,xmp", "--alpha", "lossy"], {"alpha", "icc", "xmp"}),
        (["--alpha", "drop"], {"icc", "exif", "xmp"}),
    ],
)
def test_flags_of_encode(flags, kept, photo, smoke_model, capsys):
    report = rdc(capsys, "encode", photo, "--json", "--model", smoke_model, *flags)
    assert set(report["section_bytes"]) - {"importance", "hyper_latent", "latent"} == kept


def test_onnxruntime_keeps_alpha_and_metadata(photo, capsys):
    pytest.importorskip("onnxruntime")
    rdc(capsys, "encode", photo, "--json", "-q", "20")
    coded, out = photo.with_suffix(".rdc"), photo.with_name("out.webp")
    rdc(capsys, "decode", coded, "-o", out, "--json", "--backend", "onnxruntime", "--steps", "1")
    original, back = (read_image(path, keep_alpha=True) for path in (photo, out))
    np.testing.assert_array_equal(back.alpha, original.alpha)
    assert {kind: getattr(back, kind) for kind in HELD} == HELD


def test_standard_output_in_any_format(photo, smoke_model, capfdbinary):
    model = ["--model", str(smoke_model), "--quiet"]
    assert main(["encode", str(photo), *model]) == 0
    decode = ["decode", str(photo.with_suffix(".rdc")), "-o", "-", *model]
    for flags, kind in ([], "PNG"), (["--format", "webp"], "WEBP"), (["--format", "jpg"], "JPEG"):
        assert main(decode + flags) == 0
        with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as image:
            assert image.format == kind and image.info["icc_profile"] == P3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "PHOTO", "--metadata", "iptc"], "'iptc' is neither all nor none nor a list"),
        (["encode", "PHOTO", "--alpha", "white"], "invalid choice"),
        (["decode", "x.rdc", "--format", "gif"], "invalid choice"),
        (["decode", "x.rdc", "--format", "jpg", "-o", "x.png"], "not the name of a jpg file"),
    ],
)
def test_wrong_flags(arguments, words, photo, capsys):
    assert main([str(photo) if word == "PHOTO" else word for word in arguments]) == 2
    assert words in capsys.readouterr().err


def test_transparent_parts_are_not_important(photo, smoke_model, capsys):
    image = Image.open(photo)
    image.putalpha(Image.fromarray(np.where(np.arange(56) < 28, 0, 255).astype(np.uint8)
                                   * np.ones((40, 1), np.uint8)))  # fmt: skip
    image.save(photo)
    rdc(capsys, "encode", photo, "--json", "--model", smoke_model, "--roi-box", "0,0,56,40")
    grid = np.array(rdc(capsys, "info", photo.with_suffix(".rdc"), "--json")["map"]["levels"])
    assert (grid[:, 0] == 0).all() and (grid[:, -1] > 0).all()
