"""Unusable images, settings and files: one line that says what is wrong."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.codec import codec as codecs
from rdc_jax.errors import RdcError
from tests.codec.cases import left_half, photograph


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def example(codec):
    """(pixels, file, report) with a map."""
    pixels = photograph(72, 104)
    data, report = codec.encode(
        pixels, quality=60, importance=left_half(72, 104), seed=5, return_report=True
    )
    return pixels, data, report


PIXELS = np.zeros((32, 48, 3), np.uint8)
GRID = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(importance=np.ones((32, 48)), levels=GRID), "importance or levels, not both"),
        (dict(importance=np.ones((48, 32))), "32 x 48 pixels but .* is 48 x 32; resize it"),
        (dict(importance="nothing"), "no mask 'nothing'; .* one of center, auto"),
        (dict(importance=(np.ones((32, 48)), "objects")), r"takes an array \[H,W\]"),
        (dict(importance=np.ones((32, 48, 3))), r"takes an array \[H,W\]"),
        (dict(importance=np.full((32, 48), 2.0)), "not in 0 to 1"),
        (dict(importance=np.ones((32, 48), np.int32)), "int32"),
        (dict(levels=GRID[:1]), r"levels must be uint8 \(2, 3\) below 8"),
        (dict(levels=GRID.astype(np.int64)), "levels must be uint8"),
        (dict(levels=GRID + 8), "below 8"),
        (dict(quality=101), "quality 101"),
        (dict(quality=float("nan")), "quality nan"),
        (dict(quality=50, target_bpp=0.5), "give one of"),
        (dict(target_bytes=0), "1 byte or more"),
        (dict(target_bpp=0), "0 bits per pixel is not possible; give one such as 0.2"),
        (dict(target_bpp=float("inf")), "inf bits per pixel is not possible"),
        (dict(target_bpp=float("nan")), "is not possible"),
        (dict(seed=-1), "seed -1"),
        (dict(seed=2**32), "seed"),
        (dict(steps=0), "steps 0"),
        (dict(steps=256), "steps 256"),
        (dict(importance=np.ones((32, 48)), roi_gain=-1.0), "roi gain"),
    ],
)
def test_unusable_settings_are_named(codec, arguments, message):
    with pytest.raises(RdcError, match=message):
        codec.encode(PIXELS, **arguments)


@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS.astype(np.float32) + 2,
        PIXELS[None],
        PIXELS[..., :2],
        np.zeros((2, 2, 4), np.uint8),
    ],
)
def test_unusable_pixels_are_refused(codec, pixels):
    with pytest.raises(RdcError, match="image must"):
        codec.encode(pixels)


@pytest.mark.parametrize("pixels", [PIXELS[:0], PIXELS[:, :0, 0], np.zeros((3, 5, 0), np.float32)])
def test_an_image_without_pixels_is_refused(codec, pixels):
    message = f"image has no pixels: its shape is {pixels.shape}"
    with pytest.raises(RdcError, match=re.escape(message)):
        codec.encode(pixels)


@pytest.mark.parametrize("path", ["a.rdc", Path("a.rdc")])
def test_a_path_without_a_file_is_named(codec, path):
    with pytest.raises(RdcError, match=r"no such image: 'a\.rdc'"):
        codec.encode(path)
    for decode in (codec.decode, codec.decode_latent):
        with pytest.raises(RdcError, match=r"cannot read 'a\.rdc': No such file"):
            decode(path)


@pytest.mark.parametrize("data", [None, 5, np.zeros(3, np.uint8), ["a.rdc"]])
def test_what_is_no_file_is_refused_with_what_to_pass(codec, data):
    with pytest.raises(
        RdcError, match=r"give the bytes of an \.rdc file, its path, or the open file, not"
    ):
        codec.decode(data)


def repack(data, **changes):
    header, sections = container.unpack(data)
    return container.pack(dataclasses.replace(header, **changes), sections)


def test_a_file_of_another_model_names_both(codec, example):
    _, data, _ = example
    foreign = repack(data, model_id=b"\x01" * 8)
    with pytest.raises(RdcError) as error:
        codec.decode(foreign)
    message = str(error.value)
    assert "01" * 8 in message and codec.model.model_id.hex() in message
    assert str(codec.model.path) in message and "\n" not in message


@pytest.mark.parametrize(
    "changes", [{"num_levels": 200}, {"cell_size": 4}, {"default_steps": 0}, {"num_levels": 5}]
)
def test_a_header_that_does_not_fit_is_refused(codec, example, changes):
    _, data, _ = example
    with pytest.raises(RdcError):
        codec.decode(repack(data, **changes))


def test_damage_anywhere_is_one_kind_of_error(codec, example):
    _, data, _ = example
    for position in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(RdcError):
            codec.decode(bytes(damaged))
    for length in range(0, len(data), 11):
        with pytest.raises(RdcError):
            codec.decode(data[:length])
    with pytest.raises(RdcError):
        codec.decode(data + b"\0")


def test_a_image_above_the_limit_is_refused(codec, example):
    _, data, _ = example
    with pytest.raises(RdcError, match="pixels"):
        codec.decode(data, max_pixels=72 * 104 - 1)
    assert codec.decode_latent(data, max_pixels=8 * 72 * 104)


@pytest.mark.parametrize("steps", [0, 256])
def test_steps_out_of_range_are_refused(codec, example, steps):
    with pytest.raises(RdcError, match=f"steps {steps}"):
        codec.decode(example[1], steps=steps)
