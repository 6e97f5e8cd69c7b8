"""Folders that `rdc import` and `rdc export` write: what is there is kept, or replaced whole."""

import shutil

import pytest

from rdc_jax import model_folder
from rdc_jax.cli import main
from rdc_jax.commands import output_folder


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(capsys, *arguments):
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def exported(smoke_model, tmp_path):
    assert main(["export", "--to", "diffusers", str(smoke_model), str(tmp_path / "export")]) == 0
    return tmp_path / "export"


@pytest.mark.parametrize("force", [[], ["-f"]])
@pytest.mark.parametrize(
    "command", [["import", "--from", "diffusers"], ["export", "--to", "diffusers"]]
)
def test_strange_files_are_never_written_over(
    command, force, exported, smoke_model, tmp_path, capsys
):
    source = exported if command[0] == "import" else smoke_model
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.json").write_text("mine")
    assert "not empty; name a new folder" in refused(capsys, *command, source, mine, *force)
    assert (mine / "config.json").read_text() == "mine" and len(contents(mine)) == 1
    before = contents(exported)
    if command[0] == "import":  # an export has a manifest, too
        assert "name a new folder" in refused(capsys, *command, source, exported, *force)
        assert contents(exported) == before


def test_a_model_is_replaced_by_force_and_whole(exported, smoke_model, tmp_path, capsys):
    command, out = ["import", "--from", "diffusers"], tmp_path / "model"
    assert main([*command, str(exported), str(out)]) == 0
    (out / "notes.txt").write_text("mine")
    before = contents(out)
    assert "not empty; -f replaces it" in refused(capsys, *command, exported, out)

    damaged = shutil.copytree(exported, tmp_path / "damaged")
    (damaged / "entropy" / "hyperprior.safetensors").unlink()
    refused(capsys, *command, damaged, out, "-f")
    assert contents(out) == before

    (out / "config.json").write_text("damaged")
    assert main([*command, str(exported), str(out), "-f"]) == 0
    assert contents(out) == before
    assert model_folder.load(out).model_id == model_folder.load(smoke_model).model_id

    shutil.copytree(out, out / "fusion")
    assert "fusion is a module of the model" in refused(capsys, *command, exported, out, "-f")
    assert not list(tmp_path.glob(".rdc-*"))


def test_after_an_error_a_folder_is_as_it_was(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text('{"sha256": {"old": "", "../kept": ""}}')
    (tmp_path / "out" / "old").write_text("old")
    (tmp_path / "kept").write_text("kept")
    before = contents(tmp_path)
    with pytest.raises(ZeroDivisionError), output_folder.made(tmp_path / "out") as folder:
        folder.mkdir()
        (folder / "new").write_text("new")
        raise ZeroDivisionError
    assert contents(tmp_path) == before
    with output_folder.made(tmp_path / "out") as folder:
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "new").write_text("new")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*")) if p.is_file()] == [
        "kept", "out/below/new",
    ]  # fmt: skip
