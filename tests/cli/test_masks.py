"""Masks without effect are refused or said, and shapes may begin outside the image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from tests.cli.runs import fails

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.fixture
def encode(models, photo):
    """Encodes `photo` (83 x 61) with a mask of these values; returns the exit code."""

    def run(mask: np.ndarray | None, *options) -> int:
        if mask is not None:
            Image.fromarray(mask).save(photo.with_name("mask.png"))
            options = ("--roi", str(photo.with_name("mask.png")), *options)
        return main(["encode", str(photo), "-f", "--model", str(models / "first"), *options])

    return run


def plane(inside: int, outside: int = 0) -> np.ndarray:
    mask = np.full((61, 83), outside, np.uint8)
    mask[10:40, 10:50] = inside
    return mask


def test_masks_that_say_nothing_are_said(encode, capsys):
    one_pixel = plane(0)
    one_pixel[5, 5] = 255
    for mask, words in (
        (plane(0), "no important part"),
        (one_pixel, "no important part"),
        (plane(255, 255), "equally important everywhere"),
        (plane(90, 90), "equally important everywhere"),
        (plane(255), ""),
    ):
        assert encode(mask) == 0
        error = capsys.readouterr().err
        assert words in error and (words or "important" not in error), error
    assert encode(plane(0), "--quiet") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("most", [1, 2, 7])
def test_labels_are_not_taken_for_greys(most, models, photo, capsys):
    mask = photo.with_name("labels.png")
    Image.fromarray(plane(most)).save(mask)
    model = ["--model", models / "first"]
    for command in (["encode", photo, "--roi", mask], ["roi", photo, "--roi", mask]):
        error = fails(capsys, photo.parent, *command, *model)
        assert f"values from 0 to {most} only" in error and "must be white" in error
    with pytest.raises(RdcError, match="which is black"):
        maps.read_mask(mask, 61, 83)


def test_a_mask_of_one_bit_is_read(encode, photo, capsys):
    mask = photo.with_name("bits.png")
    Image.fromarray(plane(255)).convert("1").save(mask)
    assert encode(None, "--roi", str(mask)) == 0
    assert "important" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "shape",
    [
        ["--roi-box", "-10,0,50,50"],
        ["--roi-box", "-10,-5,50,50"],
        ["--roi-ellipse", "-10,0,50,50"],
        ["--roi-polygon", "-10,0,50,0,50,50"],
        ["--roi-box=-10,0,50,50"],
    ],
)
def test_shapes_that_begin_outside(shape, encode):
    assert encode(None, *shape) == 0


def test_shapes_that_lie_outside(models, photo, capsys):
    error = fails(capsys, photo.parent, "encode", photo, "--roi-box", "-90,0,50,50")
    assert "outside the image" in error


def test_labels_in_python():
    from rdc_jax.codec.importance_input import mask_of
    from rdc_jax.images import LoadedImage

    image = LoadedImage(np.zeros((61, 83, 3), np.uint8))
    with pytest.raises(RdcError, match="give 255 for important parts"):
        mask_of(plane(1), image)
    for mask in (plane(255), plane(1).astype(bool), plane(1).astype(np.float32), plane(0)):
        assert mask_of(mask, image) is not None
