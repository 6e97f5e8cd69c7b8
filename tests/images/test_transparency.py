"""Colours under transparent pixels, alpha planes, and limits of the sections."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.bitstream.sections import MAX_METADATA_BYTES, WHOLE_LATENT, SectionType
from rdc_jax.cli.flags import images as arguments
from rdc_jax.codec import metadata_sections
from rdc_jax.errors import RdcError, naming_flags
from rdc_jax.images import LoadedImage, alpha_png, transparency
from tests.images.files import GREY, RGB, WIDE, png, saved, with_alpha


def test_an_array_with_alpha_is_refused_with_advice(codec):
    with pytest.raises(RdcError, match="not 4; give a PIL image or a path to keep alpha"):
        codec.encode(with_alpha(RGB, 128))


def test_fill_is_smooth_and_touches_nothing_visible(rng):
    noise = rng.integers(0, 256, (64, 80, 3), np.uint8)
    alpha = np.where(np.arange(80) < 20, 255, 0).astype(np.uint8) * np.ones((64, 1), np.uint8)
    alpha[5, 5] = 1
    filled = transparency.filled(noise, alpha)
    np.testing.assert_array_equal(filled[:, :20], noise[:, :20])
    steps = np.abs(np.diff(filled[:, 21:].astype(int), axis=1))
    assert steps.max() < 60 and steps[:, 30:].max() < 10  # noise has steps of 255
    assert np.abs(filled[:, 40:].mean((0, 1)) - noise[:, :20].mean((0, 1))).max() < 12
    assert (transparency.filled(noise, 0 * alpha) == 255).all()


def test_lossy_alpha_is_smaller_and_exact_at_the_ends(rng):
    alpha = np.clip(np.add.outer(np.arange(90), np.arange(90)) * 2 - 50, 0, 255).astype(np.uint8)
    alpha ^= (alpha % 255 > 0) * rng.integers(0, 4, alpha.shape, np.uint8)
    small = transparency.to_png(alpha, lossy=True)
    assert len(small) < 0.7 * len(transparency.to_png(alpha))
    back = alpha_png.decode(small, 90, 90).astype(int)
    assert np.abs(back - alpha).max() <= 16
    np.testing.assert_array_equal(back[np.isin(alpha, (0, 255))], alpha[np.isin(alpha, (0, 255))])
    assert not np.isin(back[(alpha > 0) & (alpha < 255)], (0, 255)).any()
    noise = rng.integers(1, 255, (64, 64), np.uint8)
    back = alpha_png.decode(transparency.to_png(noise, lossy=True), 64, 64)
    parser = argparse.ArgumentParser()
    arguments.alpha(parser)
    assert f"in {len(np.unique(back))} levels" in " ".join(parser.format_help().split())
    hard = np.where(alpha > 99, 255, 0).astype(np.uint8)
    assert transparency.to_png(hard, lossy=True) == transparency.to_png(hard)


def header(height: int, width: int) -> container.Header:
    return container.Header(width, height, bytes(8), 1, 380, 380, 16, 0, 1, 255)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not a PNG"),
        (saved(GREY, "JPEG"), "not a PNG"),
        (saved(GREY[:-1]), "has 17 x 12 pixels"),
        (saved(RGB), "8-bit grey"),
        (png(WIDE[..., 0], size=(17, 13)), "8-bit grey"),
        (saved(GREY)[:-30], "damaged"),
    ],
)
def test_a_damaged_alpha_section(payload, words):
    required = [(kind, b"") for kind in (SectionType.IMPORTANCE, *WHOLE_LATENT)]
    data = container.pack(header(13, 17), [*required, (SectionType.ALPHA, payload)])
    with pytest.raises(RdcError, match=words):
        metadata_sections.parts_of(data)


def test_sections_have_limits():
    required = [(kind, b"") for kind in (SectionType.IMPORTANCE, *WHOLE_LATENT)]
    many = bytes(MAX_METADATA_BYTES)
    for kind in (SectionType.ICC, SectionType.EXIF, SectionType.XMP):
        container.unpack(container.pack(header(1, 1), [*required, (kind, many)]))
        with pytest.raises(RdcError, match=f"section {kind.name} has 16777217 bytes"):
            container.pack(header(1, 1), [*required, (kind, many + b"\0")])
    with pytest.raises(RdcError, match="section ALPHA has"):
        container.pack(header(1, 1), [*required, (SectionType.ALPHA, bytes(70_000))])
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    container.pack(header(300, 300), [*required, (SectionType.ALPHA, alpha_png.encode(noise))])
    one = alpha_png.encode(np.zeros((1, 1), np.uint8))
    twice = one[:33] + alpha_png.encode(np.zeros((200, 200), np.uint8))[8:33] + one[33:]
    with pytest.raises(RdcError, match="two headers"):
        alpha_png.decode(twice, 1, 1)
    with pytest.raises(RdcError, match=r"xmp has 16\.0 MiB.*; remove it from the image"):
        metadata_sections.extras_of(LoadedImage(RGB, xmp=many + b"\0"))
    with naming_flags(), pytest.raises(RdcError, match=r"--metadata icc,exif"):
        metadata_sections.extras_of(LoadedImage(RGB, xmp=many + b"\0"))
