"""The benchmark of flat areas, with a stand-in codec that makes known errors."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import rdc_jax
from benchmarks import flat_areas
from rdc_jax.evaluation.metrics import added_pattern


class SteppedCodec:
    """Two levels more on the right of a border of tiles; at tau 1 also a dot every 32 pixels."""

    model = SimpleNamespace(model_id=b"id")

    def encode(self, pixels, quality, tile):
        self.pixels = pixels
        return bytes(64)

    def decode(self, data, tau, steps):
        decoded = self.pixels.copy()
        decoded[:, 256:] += np.uint8(2)
        if tau:
            decoded[4::32, 4::32] += np.uint8(9)
        return decoded


def run(monkeypatch, *arguments):
    monkeypatch.setattr(rdc_jax, "load", lambda model, fusion: SteppedCodec(), raising=False)
    return flat_areas.main(list(arguments))


def test_steps_and_dots_are_found(monkeypatch, tmp_path, capsys):
    out = tmp_path / "flat.json"
    assert run(monkeypatch, "--surfaces", "dark", "--qualities", "20", "--out", str(out)) == 0
    assert "largest excess of a border over near: 2.00 levels" in capsys.readouterr().out
    plain, dotted = json.loads(out.read_text())["results"]
    assert [plain["step"], plain["soft"]] == 2 * [pytest.approx({"border": 2, "near": 0}, abs=1e-9)]
    assert plain["corner"] == 2 and max(g["dots"] for g in plain["grids"]) < 0.3
    shares = [g["share"] for g in dotted["grids"]]
    assert shares[1] > 0.9 and shares[0] < 0.1
    assert dotted["grids"][1]["dots"] == pytest.approx(9 / 32, rel=0.01)


def test_the_grid_is_that_of_the_added_pattern(rng):
    error = rng.normal(0, 1, (128, 192))
    error[::8, ::8] += 1
    expected = added_pattern.share([added_pattern.energy(error)])
    assert flat_areas.grid(error[..., None], 8).share == pytest.approx(expected)
    assert flat_areas.grid(np.zeros((256, 256, 3)), 32) == (0, 0)


def test_a_border_is_compared_with_what_is_near():
    error = np.zeros((512, 512))
    error[:, 300:] = 3  # near the border at 256, not at it
    assert flat_areas.steps(error, 256, 1) == pytest.approx((0, 3), abs=1e-9)
    error[:, 400:] += 5  # too far away
    assert flat_areas.steps(error, 256, 1) == pytest.approx((0, 3), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--surfaces", "sea"), "no surface 'sea'"), (("--side", "256"), "too small")],
)
def test_what_cannot_be_measured_is_refused(monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
