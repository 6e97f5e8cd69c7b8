"""Rate-quality curves: reading both kinds of files, drawing, ticks."""

import json
import math
import sys

import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import metric_names
from rdc_jax.evaluation.report import curves, svg_plot, templates
from rdc_jax.evaluation.report.curves import read_curves
from rdc_jax.evaluation.report.curves_plot import draw_curves

LISTS = {"bpp": [0.4, 0.1, 0.2], "psnr-rgb": [32.0, 28.0, 30.0], "encoding_time": [1.0, 1.0, 1.0]}
CURVES = [
    {"name": "rdc tau 0", "description": "", "results": LISTS | {"lpips-alex": [0.1, 0.3, None]}},
    {"name": "_$x$", "description": "", "results": LISTS},
]


def write(tmp_path, content):
    path = tmp_path / "peer.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_our_results_and_a_peer_s_are_read(tmp_path):
    ours = write(tmp_path, {"schema": 1, "points": [], "curves": CURVES})
    assert read_curves(ours) == CURVES
    entry = {"name": "mbt2018", "description": "mse", "results": LISTS}
    assert read_curves(write(tmp_path, entry)) == [entry]
    assert read_curves(write(tmp_path, LISTS | {"name": "flat"})) == [
        {"name": "flat", "description": "", "results": LISTS}
    ]
    assert read_curves(write(tmp_path, {"results": LISTS}))[0]["name"] == "peer"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([1], "holds no curves"),
        ({"curves": []}, "holds no curves"),
        ({"curves": [3]}, 'without "bpp"'),
        ({"name": "x", "psnr-rgb": [1]}, 'without "bpp"'),
        ({"bpp": [0.1, 0.2], "psnr-rgb": [30]}, "2 values of bpp but 1 of psnr-rgb"),
        ({"bpp": [None, 0, "a"]}, "needs positive numbers"),
    ],
)
def test_other_files_are_refused(tmp_path, content, complaint):
    with pytest.raises(RdcError, match=complaint):
        read_curves(write(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RdcError, match="cannot read"):
        read_curves(tmp_path / "none.json")


def test_points_are_finite_and_by_rate():
    assert curves.points_of(CURVES[0], "lpips-alex") == [(0.1, 0.3, 1), (0.4, 0.1, 0)]
    odd = {"results": {"bpp": [0.1, 0.0, 10**400], "psnr-rgb": [math.inf, 30.0, True]}}
    assert curves.points_of(odd, "psnr-rgb") == []
    assert curves.metrics_of(CURVES) == ["psnr-rgb", "lpips-alex"]


def test_directions_and_titles():
    ways = {"roi/psnr-rgb": 1, "vmaf": 1, "lpips-vgg": -1, "background/dists": -1, "fd-dino": -1,
            "depth": 0}  # fmt: skip
    assert {name: metric_names.direction(name) for name in ways} == ways
    assert metric_names.title("roi/psnr-rgb") == "PSNR (RGB), dB, inside the region"
    assert metric_names.title("fd-dino") == "fd-dino"


def test_training_scalars_use_the_same_table():
    assert metric_names.short_title("lpips_alex") == "LPIPS (AlexNet)"
    assert metric_names.short_title("new_loss") == "new_loss"
    ways = {"psnr": 1, "lpips_alex": -1, "colour": -1, "added_pattern": -1, "bpp": 0}
    assert {name: metric_names.direction(name) for name in ways} == ways
    units = {"psnr": "dB", "ssimulacra2": "points", "lpips_vgg": "%", "colour": "%"}
    assert {name: metric_names.difference_unit(name) for name in units} == units


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.1, 1.1, [0.125, 0.25, 0.5, 1.0]),
        (0.1, 0.3, [0.125, 0.1875, 0.25]),
        (0.14, 0.2, [0.15625, 0.1875]),
    ],
)
def test_ticks_of_the_rate(low, high, ticks):
    assert curves.rate_ticks(low, high) == ticks
    assert len(curves.rate_ticks(1e-6, 100)) <= 10


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%P")]
)
def test_figures_in_every_format_and_again_the_same(kind, start):
    drawn = draw_curves(CURVES, None, kind)
    assert drawn.startswith(start) and drawn == draw_curves(CURVES, None, kind)
    if kind == "svg":
        assert b"rdc tau 0" in drawn and b"_$x$" in drawn and b"LPIPS (AlexNet)" in drawn


def test_what_cannot_be_drawn_is_refused(monkeypatch):
    with pytest.raises(RdcError, match="no curve has 'vmaf'; there are psnr-rgb, lpips-alex"):
        draw_curves(CURVES, ["vmaf"], "png")
    with pytest.raises(RdcError, match="choose from png, svg, pdf"):
        draw_curves(CURVES, None, "gif")
    with pytest.raises(RdcError, match="nothing to draw"):
        draw_curves([], None, "png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RdcError, match="pip install matplotlib"):
        draw_curves(CURVES, None, "png")


def test_an_svg_for_a_page_holds_values_and_no_raw_text():
    hostile = [{"name": "<b>", "results": {"bpp": [0.2], "psnr-rgb": [30.0], "setting": ["<i>"]}}]
    chart = svg_plot.chart(curves.plot_of(hostile, "psnr-rgb"))  # one point has no range
    drawn = templates.render("plot.html", chart=chart)
    assert "&lt;b&gt;: 30.00 at 0.2 bpp, setting &lt;i&gt;" in drawn and "<b>" not in drawn
    assert svg_plot.chart(curves.plot_of(hostile, "vmaf")) is None
