"""Compiling for machines that are not here; the real compiler only where libtpu is installed."""

import jax
import pytest

from configs import sd21
from rdc_jax.cli import main
from rdc_jax.errors import RdcError
from rdc_jax.training.cost import aot, hardware

CONFIG = "configs/sd21.py:smoke"


def test_without_libtpu_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RdcError, match=r"pip install 'jax\[tpu\]'"):
        aot.topology_devices("v5e:2x2")


@pytest.mark.parametrize(
    ("topology", "name", "slices"),
    [("v5e:16x16", "v5e:16x16", {}), ("12xv5p:4x4x4", "v5p:4x4x4", {"num_slices": 12})],
)
def test_a_number_before_the_topology_is_that_of_slices(monkeypatch, topology, name, slices):
    asked = []

    def describe(**arguments):
        asked.append(arguments)
        raise ValueError("enough")

    monkeypatch.setattr(aot.topologies, "get_topology_desc", describe)
    monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: True)
    with pytest.raises(RdcError, match=f"^--aot '{topology}' is no TPU topology"):
        aot.topology_devices(topology)
    assert asked == [{"platform": "tpu", "topology_name": name, **slices}]


@pytest.mark.parametrize(
    ("kind", "teraflops", "gigabytes"),
    [("TPU7x", 1153.5, 103), ("NVIDIA B200", 2250, 180), ("NVIDIA H100 PCIe", 756, 86)],
)
def test_newer_chips_are_known(kind, teraflops, gigabytes):
    peaks = hardware.peaks_of(kind)
    assert peaks.flops == teraflops * 1e12
    assert peaks.memory == pytest.approx(gigabytes * 1e9, rel=0.01)


def test_a_chip_without_known_peaks_is_refused(monkeypatch):
    monkeypatch.setattr(aot, "topology_devices", lambda _: jax.devices())
    with pytest.raises(RdcError, match=r"no published peaks .* cpu"):
        aot.compile_ahead(sd21.get_config("smoke"), "v5e:2x4")


@pytest.mark.slow
def test_the_train_step_compiles_for_a_pod_and_its_cost_is_predicted():
    pytest.importorskip("libtpu")
    config = sd21.get_config("smoke")
    config.data.kind = "latents"
    config.mesh.update(fsdp=2)
    with jax.numpy_dtype_promotion("standard"):  # flax's norms promote bfloat16 by themselves
        report = aot.compile_ahead(config, "v5e:2x2")
    assert report.mesh == {"replica": 1, "data": 2, "fsdp": 2, "tensor": 1}
    assert report.fits and 0 < report.temporary_bytes < report.hbm_bytes
    assert 0 < report.model_flops <= 1.2 * report.compiled_flops
    assert 0 < report.step_seconds < report.pessimistic_seconds
    assert 0 < report.pessimistic_mfu < report.mfu < report.padded_bound <= 1
    assert "forward conv_general_dilated" in report.operators
    text = str(report)
    assert "fits" in text and "images/s" in text and "pessimistic" in text


@pytest.mark.slow
def test_two_slices_are_two_replicas():
    pytest.importorskip("libtpu")
    config = sd21.get_config("smoke")
    config.data.kind = "latents"
    report = aot.compile_ahead(config, "2xv5e:2x2")
    assert report.mesh == {"replica": 2, "data": 4, "fsdp": 1, "tensor": 1}


@pytest.mark.slow
def test_an_unknown_topology_is_one_line(capsys):
    pytest.importorskip("libtpu")
    assert main.main(["train", "--config", CONFIG, "--aot", "v5q:2x2"]) == 2
    assert "is no TPU topology" in capsys.readouterr().err
