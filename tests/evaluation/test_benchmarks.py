"""The comparison commands, run on a stand-in codec that needs no network.

The stand-in has the interface of `rdc_jax.Codec` and is JPEG inside; a mask flattens what it
calls unimportant before coding, so that a masked file spends its bytes inside the mask.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from benchmarks import rate_distortion, region_of_interest, speed, tau
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.report import image_files, read_results, table, write_results


class StandInCodec:
    """JPEG with a fractional quality: trailing zero bytes stand for the fraction."""

    model_id = "stand-in"
    model = SimpleNamespace(model_id=b"standin!")
    module = None

    def __init__(self):
        self.encoded = 0

    def encode(self, pixels, quality, importance=None, return_report=False):
        self.encoded += 1
        if importance is not None:
            pixels = np.where(importance[..., None] > 0.5, pixels, 128).astype(np.uint8)
        jpeg = [baselines.encode("jpeg", pixels, q) for q in (int(quality), int(quality) + 1)]
        extra = round((quality % 1) * max(len(jpeg[1]) - len(jpeg[0]), 0))
        data = jpeg[0] + bytes(extra)
        report = SimpleNamespace(ideal_bits=8.0 * len(data) - 80, stage_seconds={"all": 0.1})
        return (data, report) if return_report else data

    def decode(self, data, steps=1, tau=0.0):
        """The module's realism is grain here, which costs PSNR and which the distance likes."""
        pixels = baselines.decode("jpeg", data)
        if self.module is None:
            return pixels
        grain = np.random.default_rng(0).normal(0, 8, pixels.shape)
        return np.clip(np.rint(pixels + float(tau) * grain), 0, 255).astype(np.uint8)


@pytest.fixture
def codec(monkeypatch):
    codec = StandInCodec()

    def load(model, fusion=None):
        codec.module = None if fusion == "none" else SimpleNamespace(identity="grain")
        return codec

    monkeypatch.setattr(rdc_jax, "load", load, raising=False)
    return codec


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(2):
        rng = np.random.default_rng(i)
        picture = np.asarray(
            Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((256, 192))
        )
        picture = np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    return folder


def test_rate_distortion_prints_compares_and_resumes(codec, photos, tmp_path, capsys):
    out = tmp_path / "results.json"
    command = ["--data", str(photos), "--codecs", "jpeg,webp", "--out", str(out)]
    command += ["--qualities", "5,10,15,25,40,60,75,85,92", "--window", "0.1,3"]
    assert rate_distortion.main(command) == 0
    printed = capsys.readouterr().out
    assert "rdc vs webp" in printed and "MS-SSIM" in printed and "file size / ideal" in printed
    summary = json.loads(out.read_text())["summary"]
    jpeg = summary["bd_rate_psnr_percent"]["jpeg"]  # the stand-in against itself
    assert jpeg["mean_curve_in_window"] == pytest.approx(0, abs=1e-6)
    assert jpeg["per_image"] == pytest.approx([0, 0], abs=1e-6)
    assert summary["overhead"]["mean_bytes_above_ideal"] == pytest.approx(10)
    assert [curve["name"] for curve in summary["curves"]] == ["rdc", "jpeg", "webp"]

    done = codec.encoded
    assert rate_distortion.main(command) == 0
    assert codec.encoded == done
    results = json.loads(out.read_text())
    del results["images"]["1.png"]["rdc"]["40"]
    out.write_text(json.dumps(results))
    assert rate_distortion.main(command) == 0
    assert codec.encoded == done + 1

    capsys.readouterr()
    assert rate_distortion.main([*command, "--steps", "4"]) == 2
    assert "another steps" in capsys.readouterr().err


def test_region_of_interest_compares_equal_sizes(codec, photos, tmp_path, capsys):
    out = tmp_path / "roi.json"
    command = ["--data", str(photos), "--quality", "60", "--out", str(out)]
    assert region_of_interest.main(command) == 0
    assert "mean difference in dB over 2 images" in capsys.readouterr().out
    results = json.loads(out.read_text())
    for image in results["images"].values():
        assert image["mask_area"] == pytest.approx(0.25, abs=0.002)
        assert abs(image["size_gap"]) <= 0.005
    difference = results["summary"]["difference"]
    assert difference["roi"] > 0 > difference["background"]


def test_sizes_that_never_meet_are_left_out_and_said(photos, monkeypatch, capsys):
    codec = StandInCodec()
    two_sizes = {True: b"x" * 1000, False: b"x" * 2000}
    codec.encode = lambda pixels, quality, importance=None: two_sizes[importance is None]
    codec.decode = lambda data, steps, tau: np.zeros((192, 256, 3), np.uint8)

    def load(model, fusion=None):
        codec.module = None if fusion == "none" else SimpleNamespace(identity="grain")
        return codec

    monkeypatch.setattr(rdc_jax, "load", load, raising=False)
    assert region_of_interest.main(["--data", str(photos)]) == 0
    printed = capsys.readouterr().out
    assert "left out, sizes more than .5 % apart: 0.png, 1.png" in printed
    assert "mean difference" not in printed


def test_masks_from_a_folder(codec, photos, tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    half = np.zeros((192, 256), np.uint8)
    half[:, :128] = 255
    Image.fromarray(half).save(masks / "0.png")
    command = ["--data", str(photos), "--masks", str(masks), "--quality", "60"]
    assert region_of_interest.main([*command, "--limit", "1"]) == 0
    assert region_of_interest.main(command) == 2
    assert "no mask named '1'" in capsys.readouterr().err


def test_speed_prints_ratios(codec, tmp_path, capsys):
    out = tmp_path / "speed.json"
    assert speed.main(["--repeats", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "768x512" in printed and "encode: all 100 %" in printed and "rdc / it" in printed
    assert set(json.loads(out.read_text())["median_seconds"]) >= {"rdc", "jpeg"}


def test_results_file_and_folder_refusals(tmp_path):
    with pytest.raises(RdcError, match="no such folder"):
        image_files(tmp_path / "none")
    with pytest.raises(RdcError, match="no PNG or JPEG"):
        image_files(tmp_path)
    path = tmp_path / "r.json"
    write_results(path, {"settings": {"steps": 1}, "images": {"a": {}}})
    assert read_results(path, {"steps": 1})["images"] == {"a": {}}
    path.write_text("not json")
    with pytest.raises(RdcError, match="not a results file"):
        read_results(path, {})


def test_table_aligns():
    assert table(("name", "x"), [("a", "1.50"), ("bcdef", 2)]) == (
        "name      x\n-----  ----\na      1.50\nbcdef     2"
    )


@pytest.fixture
def likes_grain(monkeypatch):
    """A perceptual distance without its network: how much detail a picture lacks."""

    def lacking(weights, reference, decoded):
        detail = (np.abs(np.diff(x.astype(float), axis=0)).mean() for x in (decoded, reference))
        return max(0.0, 1.0 - next(detail) / (2 * next(detail)))

    monkeypatch.setattr(tau.perceptual_weights, "load", lambda backbone: None)
    monkeypatch.setattr(tau.perceptual, "measure_lpips", lacking)


def test_tau_prints_compares_and_resumes(codec, likes_grain, photos, tmp_path, capsys):
    out = tmp_path / "tau.json"
    command = ["--data", str(photos), "--out", str(out), "--qualities", "10,25,50,75,90"]
    command += ["--repeats", "1", "--taus", "0,0.5,1"]
    assert tau.main(command) == 0
    printed = capsys.readouterr().out
    assert "BD-rate LPIPS" in printed and "tau 1, 8 steps" in printed
    results = json.loads(out.read_text())
    summary = results["summary"]
    assert summary["monotone"] == [True] * 5
    assert set(summary["against_tau_0"]) == {"0.5", "1"}
    for figures in summary["against_tau_0"].values():
        assert figures["bd_psnr_db"]["mean_curve"] < 0
    assert all(seconds > 0 for seconds in results["decoding_seconds"].values())
    done = codec.encoded
    assert tau.main([*command[:-3], "0", "--taus", "0,0.5,1"]) == 0
    assert codec.encoded == done


def test_tau_begins_with_the_faithful_picture(photos, capsys):
    with pytest.raises(SystemExit):
        tau.main(["--data", str(photos), "--taus", "0.5,1"])
    assert "begin with 0" in capsys.readouterr().err
