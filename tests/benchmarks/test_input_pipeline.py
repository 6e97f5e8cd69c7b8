"""The benchmark of the input pipeline, with few and small photos."""

import pytest

from benchmarks import input_pipeline
from rdc_jax.data.sources import SyntheticSource


def test_it_prints_rates_and_the_cores_that_each_pod_needs(monkeypatch, capsys):
    monkeypatch.setattr(input_pipeline, "SIZES", {"small": (640, 520)})
    monkeypatch.setattr(input_pipeline, "TILES", {"2 tiles": (1536, 1024)})
    monkeypatch.setattr(input_pipeline, "PHOTOS", 2)
    monkeypatch.setattr(input_pipeline.Blank, "__len__", lambda self: 2)
    assert input_pipeline.main(["--examples", "10", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    for name in ("folder, small, crop 512", "array_record, small, crop 256", "latents, 2 tiles"):
        assert name in printed
    assert "v5e-256" in printed and "64 hosts" in printed and "one host" in printed


def test_needs_are_those_of_the_page():
    needs = {n.name: n for n in input_pipeline.pod_needs(input_pipeline.PODS.read_text())}
    assert {name: need.hosts for name, need in needs.items()} == {
        "v5e-256": 64, "v5p-128": 16, "v6e-256": 64, "one host": 1,
    }  # fmt: skip
    assert all(need.images_per_second > 100 for need in needs.values())
    page = "| chips | x | images/s |\n|---|---|---|\n| v5e-16 (4x4) | 1 | 2 | 3 | 4 | 5 |"
    assert input_pipeline.pod_needs(page.replace("| 1 | 2 |", "| 1 | 20.5 |")) == [
        ("v5e-16", 20.5, 4)
    ]
    with pytest.raises(ValueError, match="no table"):
        input_pipeline.pod_needs("no table")


def test_time_counts_only_what_the_pipeline_does():
    slow = input_pipeline.examples_per_second(SyntheticSource(3, 400), 256, 10, 1)
    fast = input_pipeline.examples_per_second(SyntheticSource(3, 100), 64, 10, 1)
    assert 0 < slow < fast
