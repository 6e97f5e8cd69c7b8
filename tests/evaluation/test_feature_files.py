"""Distances of sets in a benchmark run: features on disk, and values beside other columns."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import comparison, feature_files
from rdc_jax.evaluation.metrics import frechet, set_distances
from rdc_jax.models import lpips_weights

SIDE = frechet.PATCH_SIZE


@pytest.fixture
def small_network(monkeypatch, random_weights):
    """Random weights of four channels in place of the published ones."""
    monkeypatch.setattr(lpips_weights, "load", lambda backbone: random_weights(backbone, 4))


@pytest.fixture
def benchmark(tmp_path, rng, small_network):
    """(results of two pictures on a clean and a noisy curve, folder of their features)."""
    extractors, missing = set_distances.choose(["fd-alexnet", "psnr-rgb", "kid-alexnet"])
    assert list(extractors) == ["alexnet"] and not missing
    points, noise = [], {("clean", 1.0): 2, ("noisy", 1.0): 25, ("noisy", 2.0): 12}
    for name in ("a", "b"):
        waves = np.sin(np.mgrid[: 2 * SIDE, :SIDE] / rng.uniform(3, 30)).sum(0)
        pixels = np.uint8(128 + 50 * waves[..., None].repeat(3, -1))
        feature_files.write(extractors, tmp_path, "original", 0.0, name, pixels)
        for (curve, setting), sigma in noise.items():
            decoded = np.uint8(np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255))
            feature_files.write(extractors, tmp_path, curve, setting, name, decoded)
            points.append(
                {"image": f"{name}.png", "codec": curve, "setting": setting, "bpp": setting,
                 "encoding_time": 1.0, "decoding_time": 1.0, "map_bytes": 0, "metrics": {}}
            )  # fmt: skip
    images = [{"name": "a.png"}, {"name": "b.png"}]
    results = {"points": points, "images": images, "skipped": []}
    return results | {"curves": comparison.curves(points)}, tmp_path


def test_every_curve_gets_a_value_for_every_setting(benchmark):
    results, folder = benchmark
    feature_files.add_to_curves(results, folder, ["fd-alexnet", "kid-alexnet"])
    columns = {curve["name"]: curve["results"] for curve in results["curves"]}
    assert len(columns["noisy"]["fd-alexnet"]) == 2 and not results["skipped"]
    assert 0 <= columns["clean"]["fd-alexnet"][0] < columns["noisy"]["fd-alexnet"][1]
    assert columns["noisy"]["fd-alexnet"][1] < columns["noisy"]["fd-alexnet"][0]
    assert columns["clean"]["kid-alexnet"][0] < columns["noisy"]["kid-alexnet"][0]
    comparison.summarise(results, ["noisy"], "pchip", None)
    entry = results["bd"][0]
    assert entry["metric"] == "fd-alexnet" and entry["value"] is None  # one point has no curve


def test_curves_are_compared_once_for_all_images(benchmark):
    results, folder = benchmark
    feature_files.add_to_curves(results, folder, ["fd-alexnet"])
    noisy = next(curve for curve in results["curves"] if curve["name"] == "noisy")
    less = {key: list(values) for key, values in noisy["results"].items()}
    less["bpp"] = [0.7 * rate for rate in less["bpp"]]
    results["curves"].append({"name": "less", "description": "", "results": less})
    comparison.summarise(results, ["noisy"], "pchip", None)
    entry = next(bd for bd in results["bd"] if bd["test"] == "less")
    assert entry["value"] == pytest.approx(-30.0) and entry["images"] == 2
    assert 0 < entry["low"] < entry["high"]


def test_originals_are_looked_at_once(tmp_path, small_network, rng):
    extractors, _ = set_distances.choose(["fd-alexnet"])
    pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    feature_files.write(extractors, tmp_path, "original", 0.0, "a", pixels)
    looked = {"alexnet": lambda patches: pytest.fail("looked again")}
    feature_files.write(looked, tmp_path, "original", 0.0, "a", pixels)


def test_too_few_patches_and_missing_features_are_named(tmp_path, small_network, benchmark):
    results, folder = benchmark
    file = folder / "features" / "alexnet" / "clean" / "1" / "a.npy"
    file.write_bytes(b"no array")
    feature_files.add_to_curves(results, folder, ["fd-alexnet"])
    assert [s["what"] for s in results["skipped"]] == ["fd-alexnet of clean"]
    extractors, _ = set_distances.choose(["fd-alexnet"])
    for curve in ("original", "x"):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        feature_files.write(extractors, tmp_path, curve, 0.0, "one", pixels)
    with pytest.raises(RdcError, match="two samples or more"):
        feature_files.measure(tmp_path, "fd-alexnet", "x", 0.0, ["one"])
