"""Folders that several processes share, and runs that go on."""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli import job_sharing
from rdc_jax.cli.commands import decode as decoding
from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError

ALONE = Namespace(process_index=None, process_count=None)
SLURM = {"SLURM_PROCID": "2", "SLURM_NTASKS": "5"}


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((None, None), {}, (0, 1)),
        ((1, 3), {"RDC_PROCESS_INDEX": "0", "RDC_PROCESS_COUNT": "9"}, (1, 3)),
        ((None, None), {"RDC_PROCESS_INDEX": "0", "RDC_PROCESS_COUNT": "9"}, (0, 9)),
        ((None, None), {"RDC_PROCESS_ID": "3", "RDC_NUM_PROCESSES": "4"}, (3, 4)),
        ((None, None), SLURM, (0, 1)),
        ((None, None), SLURM | {"RDC_DISTRIBUTED": "auto"}, (2, 5)),
        ((0, 1), {"RDC_DISTRIBUTED": "auto"}, (0, 1)),
    ],
)
def test_which_process_this_is(arguments, environment, expected):
    args = Namespace(process_index=arguments[0], process_count=arguments[1])
    assert job_sharing.place(args, environment) == expected


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ((1, None), {}, "give both --process-index and --process-count"),
        ((3, 3), {}, "must be 0 to"),
        ((0, 0), {}, "must be 0 to"),
        ((None, None), {"RDC_PROCESS_INDEX": "1"}, "RDC_PROCESS_COUNT"),
        ((None, None), {"RDC_PROCESS_ID": "a", "RDC_NUM_PROCESSES": "2"}, "whole numbers"),
        ((None, None), {"RDC_DISTRIBUTED": "auto"}, "shares files only inside a SLURM job"),
    ],
)
def test_half_a_setting_is_refused(arguments, environment, words):
    args = Namespace(process_index=arguments[0], process_count=arguments[1])
    with pytest.raises(RdcError, match=words):
        job_sharing.place(args, environment)


@pytest.fixture
def folder(tmp_path, rng, monkeypatch) -> Path:
    """The working folder, with five pictures in `in`."""
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abcde":
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(f"in/{name}.png")
    return tmp_path


def names(path):
    return sorted(p.name for p in Path(path).iterdir())


def test_every_file_is_made_by_one_process(folder, smoke_model, capsys, monkeypatch):
    model = ["--model", str(smoke_model), "--json"]
    made = []
    for index in range(3):
        share = ["--process-index", str(index), "--process-count", "3"]
        assert main(["encode", "in", "-o", "out", *share, *model]) == 0
        made.append([json.loads(line)["output"] for line in capsys.readouterr().out.splitlines()])
    assert made == [["out/a.rdc", "out/d.rdc"], ["out/b.rdc", "out/e.rdc"], ["out/c.rdc"]]
    monkeypatch.setenv("RDC_PROCESS_ID", "1")
    monkeypatch.setenv("RDC_NUM_PROCESSES", "9")
    assert main(["decode", "out", "-o", "pictures", *model]) == 0
    assert names("pictures") == ["b.png"]
    assert main(["encode", "in/a.png", "-o", "alone.rdc", *model]) == 0
    assert Path("alone.rdc").exists()  # one file is nothing to share


def test_a_run_that_ended_goes_on(folder, smoke_model, capsys):
    model = ["--model", str(smoke_model), "--json"]
    Path("out").mkdir()
    assert main(["encode", "in/a.png", "-o", "out/a.rdc", "-q", "9", *model]) == 0
    shutil.copy("out/a.rdc", "out/c.rdc")
    kept = Path("out/a.rdc").read_bytes()
    capsys.readouterr()
    assert main(["encode", "in", "-o", "out", *model]) == 2
    assert "or --resume" in capsys.readouterr().err
    assert main(["encode", "in", "-o", "out", "--resume", *model]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(r["input"]).stem for r in reports if r.get("skipped")] == ["a", "c"]
    assert names("out") == [f"{name}.rdc" for name in "abcde"]
    assert Path("out/a.rdc").read_bytes() == kept

    Path("out/a.rdc").write_bytes(kept[:-3])
    Path("out/e.rdc").unlink()
    assert main(["encode", "in", "-o", "out", "--resume", *model]) == 2
    assert "out/a.rdc' exists but is damaged" in capsys.readouterr().err
    assert Path("out/e.rdc").exists()  # the others are made
    assert main(["encode", "in", "-o", "out", "--resume", "-f", "-q", "9", *model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["skipped" in json.loads(line) for line in lines] == [False, True, True, True, True]
    assert Path("out/a.rdc").read_bytes() == kept

    assert main(["decode", "out", "-o", "pictures", *model]) == 0
    Path("pictures/b.png").unlink()
    capsys.readouterr()
    assert main(["decode", "out", "-o", "pictures", "--resume", "--model", str(smoke_model)]) == 0
    text = capsys.readouterr().out
    assert text.count("exists already") == 4 and "pictures/b.png: 32 x 24" in text


def test_outputs_are_looked_at_one_by_one_under_the_limit(folder, smoke_model, capsys, monkeypatch):
    """Each just before its own work, and with --max-pixels larger than Pillow would open."""
    model = ["--model", str(smoke_model)]
    assert main(["encode", "in", "-o", "out", *model]) == 0
    assert main(["decode", "out", "-o", "pictures", *model]) == 0
    Path("pictures/d.png").unlink()
    happened = []
    check, decode = job_sharing.check_complete, decoding.decode_file
    monkeypatch.setattr(
        job_sharing, "check_complete", lambda p, n: (happened.append(Path(p).stem), check(p, n))
    )
    monkeypatch.setattr(
        decoding, "decode_file", lambda job, *a: (happened.append("made"), decode(job, *a))[1]
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    again = ["decode", "out", "-o", "pictures", "--resume", "--quiet", *model]
    assert main([*again, "--max-pixels", str(2**30)]) == 0
    assert happened == ["a", "b", "c", "made", "e"] and Image.MAX_IMAGE_PIXELS == 300
    capsys.readouterr()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert main([*again, "--max-pixels", "700"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and all("32 x 24 pixels, more than the limit of 700" in x for x in lines)
    assert names("pictures") == [f"{name}.png" for name in "abcde"]


def test_links_are_read_and_never_written_through(folder, smoke_model, capsys):
    model = ["--model", str(smoke_model), "--quiet"]
    shutil.copy("in/a.png", "outside.png")
    Path("in/linked.png").symlink_to(folder / "outside.png")
    assert main(["encode", "in", "-o", "out", *model]) == 0
    assert "linked.rdc" in names("out")
    for target in (folder / "victim.rdc", folder / "not-there.rdc"):
        Path("out/a.rdc").unlink()
        Path("out/a.rdc").symlink_to(target)
        (folder / "victim.rdc").write_text("mine")
        assert main(["encode", "in", "-o", "out", "-f", *model]) == 2
        assert "is a link into another folder" in capsys.readouterr().err
        assert (folder / "victim.rdc").read_text() == "mine"
    assert not (folder / "not-there.rdc").exists()


def test_the_others_are_made_when_one_fails(folder, smoke_model, capsys):
    Path("in/b.png").write_text("not a picture")
    share = ["--process-index", "1", "--process-count", "2", "--model", str(smoke_model)]
    assert main(["encode", "in", "-o", "out", *share]) == 2
    assert names("out") == ["d.rdc"]
    assert "in/b.png' is not an image" in capsys.readouterr().err
