"""JAX is kept from a TPU that is not there, and from nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rdc_jax import demo
from rdc_jax.cli import platforms

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Function (what is installed and attached) -> JAX_PLATFORMS that the rule sets."""

    def choose(libtpu=True, pci=(), plugins=(), gpu=False, **given):
        for number, (vendor, device) in enumerate(pci):
            folder = tmp_path / "pci" / str(number)
            folder.mkdir(parents=True)
            (folder / "vendor").write_text(f"{vendor}\n")
            (folder / "device").write_text(f"{device}\n")
        if gpu:
            (tmp_path / "nvidia0").touch()
        monkeypatch.setattr(platforms, "PCI", tmp_path / "pci")
        monkeypatch.setattr(platforms, "NVIDIA", tmp_path / "nvidia0")
        monkeypatch.setattr(platforms, "plugin_names", lambda: list(plugins))
        found = object() if libtpu else None
        monkeypatch.setattr(platforms.importlib.util, "find_spec", lambda name: found)
        environment = dict(given)
        platforms.skip_absent_tpu(environment)
        return environment.get("JAX_PLATFORMS")

    return choose


NETWORK_CARD, V5E = ("0x8086", "0x1237"), ("0x1ae0", "0x0063")


def test_without_a_tpu_its_library_is_not_loaded(machine):
    assert machine(pci=[NETWORK_CARD]) == "cpu"


def test_a_gpu_beside_it_is_still_used(machine):
    assert machine(plugins=["xla_cuda13"], gpu=True) == "cuda,cpu"


def test_a_gpu_plugin_without_a_gpu_is_not_asked_for(machine):
    assert machine(plugins=["xla_cuda13"]) == "cpu"


@pytest.mark.parametrize(
    "options",
    [
        {"libtpu": False},
        {"pci": [NETWORK_CARD, V5E]},
        {"pci": [V5E], "plugins": ["xla_cuda13"], "gpu": True},
        {"plugins": ["jax_rocm7"]},
        {"JAX_FORCE_TPU_INIT": "1"},
        {"TPU_LIBRARY_PATH": "/opt/libtpu.so"},
    ],
)
def test_everything_else_is_left_to_jax(machine, options):
    assert machine(**options) is None


def test_a_choice_of_the_user_stays(machine):
    assert machine(JAX_PLATFORMS="tpu,cpu") == "tpu,cpu"


def test_the_devices_are_those_that_jax_looks_for():
    from jax._src import hardware_utils

    assert set(platforms.TPUS) == set(hardware_utils._TPU_PCI_DEVICE_IDS)
    assert platforms.GOOGLE == hardware_utils._GOOGLE_PCI_VENDOR_ID


def test_with_libtpu_encoding_prints_nothing_extra(user_environment, tmp_path):
    pytest.importorskip("libtpu")
    environment = {k: v for k, v in user_environment.items() if k != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-m", "rdc_jax", "encode", demo.FOLDER / "flower.png", "-o", "x.rdc"],
        env=environment | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1
    assert os.path.getsize(tmp_path / "x.rdc") > 1000
