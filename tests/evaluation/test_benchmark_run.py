"""`rdc eval` end to end on small pictures, and the parts that join its rows into curves."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli import main
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import benchmark_run, coders, comparison
from rdc_jax.evaluation.metrics import metric_set
from rdc_jax.importance import shapes
from rdc_jax.models import lpips_weights

SIZE = (96, 80)


def picture(seed):
    """uint8 [h,w,3]: waves and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [np.sin(x / rng.uniform(4, 20) + y / rng.uniform(4, 20)) for _ in range(3)]
    noise = rng.normal(0, 6, (*SIZE, 3))
    return np.clip(128 + 80 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(picture(ord(name))).save(folder / f"{name}.png")
    return folder


def evaluate(photos, model, *options):
    out = photos.parent / "out"
    common = ["--model", str(model), "--qualities", "30,80", "--anchors", "jpeg"]
    code = main.main(["eval", "--data", str(photos), "--out", str(out), *common, *options])
    return code, out


@pytest.fixture
def two_curves():
    """Points of an anchor and of a test that needs exactly half the bits."""
    points = []
    for image in ("a", "b"):
        for setting, (bpp, psnr) in enumerate([(0.2, 30.0), (0.4, 33.0), (0.8, 35.0)]):
            for name, factor in (("anchor", 1.0), ("test", 0.5)):
                metrics = {"psnr-rgb": psnr, "lpips-alex": 1.0 / psnr}
                times = {"encoding_time": 1.0, "decoding_time": 2.0, "map_bytes": 0}
                points.append(
                    {"image": image, "codec": name, "setting": float(setting),
                     "bpp": factor * bpp, "metrics": metrics, **times}
                )  # fmt: skip
    return points


@pytest.mark.parametrize(
    ("option", "there", "words"),
    [
        ("--masks", "", "no such folder"),
        ("--masks", "folder", "no PNG, JPEG or WebP files"),
        ("--masks", "file", "no such folder"),
        ("--out", "file", "is a file; name a new folder"),
    ],
)
def test_folders_that_do_not_fit_are_refused_at_once(photos, capsys, option, there, words):
    """Before a model is loaded, and before earlier results are put aside."""
    place = photos.parent / "place"
    if there == "folder":
        place.mkdir()
    elif there == "file":
        place.write_text("")
    code, out = evaluate(photos, "no model", option, str(place))
    error = capsys.readouterr().err
    assert code == 2 and words in error and error.count("\n") == 1 and not out.exists()


def test_one_command_makes_results_table_and_report(photos, smoke_model, capsys):
    code, out = evaluate(
        photos, smoke_model, "--codecs", "rdc,jpeg", "--taus", "0,1", "--masks", "center",
        "--metrics", "psnr-rgb,ms-ssim-rgb",
    )  # fmt: skip
    assert code == 0
    results = json.loads((out / "results.json").read_text())
    ours = {f"rdc{even} tau {tau}" for even in ("", " even") for tau in (0, 1)}
    assert {c["name"] for c in results["curves"]} == ours | {"jpeg"}
    assert len(results["points"]) == 2 * (2 * 2 * 2 + len(coders.classical("jpeg").settings))
    assert results["skipped"] == [] and len(results["images"]) == 2
    for point in results["points"]:
        file = out / point["file"]
        assert file.stat().st_size == point["bytes"]
        assert point["bpp"] == pytest.approx(8 * point["bytes"] / (SIZE[0] * SIZE[1]))
        assert set(point["metrics"]) == {"seam"} | {
            f"{region}{metric}"
            for region in ("", "roi/", "background/")
            for metric in ("psnr-rgb", "ms-ssim-rgb")
        }
        with Image.open(out / point["picture"]) as shown:
            assert (shown.height, shown.width) == SIZE
    ours = [p for p in results["points"] if p["codec"] == "rdc tau 0"]
    assert all(0 < p["map_bytes"] < p["bytes"] for p in ours)
    timed = {"load", "first encode", "encode", "first decode, tau 0", "decode, tau 1"}
    assert set(results["timings"]) >= timed
    masks = {p.get("map_picture") for p in results["points"]}
    bits = {p["bits_picture"] for p in results["points"] if "bits_picture" in p}
    assert len(masks) == 2 and len(bits) == 2 * 2 * 2  # pictures; times settings, with and without
    with Image.open(out / sorted(bits)[0]) as shown:
        assert shown.mode == "L" and shown.size == (SIZE[1] // 8, SIZE[0] // 8)
    curve = results["curves"][0]  # CompressAI's schema
    assert set(curve) == {"name", "description", "results"}
    lengths = {len(values) for values in curve["results"].values()}
    assert lengths == {2} and {"bpp", "psnr-rgb", "encoding_time"} <= set(curve["results"])
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(rows) == len(results["points"]) and float(rows[0]["bpp"]) > 0
    assert "<html" in (out / "report.html").read_text().lower()
    assert "rdc tau 1" in capsys.readouterr().out


def test_a_second_run_measures_nothing_twice(photos, smoke_model, monkeypatch):
    options = ("--codecs", "jpeg,webp", "--metrics", "psnr-rgb")
    assert evaluate(photos, smoke_model, *options)[0] == 0
    monkeypatch.setattr(benchmark_run, "code", lambda *a: pytest.fail("coded again"))
    code, out = evaluate(photos, smoke_model, *options)
    assert code == 0
    assert len(json.loads((out / "results.json").read_text())["points"]) > 20


def test_figures_of_other_settings_do_not_mix(photos, smoke_model, capsys):
    options = ("--codecs", "jpeg", "--metrics", "psnr-rgb")
    assert evaluate(photos, smoke_model, *options)[0] == 0
    assert "are removed" not in capsys.readouterr().err
    code, out = evaluate(photos, smoke_model, *options, "--masks", "center")
    assert code == 0 and "18 results of other" in capsys.readouterr().err
    assert len(json.loads((out / "results.before.json").read_text())["points"]) == 18
    points = json.loads((out / "results.json").read_text())["points"]
    assert len(points) == 18 and all("roi/psnr-rgb" in point["metrics"] for point in points)


def test_masks_can_be_found_in_the_images(photos, smoke_model):
    options = ("--codecs", "rdc", "--metrics", "psnr-rgb", "--masks", "contrast")
    code, out = evaluate(photos, smoke_model, *options)
    assert code == 0
    points = json.loads((out / "results.json").read_text())["points"]
    assert all("roi/psnr-rgb" in point["metrics"] for point in points)
    assert any(point["map_bytes"] for point in points)


def test_an_anchor_that_is_no_curve_is_refused(photos, smoke_model, capsys):
    options = ("--codecs", "rdc", "--metrics", "psnr-rgb", "--anchors", "rdc even")
    code, _ = evaluate(photos, smoke_model, *options)
    assert code == 2
    assert "no curve 'rdc even' for --anchors; choose from rdc tau 0" in capsys.readouterr().err


def test_images_too_small_for_patches_have_no_set_metric(
    photos, smoke_model, monkeypatch, random_weights
):
    monkeypatch.setattr(lpips_weights, "load", lambda backbone: random_weights(backbone, 4))
    options = ("--codecs", "jpeg", "--metrics", "psnr-rgb,fd-alexnet,fid")
    code, out = evaluate(photos, smoke_model, *options)
    assert code == 2
    results = json.loads((out / "results.json").read_text())
    reasons = {item["what"]: item["reason"] for item in results["skipped"]}
    assert "two samples or more" in reasons["fd-alexnet of jpeg"]
    assert "--inception" in reasons["fid"]
    assert "psnr-rgb" in results["curves"][0]["results"]


def test_what_cannot_be_done_is_named_skipped_and_counted(photos, smoke_model, capsys, tmp_path):
    (photos / "broken.png").write_bytes(b"not a picture")
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.new("L", SIZE[::-1], 255).save(masks / "a.png")
    code, out = evaluate(
        photos, smoke_model, "--codecs", "jpeg,vvc,heic,jxl", "--metrics", "psnr-rgb",
        "--masks", str(masks),
    )  # fmt: skip
    assert code == 2
    results = json.loads((out / "results.json").read_text())
    skipped = {item["what"]: item["reason"] for item in results["skipped"]}
    assert {"b.png", "broken.png"} <= set(skipped)
    assert "no mask named 'b'" in skipped["b.png"]
    assert [image["name"] for image in results["images"]] == ["a.png"]
    for name in ("vvc", "heic", "jxl"):  # installed, or named with what to install
        assert name in skipped or any(p["codec"] == name for p in results["points"])
    shown = capsys.readouterr().err
    assert "rdc: skipped broken.png" in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    "options",
    [
        ("--codecs", "zip"),
        ("--metrics", "beauty"),
        ("--qualities", "high"),
        ("--qualities", "101"),
        ("--taus", "0,2"),
        ("--window", "0.8,0.1"),
        ("--data", "nowhere"),
    ],
)
def test_unknown_names_and_numbers_are_refused(photos, smoke_model, options, capsys):
    code, out = evaluate(photos, smoke_model, *options)
    assert code == 2 and not (out / "results.json").exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("metric", ["psnr-rgb", "lpips-alex"])
def test_bd_rate_of_half_the_bits(two_curves, metric):
    found = comparison.compare(two_curves, "anchor", "test", metric, "pchip", None)
    assert found["value"] == pytest.approx(-50.0) and found["images"] == 2
    ends = [30, 35] if metric == "psnr-rgb" else [1 / 35, 1 / 30]
    assert sorted((found["low"], found["high"])) == pytest.approx(ends)
    assert (found["gain"] > 0) == (metric == "psnr-rgb")


def test_curves_that_do_not_overlap_have_no_bd_rate(two_curves):
    for point in two_curves:
        point["metrics"] = {"psnr-rgb": 10.0 + point["setting"] + 50 * (point["codec"] == "test")}
    found = comparison.compare(two_curves, "anchor", "test", "psnr-rgb", "pchip", None)
    assert found == {"value": None, "low": None, "high": None, "gain": None, "images": 0}


def test_a_curve_has_the_settings_that_every_image_has(two_curves):
    del two_curves[-1]  # one setting of one picture failed
    by_name = {curve["name"]: curve["results"] for curve in comparison.curves(two_curves)}
    assert by_name["anchor"]["bpp"] == pytest.approx([0.2, 0.4, 0.8])
    assert by_name["test"]["bpp"] == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize("name", coders.names())
def test_every_classical_codec_round_trips_or_says_what_to_install(name):
    pixels = picture(1)
    try:
        coder = coders.classical(name)
    except RdcError as error:
        assert "install" in str(error) or "Pillow" in str(error)
        return
    mask = shapes.centre(*SIZE)
    coded = [coder.encode(pixels, setting, mask) for setting in coder.settings]
    sizes = [len(c.data) for c in coded]
    assert sizes[0] < sizes[-1] and sizes == sorted(sizes)
    (decode,) = coder.decodes.values()
    decoded = decode(coded[-1].data)[: SIZE[0], : SIZE[1]]
    assert decoded.dtype == np.uint8 and decoded.shape == pixels.shape
    error = decoded.astype(float) - pixels
    assert np.mean(error**2) < 150


def test_the_region_of_the_video_codec_is_the_masks_box():
    mask = np.zeros((20, 30), np.float32)
    mask[4:9, 11:21] = 1
    inside, everywhere = coders.roi_filters(mask)
    assert "x=11:y=4:w=10:h=5:qoffset=-" in inside and "w=iw" in everywhere
    assert coders.roi_filters(np.zeros((5, 5))) == []


def test_metrics_know_which_way_is_better():
    names = metric_set.names()
    better = {name for name in names if metric_set.higher_is_better(name)}
    assert better == {"psnr-rgb", "ms-ssim-rgb", "ssimulacra2", "vmaf"}
    assert not metric_set.higher_is_better("roi/lpips-alex")
    assert metric_set.as_quality("dists", [0.1, 0.2]) == [-0.1, -0.2]


def test_curves_are_redrawn_and_mixed_with_compressai_s(photos, smoke_model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = evaluate(photos, smoke_model, "--codecs", "jpeg", "--metrics", "psnr-rgb")[1]
    theirs = tmp_path / "bmshj2018.json"
    lists = {"bpp": [0.1, 0.2], "psnr-rgb": [27.0, 29.0], "ms-ssim-rgb": [0.9, 0.95]}
    theirs.write_text(json.dumps({"name": "theirs", "description": "", "results": lists}))
    drawn = tmp_path / "curves.svg"
    command = ["plot", "curves", str(out / "results.json"), str(theirs), "-o", str(drawn)]
    assert main.main(command) == 0
    assert "theirs" in drawn.read_text() and "jpeg" in drawn.read_text()
    assert main.main(command) == 2 and "exists" in capsys.readouterr().err
    assert main.main([*command, "-f", "--metrics", "vmaf"]) == 2


def test_preference_needs_results_and_answers(tmp_path, capsys):
    command = ["eval", "preference", "--out", str(tmp_path)]
    assert main.main(command) == 2
    assert main.main([*command, "--serve"]) == 2
    assert "rdc eval --data" in capsys.readouterr().err
