"""Compiling for machines that are not here; the real compiler only where libtpu is installed."""

import jax
import pytest

from configs import sd21
from rdc_jax.cli import main
from rdc_jax.errors import RdcError
from rdc_jax.training.cost import aot

CONFIG = "configs/sd21.py:smoke"


def test_without_libtpu_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RdcError, match=r"pip install 'rdc_jax\[tpu\]'"):
        aot.topology_devices("v5e:2x2")


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
def test_an_unknown_topology_is_one_line(capsys):
    pytest.importorskip("libtpu")
    assert main.main(["train", "--config", CONFIG, "--aot", "v5q:2x2"]) == 2
    assert "is no TPU topology" in capsys.readouterr().err
