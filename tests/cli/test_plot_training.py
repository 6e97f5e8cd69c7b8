"""`rdc plot training`: reading metrics.jsonl, the panels that follow, and the picture."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import training_log, training_plot


def line(step, **scalars):
    return json.dumps({"step": step, "time": 1.0} | scalars) + "\n"


def write_run(folder, count=4, images=True):
    """A short run: losses at every step, validation at every second one."""
    folder.mkdir(parents=True, exist_ok=True)
    text = ""
    for step in range(1, count + 1):
        seen = {"images": 8 * step} if images else {}
        text += line(step, loss=1 / step, bpp=0.5, images_per_second=7.0, **seen)
        if step % 2 == 0:
            views = {f"psnr{v}@{t}": 30.0 for v in ("", "_tau_1") for t in (250, 400)}
            rates = {"bd_rate_psnr": 1.0, "bd_rate_psnr_tau_1": -2.0, "equal_rate_psnr": 0.1}
            text += line(step, **views, **rates, **seen)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def test_scalars_are_read_by_name_and_step(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line(1, loss=3.0) + line(2, loss=2.0) + line(2, psnr=30.0, bad=float("nan")))
    found = training_log.read_scalars(file)
    assert found["loss"] == {1: 3.0, 2: 2.0} and found["psnr"] == {2: 30.0}
    assert "bad" not in found


def test_half_written_lines_are_skipped(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line(1, loss=3.0) + '{"step": 2, "lo' + line(3, loss=1.0) + line(4, loss=0.5))
    assert training_log.read_scalars(file)["loss"] == {1: 3.0, 4: 0.5}
    file.write_text(line(1, loss=3.0) + '{"step": 2, "loss": 2.')
    assert training_log.read_scalars(file)["loss"] == {1: 3.0}


def test_a_step_that_was_logged_again_counts_once(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line(2, loss=3.0) + line(1, loss=5.0) + line(2, loss=2.0))
    assert training_log.read_scalars(file)["loss"] == {2: 2.0, 1: 5.0}


def test_runs_are_named_by_folder_or_by_path_if_those_are_equal(tmp_path):
    one, two = write_run(tmp_path / "a" / "run"), write_run(tmp_path / "b" / "other")
    assert [r.name for r in training_log.read_runs([one, two / "metrics.jsonl"])] == [
        "run", "other"
    ]  # fmt: skip
    same = write_run(tmp_path / "b" / "run")
    assert [r.name for r in training_log.read_runs([one, same])] == [str(one), str(same)]


def test_every_scalar_finds_its_panel(tmp_path):
    runs = training_log.read_runs([write_run(tmp_path / "run")])
    equal, held_out, training = training_plot.sections(runs)
    (bits, gain) = [row[0] for row in equal.rows]
    assert bits.title == "bits at equal PSNR, % ↓" and gain.title == "PSNR at equal rate, dB ↑"
    assert bits.names == {"": "bd_rate_psnr", "_tau_1": "bd_rate_psnr_tau_1"}
    (row,) = held_out.rows
    assert [panel.title for panel in row] == ["PSNR ↑, timestep 250", "PSNR ↑, timestep 400"]
    assert row[1].names == {"": "psnr@400", "_tau_1": "psnr_tau_1@400"}
    assert [panel and panel.title for panel in training.rows[0]] == [
        "loss", "bpp", "images_per_second", None, None
    ]  # fmt: skip


def test_metrics_of_other_versions_are_drawn_too(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(line(4, **{"lpips_1@400": 0.1, "sharpness": 2.0}))
    runs = training_log.read_runs([tmp_path])
    held_out, training = training_plot.sections(runs)
    assert held_out.rows[0][0].names == {"": "lpips_1@400"}
    assert training.rows[0][0].title == "sharpness"


@pytest.mark.parametrize("images", [True, False])
def test_runs_share_a_figure(tmp_path, capsys, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    runs = [str(write_run(tmp_path / "$_one")), str(write_run(tmp_path / "two", 100, images))]
    assert main(["plot", "training", *runs]) == 0
    assert capsys.readouterr().out == "training.png\n"
    with Image.open("training.png") as picture:
        assert picture.width > 1000 and np.ptp(np.asarray(picture)) > 0
    assert main(["plot", "training", *runs]) == 2
    assert "exists; give -f" in capsys.readouterr().err
    assert main(["plot", "training", runs[0], "-o", "one.svg"]) == 0
    text = (tmp_path / "one.svg").read_text()
    assert "(over images seen)" in text and "tau 1" in text


def test_without_images_curves_are_over_steps(tmp_path):
    runs = training_log.read_runs([write_run(tmp_path / f"{i}", images=i) for i in range(2)])
    assert b"(over steps)" in training_plot.draw(runs, "svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "name the workdir of a training run"),
        ("", "has no scalars"),
        ("no json\n", "has no scalars"),
        (line(1), "has no scalars"),
    ],
)
def test_runs_without_metrics_are_refused(tmp_path, capsys, text, message):
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    assert main(["plot", "training", str(tmp_path), "-o", str(tmp_path / "a.png")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch):
    runs = training_log.read_runs([write_run(tmp_path)])
    with pytest.raises(RdcError, match="choose from png, svg, pdf"):
        training_plot.draw(runs, "bmp")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RdcError, match="pip install matplotlib"):
        training_plot.draw(runs, "png")
