"""`rdc_jax` as a library: one line where it cannot do what is asked."""

import numpy as np
import pytest

import rdc_jax
from rdc_jax.codec import api

PIXELS = np.zeros((24, 40, 3), np.uint8)
FLOATS = np.zeros((24, 40, 3), np.float32)


@pytest.fixture(scope="module")
def codec(smoke_model):
    return rdc_jax.load(smoke_model)


@pytest.fixture(scope="module")
def data(codec):
    return codec.encode(PIXELS)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "image must be .* a path, not NoneType"),
        (5, "a path, not int"),
        ({}, "a path, not dict"),
        (PIXELS.astype(np.int64), r"not int64; convert it with \.astype"),
        (PIXELS[:0], r"image has no pixels: its shape is \(0, 40, 3\)"),
        (PIXELS[None], "give a batch as a list of images"),
        (np.moveaxis(PIXELS, -1, 0), "move the channels to the end"),
        (np.zeros((24, 40, 4), np.uint8), "give a PIL image or a path to keep alpha"),
        (np.zeros((24, 40, 5), np.uint8), "image must have 1 or 3 channels"),
        (FLOATS[:3], "image must say where its channels are"),
        (FLOATS + 200, "this one is in 200 to 200; divide by 255"),
        (FLOATS - 1, "this one is in -1 to -1; scale or clip it"),
        (FLOATS * np.float32(np.nan), "some samples are NaN or infinite; replace them"),
        ([[1, 2]], "a batch is a list of images, not a list of lists"),
        ("nothing.png", "no such image: 'nothing.png'"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(codec, image, message):
    with pytest.raises(rdc_jax.RdcError, match=message) as error:
        codec.encode(image)
    assert "\n" not in str(error.value)


def test_a_mask_of_another_kind_is_refused(codec):
    with pytest.raises(rdc_jax.RdcError, match=r"a mask must be an array .* not int"):
        codec.encode(PIXELS, importance=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rdc_jax.encode(PIXELS, qualty=3), "encode has no option 'qualty'; .* 'quality'"),
        (lambda: rdc_jax.encode(PIXELS, modle="a"), "encode has no option 'modle'; .* 'model'"),
        (lambda: rdc_jax.encode([], zzz=3), "encode has no option 'zzz'; give model, fusion, qual"),
        (lambda: rdc_jax.decode("a.rdc", tua=3), "decode has no option 'tua'; did you mean 'tau'"),
        (lambda: rdc_jax.encode(PIXELS, model=3), "model must be a name or a path, not 3"),
        (lambda: rdc_jax.encode(PIXELS, model=[3]), r"model must be a name or a path, not \[3\]"),
        (lambda: rdc_jax.decode(b"", fusion=b"a"), "fusion must be a name or a path, not b'a'"),
        (lambda: rdc_jax.load(3), "model must be a name or a path, not 3"),
        (lambda: rdc_jax.load(fusion=3), "fusion must be a name or a path, not 3"),
        (lambda: rdc_jax.info(3), r"give the bytes of an \.rdc file, its path, .* not int"),
    ],
)
def test_a_call_with_a_wrong_word_or_type_is_refused_before_the_work(monkeypatch, call, message):
    monkeypatch.setattr(api, "_codec", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(rdc_jax.RdcError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_decode_image_names_its_options_too(codec, data):
    for wrong, meant in (("tua", "tau"), ("max_pixel", "max_pixels")):
        message = f"decode_image has no option '{wrong}'; did you mean '{meant}'"
        with pytest.raises(rdc_jax.RdcError, match=message):
            codec.decode_image(data, **{wrong: 1})


def test_files_open_as_text_are_refused(codec, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for call in (codec.encode, codec.decode, rdc_jax.info, rdc_jax.read_image):
        with open(tmp_path / "a.txt") as file, pytest.raises(rdc_jax.RdcError, match="mode 'rb'"):
            call(file)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda codec, data: codec.decode(data, steps=1.5), "steps must be a whole number"),
        (lambda codec, data: codec.decode(data, crop="a"), "crop must be four whole numbers"),
        (lambda codec, data: codec.decode(data, crop=(0, 0, 1.5, 2)), "four whole numbers"),
        (lambda codec, data: codec.encode(PIXELS, quality="hi"), "quality must be a number"),
        (lambda codec, data: codec.encode(PIXELS, target_bpp="x"), "target_bpp must be a number"),
        (lambda codec, data: codec.encode(PIXELS, target_bytes="20k"), "not '20k'"),
        (lambda codec, data: codec.encode(PIXELS, tau="x"), "tau must be a number, not 'x'"),
        (lambda codec, data: codec.encode(PIXELS, seed=0.2), "seed must be a whole number"),
        (lambda codec, data: codec.encode(PIXELS, seed=None), "seed must be .* not None"),
        (lambda codec, data: codec.encode(PIXELS, tile=0.2), "tile must be a whole number"),
        (lambda codec, data: codec.encode(PIXELS, roi_gain="x"), "roi_gain must be a number"),
        (lambda codec, data: codec.encode(PIXELS, map_cost=None), "map_cost must be a number"),
        (lambda codec, data: codec.encode(PIXELS, map_cost=200), "200 is not in 0 to 99 per cent"),
        (lambda codec, data: codec.encode(PIXELS, map_cost=-1), "-1 is not in 0 to 99"),
        (lambda codec, data: codec.decode(data, max_pixels="a"), "max_pixels must be a number"),
        (lambda codec, data: rdc_jax.write_image(None, PIXELS), "path of the image .* not None"),
        (lambda codec, data: rdc_jax.read_image(3), "path of an image or an open file, not 3"),
        (lambda codec, data: rdc_jax.write_image("x.png", [1]), "pixels uint8 .*, not int64"),
    ],
)
def test_options_of_another_type_are_named(codec, data, call, message):
    with pytest.raises(rdc_jax.RdcError, match=message) as error:
        call(codec, data)
    assert "\n" not in str(error.value)
