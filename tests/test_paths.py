"""Paths that may lie in a bucket. Whole runs: tests/training/test_remote_training.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from rdc_jax import paths
from rdc_jax.cli import main
from rdc_jax.errors import RdcError


def test_local_paths_are_pathlib_and_import_nothing():
    assert paths.of("runs/a") == Path("runs/a") and isinstance(paths.of("x"), Path)
    code = "import sys; from rdc_jax import paths; paths.of('a'); print('etils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_unknown_scheme_is_one_line():
    with pytest.raises(
        RdcError, match=r"^ftp://host/run: the scheme ftp:// is unknown; write gs://"
    ):
        paths.of("ftp://host/run")


def test_a_missing_client_names_what_to_install(monkeypatch):
    import fsspec

    def refuse(protocol):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "get_filesystem_class", refuse)
    with pytest.raises(RdcError, match=r"^gs://b/x: gs:// needs .* 'rdc_jax\[gcs]'"):
        paths.of("gs://b/x")


def test_errors_of_a_client_are_one_line_and_those_of_a_disk_stay():
    with pytest.raises(RdcError, match=r"^gs://b/x: 403: no$"), paths.errors("gs://b/x"):
        raise RuntimeError("403: no\nand a long page of HTML")
    with pytest.raises(RuntimeError), paths.errors("x"):
        raise RuntimeError("a bug")
    with pytest.raises(FileNotFoundError), paths.errors("gs://b/x"):
        raise FileNotFoundError("x")


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "photo.png", "-o", "gs://bucket/photo.rdc"],
        ["encode", "gs://bucket/photo.png"],
        ["data", "prepare", "photos", "gs://bucket/shards"],
        ["export", "--to", "diffusers", "tiny", "gs://bucket/export"],
    ],
)
def test_arguments_that_must_be_local_are_refused_at_once(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("rdc: error: gs://bucket/") and "must be a local path" in error
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())
