"""The smallest file that is good enough: the search, with a codec whose errors are known."""

import dataclasses
import io
import sys

import numpy as np
import pytest

from rdc_jax.codec import quality_target
from rdc_jax.errors import RdcError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(60, 196, (64, 64, 3), np.uint8)
NOISE = RNG.normal(0, 1, PIXELS.shape)


@dataclasses.dataclass
class NoisyCodec:
    """Decodes to the picture with noise that falls with the quality; `bend` curves the fall."""

    bend: float = 0.0
    timestep_range = (20, 740)
    decodes = 0

    def encode(self, pixels, *, quality, return_report, progress, seed=0):
        return repr(quality).encode(), {"quality": quality, "seed": seed}

    def decode(self, data, progress=False):
        self.decodes += 1
        share = float(data) / 100
        deviation = 13.0 * 10 ** (-14 / 20 * (share + self.bend * share * (1 - share)))
        return np.clip(np.rint(PIXELS + deviation * NOISE), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("bend", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("wish", ["psnr=27", "psnr=30", "psnr=34.5", "ms-ssim=0.99"])
def test_reached_from_above_in_few_decodes(wish, bend):
    target, codec = quality_target.parse(wish), NoisyCodec(bend)
    data, report, value = quality_target.encode(codec, PIXELS, target, seed=3)
    assert report == {"quality": float(data), "seed": 3}
    assert value == target.measure(PIXELS, codec.decode(data)) >= target.value
    gap = quality_target.decibels(target.name, value) - quality_target.decibels(*target[:2])
    assert 0 <= gap <= 0.2
    assert codec.decodes - 1 <= 6


def test_what_is_always_reached_takes_the_smallest_file():
    data, _, value = quality_target.encode(NoisyCodec(), PIXELS, quality_target.parse("psnr=9"))
    assert float(data) == 0 and value > 20


@pytest.mark.parametrize(("progress", "terminal"), [(True, True), (True, False), (False, True)])
def test_what_was_tried_is_shown_on_a_terminal(progress, terminal, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", screen)
    codec, target = NoisyCodec(), quality_target.parse("psnr=30")
    *_, value = quality_target.encode(codec, PIXELS, target, progress=progress)
    shown = screen.getvalue()
    if progress and terminal:
        assert "psnr=30: " in shown and f"psnr {value:.4g} at quality" in shown
        assert all(f"{number}try" in shown for number in range(codec.decodes + 1))
    else:
        assert shown == ""


def test_what_is_never_reached_is_refused_or_comes_near():
    target, codec = quality_target.parse("psnr=60"), NoisyCodec()
    with pytest.raises(RdcError, match=r"100 psnr is 39.*, not yet 60; ask for a smaller value"):
        quality_target.encode(codec, PIXELS, target)
    lpips = quality_target.Target("lpips", 0.001, lambda image, decoded: 0.2)
    with pytest.raises(RdcError, match=r"lpips is 0.2, not yet 0.001; ask for a larger value"):
        quality_target.encode(codec, PIXELS, lpips)
    data, _, value = quality_target.encode(codec, PIXELS, target, best_effort=True)
    assert float(data) == 100 and 35 < value < 45


@pytest.mark.parametrize(
    "text", ["psnr", "psnr=", "psnr=good", "psnr=nan", "psnr=-3", "psnr=inf", "dists=0.1", "=3"]
)
def test_what_is_no_target(text):
    with pytest.raises(RdcError, match="is no quality target; give psnr=35"):
        quality_target.parse(text)
