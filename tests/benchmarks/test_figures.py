"""The command that makes all measured tables, on two small images and into a document."""

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import figures
from rdc_jax.models import lpips, lpips_weights

ROOT = Path(__file__).resolve().parents[2]


def test_every_table_comes_from_one_run(tmp_path, smoke_model, monkeypatch, rng, capsys):
    monkeypatch.setattr(lpips_weights, "load", lambda backbone: None)
    monkeypatch.setattr(
        lpips, "measure_lpips", lambda _, a, b: float(np.abs(a.astype(float) - b).mean())
    )
    monkeypatch.setattr(
        "rdc_jax.evaluation.metrics.metric_set.masked_lpips", lambda w, a, b, m: 0.5
    )
    short = {
        "quality": [*figures.EVALUATIONS["quality"], "--qualities", "20,80"],
        "region": [*figures.EVALUATIONS["region"], "--qualities", "20,80"],
        "tau": [*figures.EVALUATIONS["tau"], "--qualities", "20,80", "--taus", "0,1"],
    }
    monkeypatch.setattr(figures, "EVALUATIONS", short)
    monkeypatch.setitem(figures.TABLES, "judges", ("judges", lambda results: "a table"))
    monkeypatch.setattr(figures.modules, "main", stand_in_modules)
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        pixels = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 96)).save(tmp_path / "photos" / f"{name}.png")
    out = tmp_path / "out"
    command = ["--data", str(tmp_path / "photos"), "--out", str(out), "--model", str(smoke_model),
               "--repeats", "1"]  # fmt: skip
    assert figures.main(command) == 0
    text = (out / "figures.md").read_text()
    assert text in capsys.readouterr().out + "\n"
    found = dict(re.findall(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(found) == [name for name in figures.TABLES if name != "ablations"]
    rows = [line.count("|") for line in found["quality"].strip().splitlines()]
    assert rows == [8] * 4  # header, rule, two qualities
    assert not re.search(r"(?<!\d)\.\d", text), "a number without its leading zero"
    assert "against WebP" in found["bd-rate"] and "2 images" in found["region"]
    for name in short:
        results = json.loads((out / name / "results.json").read_text())
        assert {"curves", "points", "bd", "images", "hardware", "command"} <= results.keys()
        assert all(
            {"name", "description", "results"} == curve.keys() for curve in results["curves"]
        )
        assert len(results["images"]) == 2 and not results["skipped"]


def stand_in_modules(command):
    """Replaces modules.py, because the smoke model has no fusion module to compare."""
    Path(command[command.index("--out") + 1]).write_text("{}")
    return 0


def test_judges_become_rows_of_each_rate():
    shown = {
        "tau 0": {"psnr": 30.0, "dists": 0.2}, "tau 1": {"psnr": 29.5, "dists": 0.1},
    }  # fmt: skip
    worse = {name: {"psnr": v["psnr"] - 1, "dists": 0.3} for name, v in shown.items()}
    results = {
        "settings": {"metrics": ["psnr", "dists"]},
        "pictures": {"a": {"20": {"bpp": 0.1, "shown": shown}},
                     "b": {"20": {"bpp": 0.3, "shown": worse}}},
    }  # fmt: skip
    assert figures.judges_table(results).splitlines() == [
        "| 2 images, equal bytes | PSNR, dB | DISTS |",
        "| --- | --- | --- |",
        "| 0.200 bpp, tau 0 | 29.50 | 0.250 |",
        "| 0.200 bpp, tau 1 | 29.00 | 0.200 |",
    ]


def test_tables_replace_those_between_their_markers():
    text = "before\n<!-- figures: tau -->\nold\n<!-- end of tau -->\nafter \\1\n"
    changed = figures.replaced(text, {"tau": "| \\1 |", "speed": "unused"})
    assert changed == text.replace("\nold\n", "\n\n| \\1 |\n\n")
    assert figures.replaced(changed, {"tau": "| \\1 |"}) == changed


def test_every_table_has_its_place():
    """Each table is in one document, beside a command with the options that figures.py uses."""
    text = "\n".join((ROOT / document).read_text() for document in figures.DOCUMENTS)
    places = re.findall(r"<!-- figures: (\S+) -->.*?<!-- end of \1 -->", text, re.DOTALL)
    assert sorted(places) == sorted(figures.TABLES)
    commands = " ".join(text.replace("\\\n", " ").split())
    for options in figures.EVALUATIONS.values():
        shown = " ".join(f'"{o}"' if " " in o else o for o in options)
        assert shown in commands


def test_ablations_become_a_table_with_their_circumstances():
    effects = [
        dict(what="a", against="b", unit="dB", mean=-0.5, interval=0.2, pictures=9),
        dict(what="c", against="b", unit="dB", mean=0.1, interval=0.2, pictures=9),
    ]
    text = figures.ablation_table(
        dict(effects=effects, date="2026-01-01", model_id="ab", hardware="a machine", minutes=12.3,
             steps=dict(entropy=600, diffusion=300), qualities=[10.0, 50.0])
    )  # fmt: skip
    assert "2026-01-01, model ab; a machine; 12 minutes" in text and "qualities 10, 50." in text
    assert text.splitlines()[-2].endswith("| 9 | yes |")
    assert text.splitlines()[-1].endswith("| 9 | no |")
