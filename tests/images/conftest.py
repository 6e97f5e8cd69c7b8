"""A codec, and an image file with alpha and all metadata."""

from __future__ import annotations

import pytest

from rdc_jax.codec import codec as codecs
from rdc_jax.images import LoadedImage, image_bytes
from tests.images.files import HELD, pixels


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture
def photo(tmp_path):
    """A PNG file with transparency and all metadata."""
    path = tmp_path / "photo.png"
    image = LoadedImage(pixels(40, 56), alpha=pixels(40, 56, 1) // 2, **HELD)
    path.write_bytes(image_bytes(image, ".png")[0])
    return path
