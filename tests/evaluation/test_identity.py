"""Images of a benchmark run are told apart by their whole name and by their content."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli import main
from rdc_jax.cli.commands.evaluate import mask_of
from rdc_jax.evaluation.metrics import metric_set

OPTIONS = ("--codecs", "jpeg", "--qualities", "50", "--anchors", "jpeg")


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize((200, 200), Image.Resampling.BILINEAR)


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    picture(0).save(photos / "a.png")
    return photos


def evaluate(photos, model, *options):
    out = photos.parent / "out"
    command = ["eval", "--data", str(photos), "--out", str(out), "--model", str(model)]
    options = options or ("--metrics", "psnr-rgb")
    return main.main([*command, *OPTIONS, *options]), out


def points_of(out):
    return json.loads((out / "results.json").read_text())["points"]


def test_two_images_of_one_stem(folder, smoke_model):
    evaluate(folder, smoke_model)
    picture(1).resize((180, 180)).save(folder / "a.jpg")
    code, out = evaluate(folder, smoke_model)
    points = points_of(out)
    assert code == 0 and {point["image"] for point in points} == {"a.png", "a.jpg"}
    assert len({point["file"] for point in points}) == len(points)
    for point in points:
        assert (out / point["file"]).stat().st_size == point["bytes"]
    assert {point["file"].split("/")[-1] for point in points} == {"a.jpg", "a.jpg.jpg"}


def test_an_edited_image_is_measured_again(folder, smoke_model, capsys):
    _, out = evaluate(folder, smoke_model)
    before = {point["setting"]: point["bytes"] for point in points_of(out)}
    picture(5).save(folder / "a.png")
    assert evaluate(folder, smoke_model)[0] == 0
    after = {point["setting"]: point["bytes"] for point in points_of(out)}
    assert before.keys() == after.keys() and before != after
    assert "are removed" in capsys.readouterr().err


def test_a_name_that_is_not_unicode(folder, smoke_model):
    bad = os.fsencode(folder) + b"/bad\xff.png"
    try:
        with open(bad, "wb") as file:
            picture(2).save(file, "PNG")
    except OSError:
        pytest.skip("the file system takes Unicode only")
    code, out = evaluate(folder, smoke_model)
    assert code == 0 and (out / "report.html").is_file()
    with open(out / "results.csv", encoding="utf-8", newline="") as file:
        assert any("bad\\udcff.png" in row["image"] for row in csv.DictReader(file))


def test_a_default_metric_may_be_missing(folder, smoke_model, monkeypatch):
    missing = {"lpips-alex": "not installed"}
    real = metric_set.choose
    monkeypatch.setattr(
        metric_set, "choose",
        lambda names: (real([n for n in names if n not in missing])[0],
                       {n: missing[n] for n in names if n in missing}),
    )  # fmt: skip
    assert evaluate(folder, smoke_model, "--shown", "0")[0] == 0
    assert evaluate(folder, smoke_model, "--metrics", "psnr-rgb,lpips-alex")[0] == 2


def test_a_mask_may_have_the_whole_name(tmp_path):
    for name, value in (("a.png", 255), ("a.jpg.png", 0)):
        Image.new("L", (8, 8), value).save(tmp_path / name)
    pixels = np.zeros((8, 8, 3), np.uint8)
    for image, value in (("a.png", 1), ("a.jpg", 0)):
        assert (mask_of(str(tmp_path), tmp_path / image, pixels) == value).all()
