"""Which files of a folder are taken, and what their outputs are called."""

from __future__ import annotations

import os
import shutil
import stat

import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.images import atomic_write
from tests.cli.runs import fails, picture, tree

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.fixture
def encode(models):
    return lambda *arguments: main(
        ["encode", *map(str, arguments), "--model", str(models / "first")]
    )


def test_an_output_that_ends_in_a_slash_is_a_folder(encode, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert encode(photo, "-o", "new/") == 0
    assert (tmp_path / "new" / "photo.rdc").is_file()
    assert encode(photo, "-o", "new/", "-f") == 0
    capsys.readouterr()
    other = picture_copy(photo, "other.png")
    error = fails(capsys, tmp_path, "encode", photo, other, "-o", "out.rdc")
    assert "name of a file" in error and "'out.rdc/'" in error
    assert "does not exist" in fails(capsys, tmp_path, "encode", photo, "-o", "a/b/")


def picture_copy(photo, name):
    path = photo.with_name(name)
    path.write_bytes(photo.read_bytes())
    return path


def test_inputs_named_twice_and_pairs_of_one_stem(encode, photo, tmp_path, capsys):
    out = tmp_path / "out"
    assert encode(photo, photo, tmp_path / "." / "photo.png", "-o", out) == 0
    assert list(tree(out)) == [str(out / "photo.rdc")]
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    Image.open(photo).save(folder / "a.jpg")
    Image.open(photo).save(folder / "c.jfif", "JPEG")
    (folder / "._a.png").write_bytes(b"attributes of macOS")
    Image.open(photo).save(folder / "d.tga")
    assert encode(folder, "-o", out) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["a.jpg.rdc", "a.png.rdc", "b.rdc", "c.rdc", "photo.rdc"]
    error = capsys.readouterr().err
    assert "other images, which are ignored: d.tga" in error and "._a" not in error


def test_folders_in_folders(encode, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for place in ("in", "in/b", "in/b/c", "in/.hidden"):
        os.makedirs(place, exist_ok=True)
        shutil.copy(photo, f"{place}/p.png")
    assert encode("in", "-o", "out") == 0
    shutil.copy(photo, "in/photo.txt")
    assert sorted(tree(tmp_path / "out")) == [str(tmp_path / "out" / "p.rdc")]
    assert "1 folder, which is ignored; --recursive" in capsys.readouterr().err
    assert encode("in", "-o", "out", "--recursive", "--resume") == 0
    assert "exists already" in capsys.readouterr().out
    names = ["b/c/p.rdc", "b/p.rdc", "p.rdc"]
    assert sorted(tree(tmp_path / "out")) == [str(tmp_path / "out" / name) for name in names]
    assert encode("in", "-r") == 0  # beside the inputs
    assert encode("in", "-r", "-o", "in/out") == 0 and encode("in", "-r", "-f", "-o", "in/out") == 0
    assert not (tmp_path / "in" / "out" / "out").exists()


def test_folders_in_folders_are_not_left_through_links(photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.makedirs("in/b")
    shutil.copy(photo, "in/b/p.png")
    os.makedirs("elsewhere")
    os.makedirs("out")
    os.symlink(tmp_path / "elsewhere", "out/b")
    error = fails(capsys, tmp_path, "encode", "in", "-r", "-o", "out")
    assert "a link into another folder" in error


def test_names_keep_their_spaces(tmp_path, capsys):
    error = fails(capsys, tmp_path, "encode", tmp_path / "two  spaces.png")
    assert "two  spaces.png" in error
    assert "a b" in fails(capsys, tmp_path, "encode", tmp_path / "a\nb.png")


def test_an_output_without_an_ending(capsys, tmp_path):
    error = fails(capsys, tmp_path, "decode", "a.rdc", "-o", "x")
    assert "no ending" in error and "'x/'" in error
    error = fails(capsys, tmp_path, "decode", "a.rdc", "-o", "missing/folder")
    assert "folder of the output 'missing/folder' does not exist" in error


def test_several_files_are_described(coded, tmp_path, capsys):
    assert main(["info", str(coded), str(coded), "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    assert main(["info", str(coded), str(tmp_path / "missing.rdc")]) == 2
    output, error = capsys.readouterr()
    assert "importance map" in output and error.count("\n") == 1


def test_a_replaced_file_keeps_its_mode(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"old")
    secret.chmod(0o600)
    atomic_write(secret, b"new", overwrite=True)
    assert secret.read_bytes() == b"new" and stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_folder_that_may_not_be_entered(photo, tmp_path, capsys):
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "photo.png").write_bytes(photo.read_bytes())
    closed.chmod(0o400)
    try:
        for command in ("encode", "roi", "info"):
            assert main([command, str(closed / "photo.png")]) == 2
            assert capsys.readouterr().err.count("\n") == 1
    finally:
        closed.chmod(0o700)


def test_the_model_of_a_training_run(models, photo, tmp_path, rng):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(models / "first")
    image = picture(tmp_path / "small.png", rng, 40, 40)
    assert main(["encode", str(image), "--model", str(run)]) == 0
