"""Masks from shapes: inside, outside, cut off at the border, and errors."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.importance import shapes

HEIGHT, WIDTH = 40, 60


def test_a_box_covers_its_pixels():
    mask = shapes.box("10, 5,20,30")(HEIGHT, WIDTH)
    assert mask.shape == (HEIGHT, WIDTH) and mask.dtype == np.float32
    assert mask[5:35, 10:30].min() == 1 and mask.sum() == 20 * 30


def test_parts_outside_the_image_are_cut_off():
    assert shapes.box("-8,-8,24,24")(HEIGHT, WIDTH).sum() == 16 * 16
    assert shapes.box("50,30,100,100")(HEIGHT, WIDTH).sum() == 10 * 10


def test_an_ellipse_fills_its_box():
    mask = shapes.ellipse("10,5,40,30")(HEIGHT, WIDTH)
    assert mask.mean() == pytest.approx(np.pi / 4 * 40 * 30 / (HEIGHT * WIDTH), rel=0.01)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (5, 34, 10, 49)


def test_a_polygon_is_filled():
    mask = shapes.polygon("0,0,59,0,0,39")(HEIGHT, WIDTH)
    assert mask[1, 1] == 1 and mask[-2, -2] == 0
    assert mask.mean() == pytest.approx(0.5, abs=0.03)


def test_importance_falls_off_around_a_fovea():
    mask = shapes.fovea("20.5,10.5,8")(HEIGHT, WIDTH)
    assert mask[10, 20] == 1
    assert mask[10, 28] == pytest.approx(np.exp(-0.5)) == mask[18, 20]
    assert np.all(np.diff(mask[10, 20:]) < 0)
    narrow = shapes.fovea("20,10,2")(HEIGHT, WIDTH).mean()
    assert narrow < shapes.fovea("20,10")(HEIGHT, WIDTH).mean()


def test_the_centre_is_a_quarter_of_the_area():
    assert shapes.centre(300, 200).mean() == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((shapes.box, t) for t in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3.5,4")),
        (shapes.box, "1,2,0,4"),
        (shapes.ellipse, "1,2,3,-4"),
        (shapes.polygon, "1,2,3,4"),
        (shapes.polygon, "1,2,3,4,5,6,7"),
        (shapes.polygon, "1,2,3,nan,5,6"),
        (shapes.polygon, "10,10,50,50,90,90"),
        (shapes.fovea, "1,2,0.5"),
        (shapes.fovea, "1"),
        (shapes.fovea, "1,2,0"),
        (shapes.fovea, "1,2,inf"),
    ],
)
def test_malformed_shapes_are_refused(read, text):
    with pytest.raises(RdcError, match=read.__name__) as error:
        read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "shape",
    [
        *(shapes.box(t) for t in ("60,0,5,5", "0,40,5,5", "-5,0,5,5", "0,-9,5,5")),
        shapes.ellipse("60,40,9,9"),
        shapes.polygon("-9,-9,-1,-9,-5,-1"),
        shapes.fovea("60,5"),
    ],
)
def test_shapes_outside_the_image_are_refused(shape):
    with pytest.raises(RdcError, match="outside the image of 60 x 40"):
        shape(HEIGHT, WIDTH)
