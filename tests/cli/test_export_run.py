"""`rdc export --from WORKDIR`: arguments, and the folder that it writes."""

import pytest

from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from tests.cli.runs import fails


@pytest.fixture
def exported(monkeypatch):
    """The calls of the export, which writes one file."""
    calls = []

    def export(workdir, folder, step):
        calls.append((workdir, step))
        if workdir == "broken":
            raise RdcError("no checkpoints in broken yet")
        folder.mkdir()
        (folder / "manifest.json").write_text("{}")
        return 40 if step is None else step

    monkeypatch.setattr("rdc_jax.training.export_run.export_run", export)
    return calls


def test_it_writes_a_new_folder_and_replaces_only_its_own(tmp_path, exported, capsys):
    out = tmp_path / "model"
    assert main(["export", "--from", "runs/a", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: the averaged weights after 40 steps\n"
    assert main(["export", "--from", "runs/a", str(out), "--step", "7", "-f", "-j"]) == 0
    assert '"step": 7' in capsys.readouterr().out
    assert exported == [("runs/a", None), ("runs/a", 7)]
    assert [path.name for path in out.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "runs/a", "MODEL", "OUT"], "--from WORKDIR takes OUT and --step"),
        (["--from", "runs/a", "--without-weights", "OUT"], "--from WORKDIR takes OUT and --step"),
        (["--to", "onnx", "OUT"], "--to takes MODEL and OUT"),
        (["--to", "onnx", "MODEL", "OUT", "--step", "3"], "--step goes with --from"),
        (["--to", "onnx", "--from", "runs/a", "OUT"], "not allowed with argument"),
        (["OUT"], "one of the arguments --to --from is required"),
        (["--from", "runs/a", "OUT", "--step", "-1"], "-1 is not in the range 0 or more"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, capsys, exported, arguments, message):
    assert message in fails(capsys, tmp_path, "export", *arguments)
    assert not exported


def test_after_an_error_nothing_is_there(tmp_path, capsys, exported):
    out = tmp_path / "model"
    assert "no checkpoints in broken yet" in fails(
        capsys, tmp_path, "export", "--from", "broken", str(out)
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_kept(tmp_path, capsys, exported):
    (tmp_path / "mine.txt").write_text("")
    assert "is not empty; name a new folder" in fails(
        capsys, tmp_path, "export", "--from", "runs/a", str(tmp_path), "-f"
    )
