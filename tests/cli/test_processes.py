"""`rdc` in processes of its own, as a shell runs it; and their compilation cache."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdc_jax import images
from rdc_jax.bitstream import container
from rdc_jax.codec import compilation_cache
from rdc_jax.codec.codec import Codec
from rdc_jax.model_folder import codec_model
from tests.cli.runs import ROOT, opened, picture, rdc

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


def test_round_trip_in_two_processes(models, photo, cache, user_environment):
    model = models / "first"
    box = ["--roi-box", "10,10,30,30", "--roi-box", "60,5,9,9", "--roi-gain", "200"]
    encoded = rdc(user_environment, cache, "encode", photo, "--model", model, "--json", *box)
    assert encoded.returncode == 0, encoded.stderr
    assert encoded.stderr == b""
    report = json.loads(encoded.stdout)
    path = photo.with_suffix(".rdc")
    assert report["output"] == str(path)
    assert report["bytes"] == path.stat().st_size
    assert report["bpp"] == pytest.approx(8 * report["bytes"] / (83 * 61))
    assert report["timesteps"][0] - report["timesteps"][1] == 200
    assert sum(report["section_bytes"].values()) < report["bytes"]

    output = photo.with_name("decoded.png")
    decoded = rdc(
        user_environment, cache, "decode", path, "-o", output, "--model", model, "-j",
        "--symbol-hash",
    )  # fmt: skip
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stderr == b""
    assert json.loads(decoded.stdout)["symbol_hash"] == report["symbol_hash"]
    here = Codec(codec_model.load(model)).decode(path.read_bytes())
    difference = np.abs(np.asarray(opened(output)).astype(int) - here)
    assert difference.max() <= 1  # floats of another number of devices round differently


def test_standard_input_to_standard_output(models, photo, cache, user_environment):
    model = ["--model", models / "first"]
    data = photo.read_bytes()
    encoded = rdc(user_environment, cache, "encode", "-", "-q", "80", *model, input=data)
    assert encoded.returncode == 0, encoded.stderr
    assert encoded.stdout.startswith(container.SIGNATURE)
    assert b"standard" not in encoded.stdout and b"83 x 61 pixels" in encoded.stderr
    decoded = rdc(
        user_environment, cache, "decompress", "-", "--quiet", *model, input=encoded.stdout
    )
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stderr == b""
    assert opened(io.BytesIO(decoded.stdout)).size == (83, 61)


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("RDC_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert compilation_cache.folder() == Path("/a")
    monkeypatch.delenv("RDC_CACHE_DIR")
    assert compilation_cache.folder() == Path("/b/rdc_jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compilation_cache.folder() == Path("/c/.cache/rdc_jax")


def test_folder_that_is_not_writable_means_no_cache(tmp_path, monkeypatch, user_environment):
    (tmp_path / "file").touch()
    script = "from rdc_jax.codec import compilation_cache as c; print(c.enable())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, env=user_environment | {"RDC_CACHE_DIR": str(tmp_path / "file" / "below")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("None\n", "")


LATENT_SIDES = [1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100, 129, 255, 320, 321, 333, 512, 641]


@pytest.mark.slow
def test_thirty_sizes_in_two_processes(models, tmp_path, rng, cache, user_environment):
    sizes = [(side, 1 + (7 * side) % 97) for side in LATENT_SIDES]
    sizes += [(1, 1), (1, 700), (900, 1), (3, 5), (8, 8), (97, 1001), (640, 480), (751, 499)]
    sizes += [(1024, 319), (1500, 900)]
    assert len(sizes) == 30
    source, coded, decoded = (tmp_path / name for name in ("in", "coded", "decoded"))
    source.mkdir()
    modes = ("RGB", "L", "P")
    for i, (width, height) in enumerate(sizes):
        picture(source / f"{i}.png", rng, width, height, modes[i % 3])
    model = ["--model", models / "first"]
    for arguments in (["encode", source, "-o", coded], ["decode", coded, "-o", decoded]):
        done = rdc(user_environment, cache, *arguments, *model, "--quiet", timeout=600)
        assert done.returncode == 0, done.stderr
    codec = Codec(codec_model.load(models / "first"))
    for i, (width, height) in enumerate(sizes):
        there = images.read_image(decoded / f"{i}.png")
        here = codec.decode((coded / f"{i}.rdc").read_bytes())
        assert there.pixels.shape == (height, width, 3)
        assert there.grey == images.read_image(source / f"{i}.png").grey
        assert np.abs(there.pixels.astype(int) - here).max() <= 1
