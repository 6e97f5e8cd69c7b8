"""A preset is a quality, and a tau unless one is given."""

from __future__ import annotations

import pytest

import rdc_jax
from rdc_jax.cli.main import main
from rdc_jax.codec.presets import PRESETS
from tests.cli.runs import fails

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.fixture
def encoded(models, photo, tmp_path, capsys):
    """A function that encodes the photo with some flags and returns the file's bytes."""
    out = tmp_path / "out.rdc"

    def encode(*flags):
        command = ["encode", str(photo), "-o", str(out), "-f", "--model", str(models / "first")]
        assert main([*command, *map(str, flags)]) == 0
        capsys.readouterr()
        return out.read_bytes()

    return encode


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_it_says(encoded, name):
    quality, tau = PRESETS[name]
    flags = ["-q", quality, *([] if tau is None else ["--tau", tau])]
    assert encoded("--preset", name) == encoded(*flags)
    assert rdc_jax.info(encoded("--preset", name, "--tau", 0.25)).tau == pytest.approx(
        0.25, abs=0.01
    )


def test_presets_rise_in_quality_and_balanced_is_the_default(encoded):
    assert [p.quality for p in PRESETS.values()] == sorted(p.quality for p in PRESETS.values())
    assert encoded("--preset", "balanced") == encoded()
    assert rdc_jax.info(encoded("--preset", "faithful")).tau == 0


@pytest.mark.parametrize(
    "flags", ["-q 30", "--target-size 9k", "--target-bpp 1", "--target-quality psnr=30"]
)
def test_a_preset_and_another_rate_exclude_each_other(photo, tmp_path, capsys, flags):
    error = fails(capsys, tmp_path, "encode", photo, "--preset", "small", *flags.split())
    assert "--preset" in error and "not allowed with" in error


def test_an_unknown_preset_names_those_there_are(photo, tmp_path, capsys):
    error = fails(capsys, tmp_path, "encode", photo, "--preset", "tiny")
    assert all(name in error for name in PRESETS)
