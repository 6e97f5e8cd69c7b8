"""Recognition of screen content and photographs."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import rdc_jax.demo
from rdc_jax.cli.main import main
from rdc_jax.images import read_image
from rdc_jax.images.screen_content import looks_drawn


def page():
    """A few lines of antialiased text."""
    image = Image.new("RGB", (320, 160), "white")
    draw = ImageDraw.Draw(image)
    for row in range(6):
        text = "A quick brown fox and 0123456789"
        draw.text((8, 8 + 24 * row), text, (20, 20, 20), ImageFont.load_default(16))
    return np.asarray(image)


def through_jpeg(pixels, quality):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def demo_photograph():
    return read_image(Path(rdc_jax.demo.__file__).with_name("flower.png")).pixels


def test_text_and_charts_are_screen_content():
    chart = np.full((64, 96, 3), 250, np.uint8)
    for i in range(8):
        chart[60 - 6 * i :, 10 * i + 4 : 10 * i + 10] = (30, 90, 160)
    assert looks_drawn(page()) and looks_drawn(chart)
    assert looks_drawn(through_jpeg(page(), 90))


def test_a_photograph_and_its_jpeg_are_not_screen_content():
    photograph = demo_photograph()
    assert not looks_drawn(photograph)
    assert not looks_drawn(through_jpeg(photograph, 40))


def test_text_pasted_into_a_photograph_counts():
    pasted = demo_photograph().copy()
    height, width = pasted.shape[:2]
    rows, columns = page()[:height, :width].shape[:2]
    pasted[:rows, :columns] = page()[:rows, :columns]
    assert looks_drawn(pasted)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3, 3), (5, 4, 3), (1, 400, 3)])
def test_small_and_plain_images_are_not_screen_content(shape):
    assert not looks_drawn(np.full(shape, 128, np.uint8))


def test_encoding_screen_content_warns_once(tmp_path, smoke_model, capsys):
    Image.fromarray(page()[:64, :64]).save(tmp_path / "page.png")
    command = ["encode", str(tmp_path / "page.png"), "--model", str(smoke_model)]
    assert main(command) == 0
    assert capsys.readouterr().err.count("looks like a drawing") == 1
    assert main([*command, "-f", "-q", "40", "--quiet"]) == 0
    assert "drawing" not in capsys.readouterr().err
