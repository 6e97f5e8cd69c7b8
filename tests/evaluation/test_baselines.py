"""The classical codecs: round trips and size matching."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics.distortion import psnr


@pytest.fixture(scope="module")
def photo():
    """A smooth picture with some noise, uint8 [64,96,3]."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:64, :96]
    smooth = 128 + 60 * np.sin(row / 9)[..., None] + 50 * np.cos(column[..., None] / [7, 11, 13])
    return np.clip(smooth + rng.normal(0, 5, (64, 96, 3)), 0, 255).astype(np.uint8)


def available(name):
    return pytest.param(
        name,
        marks=pytest.mark.skipif(name not in baselines.names(), reason="not in this Pillow"),
    )


CODECS = [available(name) for name in baselines.SAVE_OPTIONS]


@pytest.mark.parametrize("name", CODECS)
def test_more_quality_is_more_bytes_and_less_error(name, photo):
    ladder = baselines.LADDERS[name]
    files = [baselines.encode(name, photo, quality) for quality in (ladder[0], ladder[-1])]
    errors = [psnr(photo, baselines.decode(name, data)) for data in files]
    assert len(files[0]) < len(files[1])
    assert errors[0] < errors[1]


@pytest.mark.parametrize("name", CODECS)
def test_ladders_are_qualities(name):
    assert set(baselines.LADDERS[name]) <= set(baselines.QUALITIES[name])
    assert baselines.QUALITIES[name] == sorted(baselines.QUALITIES[name])


@pytest.mark.parametrize("name", [available("jpeg"), available("webp"), available("jpeg2000")])
def test_size_matched_is_the_largest_that_fits(name, photo):
    sizes = {q: len(baselines.encode(name, photo, q)) for q in baselines.QUALITIES[name]}
    target = (min(sizes.values()) + max(sizes.values())) // 3
    data, quality = baselines.size_matched(name, photo, target)
    assert len(data) == sizes[quality] <= target
    assert len(data) >= 0.97 * max(size for size in sizes.values() if size <= target)


def test_chroma_sampling_differs(photo):
    assert len(baselines.encode("jpeg", photo, 75)) < len(baselines.encode("jpeg444", photo, 75))


def test_wrong_requests_are_refused(photo):
    with pytest.raises(RdcError, match="unknown codec"):
        baselines.encode("gif", photo, 10)
    with pytest.raises(RdcError, match="uint8"):
        baselines.encode("jpeg", photo.astype(np.float32), 10)
    with pytest.raises(RdcError, match="cannot reach"):
        baselines.size_matched("jpeg", photo, 10)
