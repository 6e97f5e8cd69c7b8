"""Folders that `rdc import` and `rdc export` write: what is there is kept, or replaced whole."""

import json
import os
import secrets
import shutil
from pathlib import Path

import pytest

from rdc_jax.cli import output_folder
from rdc_jax.cli.main import main
from rdc_jax.interop import export_folder
from rdc_jax.model_folder import codec_model

ELSEWHERE = Path("/dev/shm")  # on Linux a file system of its own


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
    assert codec_model.load(out).model_id == codec_model.load(smoke_model).model_id

    shutil.copytree(out, out / "fusion")
    assert "fusion is a fusion module of the model" in refused(
        capsys, *command, exported, out, "-f"
    )
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


@pytest.fixture
def older(tmp_path):
    """A folder that an earlier run made."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"sha256": {"a": "", "b": ""}}')
    for name in ("a", "b", "mine"):
        (out / name).write_text(f"old {name}")
    return out


def fill(folder):
    folder.mkdir()
    for name in ("a", "c"):
        (folder / name).write_text(f"new {name}")
    (folder / "manifest.json").write_text('{"sha256": {"a": "", "c": ""}}')


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_error_while_files_move_loses_nothing(older, monkeypatch, moved):
    before, replace, calls = contents(older), os.replace, []

    def replace_some(source, target):
        calls.append(target)
        if len(calls) > moved:
            raise OSError("no such luck")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_some)
        with pytest.raises(OSError, match="luck"), output_folder.made(older) as folder:
            assert folder.parent == older  # what lies beside may be another file system
            fill(folder)
    new = {Path(name): f"new {name}".encode() for name in ("a", "c")[:moved]}
    assert contents(older) == before | new
    with output_folder.made(older) as folder:
        fill(folder)
    assert sorted(map(str, contents(older))) == ["a", "c", "manifest.json", "mine"]
    assert (older / "a").read_text() == "new a" and len(os.listdir(older)) == 4


@pytest.mark.skipif(
    not os.path.ismount(ELSEWHERE) or (ELSEWHERE / "manifest.json").exists(),
    reason="needs a mount point to write in",
)
def test_a_mount_point_is_filled():
    name = f"rdc-test-{secrets.token_hex(8)}"
    try:
        with output_folder.made(ELSEWHERE) as folder:
            (folder / name).mkdir(parents=True)
            (folder / name / "new").write_text("new")
        assert (ELSEWHERE / name / "new").read_text() == "new"
    finally:
        shutil.rmtree(ELSEWHERE / name, ignore_errors=True)


@pytest.mark.parametrize(
    "names", [[1, "mine"], "mine", None, 3, {"\0": "", "\ud800/x": "", "": ""}]
)
def test_a_strange_manifest_deletes_only_itself(older, names):
    (older / "manifest.json").write_text(json.dumps({"sha256": names}))
    before = contents(older)
    with output_folder.made(older) as folder:
        folder.mkdir()
    assert contents(older) == {k: v for k, v in before.items() if str(k) != "manifest.json"}


def test_what_a_manifest_lists_elsewhere_is_kept(older, tmp_path):
    (tmp_path / "far").mkdir()
    for path in (tmp_path / "far" / "x", tmp_path / "y"):
        path.write_text("not ours")
    (older / "link").symlink_to(tmp_path / "far")
    (older / "here").symlink_to(older)
    names = dict.fromkeys(["link/x", "../y", "link/../y", str(tmp_path / "y"), "here/a", "b"], "")
    (older / "manifest.json").write_text(json.dumps({"sha256": names}))
    listed = {path.relative_to(older) for path in export_folder.listed(older)}
    assert listed == {Path("manifest.json"), Path("a"), Path("b")}
    with output_folder.made(older) as folder:
        fill(folder)
    assert (older / "a").read_text() == "new a" and not (older / "b").exists()
    assert (tmp_path / "far" / "x").exists() and (tmp_path / "y").exists()


def test_what_a_killed_command_left_is_no_content(tmp_path):
    (tmp_path / ".rdc-0123.tmp").mkdir()
    output_folder.check(tmp_path, is_older=False, force=False)
