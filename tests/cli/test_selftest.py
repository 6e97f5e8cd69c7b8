"""`rdc selftest`: a subset of its settings agrees here, and a difference is found and reported."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rdc_jax.bitstream import container
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.cli import main
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.selftest import matrix, worker
from rdc_jax.selftest.corpus import corpus
from rdc_jax.selftest.settings import settings

SUBSET = ("without JAX", "oldest BLAS kernels", "oldest NumPy kernels")


@pytest.fixture(autouse=True)
def as_a_user(monkeypatch, user_environment):
    """The processes of the settings start as in a user's shell."""
    for name in ("JAX_NUMPY_DTYPE_PROMOTION", "JAX_NUMPY_RANK_PROMOTION"):
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The golden miniature model with a reference that was made for it here."""
    folder = tmp_path_factory.mktemp("models") / "mini"
    shutil.copytree(Path(__file__).parents[1] / "golden" / "model", folder)
    files, names = {}, ("plain", "region", "tails")
    for name in names:
        path = Path(__file__).parents[1] / "golden" / f"{name}.rdc"
        digests = worker.decoded_here(codec_model.load(folder), {name: path})[name]
        data = base64.b64encode(path.read_bytes()).decode()
        files[name] = {"file": data, "digests": digests}
    stored = {"model_id": codec_model.load(folder).model_id.hex(), "files": files}
    (folder / matrix.REFERENCE).write_text(json.dumps(stored))
    return folder


def test_the_reference_of_the_shipped_model_decodes_here(tmp_path):
    folder = codec_model.find(None)
    model = codec_model.load(folder)
    reference = matrix.read_reference(folder, model.model_id.hex())
    assert reference, "make it with rdc_jax.selftest.matrix.write_reference()"
    tiled = base64.b64decode(reference["tiles"]["file"])
    assert SectionType.TILES in {section.type for section in container.unpack(tiled)[1]}
    for name, entry in reference.items():
        path = tmp_path / name
        path.write_bytes(base64.b64decode(entry["file"]))
        assert worker.decoded_here(model, {name: path})[name] == entry["digests"]


def test_settings_agree(copy):
    report = matrix.run(copy, only=SUBSET)
    assert report["ok"] and report["reference_files"] == 3
    assert [row["setting"] for row in report["rows"]] == ["fresh process", *sorted_as_given()]
    for row in report["rows"][1:]:
        assert row["decoded"] == 3 + len(matrix.QUICK_IMAGES) and row["difference"] is None
    assert report["rows"][0]["encoding"] == "3 of 3 files the same"


def sorted_as_given():
    return [setting.name for setting in settings() if setting.name in SUBSET]


def test_a_difference_is_named_and_the_exit_code_is_2(copy, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "other"
    shutil.copytree(copy, folder)
    stored = json.loads((folder / matrix.REFERENCE).read_text())
    stored["files"]["region"]["digests"]["symbols"] = "0" * 64
    (folder / matrix.REFERENCE).write_text(json.dumps(stored))
    monkeypatch.setattr(matrix, "settings", lambda: settings()[:1])
    assert main.main(["selftest", "--model", str(folder), "-j"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["rows"][0]["difference"].startswith("reference region: symbols ")


def test_kernels_are_really_switched_off(user_environment):
    setting = next(s for s in settings() if s.name == "oldest NumPy kernels")
    code = (
        "import numpy; f = numpy._core._multiarray_umath.__cpu_features__;"
        "print([name for name in numpy._core._multiarray_umath.__cpu_dispatch__ if f[name]])"
    )
    environment = user_environment | setting.environment
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_a_reference_of_other_weights_is_not_used(copy):
    assert matrix.read_reference(copy, "00" * 8) == {}
    damaged = copy.parent / "damaged"
    damaged.mkdir()
    (damaged / matrix.REFERENCE).write_text("{")
    with pytest.raises(RdcError, match=r"selftest\.json is damaged"):
        matrix.read_reference(damaged, "00" * 8)


def test_a_setting_that_cannot_start_is_a_difference(copy, monkeypatch):
    broken = settings()[0]._replace(name="broken", environment={"JAX_PLATFORMS": "nothing"})
    monkeypatch.setattr(matrix, "settings", lambda: [settings()[0], broken])
    report = matrix.run(copy, only=["broken"])
    assert not report["ok"] and "failed" in report["rows"][1]["difference"]


def test_the_images_have_what_they_are_for():
    pictures = corpus()
    assert set(matrix.QUICK_IMAGES) <= set(pictures)
    assert pictures["pixel"][0].shape == (1, 1, 3) and pictures["grey"][0].ndim == 2
    assert "importance" in pictures["region"][1]
    strip, options = pictures["tiles"]
    assert strip.shape[1] > options["tile"] and options["importance"].any()
