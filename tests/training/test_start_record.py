"""starts.json: which command and versions made the steps of a run."""

import json
import platform
import sys

import jax
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.training import start_record
from rdc_jax.training.cluster import partitioning


def starts(workdir):
    return json.loads((workdir / "starts.json").read_text())["starts"]


def test_every_start_adds_an_entry(tmp_path, monkeypatch):
    mesh = partitioning.make_mesh()
    for step, workdir in ((0, "runs/my run"), (40, "x")):
        monkeypatch.setattr(sys, "argv", ["rdc", "train", f"workdir={workdir}"])
        start_record.append(str(tmp_path), step, mesh)
    first, second = starts(tmp_path)
    assert (first["step"], second["step"]) == (0, 40)
    assert first["command"] == "rdc train 'workdir=runs/my run'"
    assert first["versions"]["jax"] == jax.__version__
    assert first["versions"]["python"] == platform.python_version()
    assert first["mesh"]["data"] == 8 and first["processes"] == 1
    assert first["device"] == jax.devices()[0].device_kind
    assert first["time"].endswith("+00:00")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"starts": 3}'])
def test_a_damaged_file_is_begun_anew(tmp_path, text):
    (tmp_path / "starts.json").write_text(text)
    start_record.append(str(tmp_path), 5, partitioning.make_mesh())
    assert [entry["step"] for entry in starts(tmp_path)] == [5]


def test_packages_that_are_missing_are_left_out(monkeypatch):
    monkeypatch.setattr(start_record, "PACKAGES", ("numpy", "no-such-package"))
    assert set(start_record.versions()) == {"python", "numpy"}


def test_a_workdir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RdcError, match=r"cannot write .*file/starts\.json: ") as error:
        start_record.append(str(tmp_path / "file"), 0, partitioning.make_mesh())
    assert "\n" not in str(error.value)
