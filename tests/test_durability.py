"""Nothing is half-written, nothing is fetched, nothing outside the named folders is touched."""

import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from rdc_jax.cli import main
from rdc_jax.decoding import decoder
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model"
ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300

WITHOUT_SOCKETS = """
import socket, sys

class Refused(socket.socket):
    def __init__(self, *arguments, **named):
        raise AssertionError("a socket was asked for")

def refuse(*arguments, **named):
    raise AssertionError("the network was asked for")

socket.socket = Refused
socket.create_connection = socket.getaddrinfo = refuse
from rdc_jax.cli import main
sys.exit(main.main(["encode", "--model", sys.argv[1], "photo.png", "--quiet"])
         or main.main(["decode", "--model", sys.argv[1], "photo.rdc", "-o", "out.png", "--quiet"]))
"""

WRITES = """
import sys
from rdc_jax.images import atomic_write
number = 0
print("ready", flush=True)
while True:
    for name in ("a", "b", "c"):
        number += 1
        data = bytes([number % 256]) * 3_000_000
        atomic_write(sys.argv[1] + "/" + name, data, overwrite=True)
"""

LIMITED = """
import resource, signal, sys
from rdc_jax.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(main.main(["decode", "--model", sys.argv[1], sys.argv[2], "-o", "out.png", "--quiet"]))
"""


@pytest.fixture
def environment(user_environment, tmp_path_factory):
    """Of a user's shell, with a cache of compiled networks that all tests here share."""
    cache = tmp_path_factory.getbasetemp() / "durability_cache"
    return user_environment | {"PYTHONPATH": str(ROOT), "RDC_CACHE_DIR": str(cache)}


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[0:48, 0:64]
    pixels = 128 + 90 * np.sin(x[..., None] / [3, 5, 8] + y[..., None] / [6, 4, 9])
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_coding_asks_for_no_network(photo, environment):
    command = [sys.executable, "-c", WITHOUT_SOCKETS, str(MODEL)]
    done = subprocess.run(
        command, cwd=photo.parent, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert names(photo.parent) == ["out.png", "photo.png", "photo.rdc"]


def test_a_writer_that_is_killed_leaves_whole_files(tmp_path, environment):
    """Twelve times, at random moments of a loop that replaces files of three megabytes."""
    generator = random.Random(0)
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(tmp_path)], env=environment, stdout=subprocess.PIPE
        ) as writer:
            try:
                assert writer.stdout.readline()
                time.sleep(generator.uniform(0.0, 0.15))
            finally:
                writer.kill()
        for path in tmp_path.iterdir():
            if path.name in ("a", "b", "c"):
                data = path.read_bytes()
                assert len(data) == 3_000_000 and len(set(data)) == 1
            else:  # what a killed writer cannot take away has a name of its own
                assert path.name.startswith(".rdc-") and path.suffix == ".tmp"


def test_a_folder_run_that_is_killed_leaves_whole_files(photo, environment):
    folder, out = photo.parent / "photos", photo.parent / "out"
    folder.mkdir()
    for number in range(40):
        shutil.copy(photo, folder / f"{number:02}.png")
    command = [sys.executable, "-m", "rdc_jax", "encode", str(folder), "-o", str(out), "--quiet"]
    coder = subprocess.Popen([*command, "--model", str(MODEL)], env=environment)
    try:
        ends = time.monotonic() + PATIENCE
        while not list(out.glob("*.rdc")) and time.monotonic() < ends and coder.poll() is None:
            time.sleep(0.01)
    finally:
        coder.kill()
        coder.wait()
    files = list(out.glob("*.rdc"))
    assert files
    model = codec_model.load(MODEL)
    entropy = EntropyModel.from_arrays(model.entropy)
    for path in files:
        decoder.decode_latent(path.read_bytes(), model, entropy)


def test_a_disk_that_is_full_leaves_nothing(tmp_path, environment):
    """No file may have more than 1000 bytes, the cache of compiled networks included."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(MODEL), str(GOLDEN / "plain.rdc")],
        cwd=tmp_path, env=environment | {"RDC_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().endswith("cannot write 'out.png': File too large")
    assert [name for name in names(tmp_path) if name != "cache"] == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_one_line(photo, capsys):
    arguments = ["encode", "--model", str(MODEL), str(photo), "-o", "/dev/full", "--quiet"]
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert "cannot write '/dev/full': No space left on device" in error and error.count("\n") == 1


@pytest.fixture
def folder(photo):
    """Photos with names that try to leave their folder; beside it a folder to be left alone."""
    folder = photo.parent / "photos"
    folder.mkdir()
    for name in ("..png", "...png", "-o.png", "a b.png", "~.png"):
        shutil.copy(photo, folder / name)
    (photo.parent / "elsewhere").mkdir()
    return folder


def test_names_cannot_leave_the_output_folder(folder, capsys):
    before = names(folder)
    out = folder.parent / "out"
    (folder / "linked.png").symlink_to(folder.parent / "photo.png")
    assert main.main(["encode", "--model", str(MODEL), str(folder), "-o", str(out), "--quiet"]) == 0
    coded = ["-o.rdc", "...rdc", "..rdc", "a b.rdc", "linked.rdc", "~.rdc"]
    assert names(out) == sorted(coded)
    assert not any(path.is_symlink() for path in out.iterdir())
    assert names(folder.parent) == ["elsewhere", "out", "photo.png", "photos"]
    assert names(folder) == sorted([*before, "linked.png"])
    assert names(folder.parent / "elsewhere") == []


@pytest.mark.parametrize("exists", [False, True])
def test_a_link_among_the_outputs_is_not_followed(folder, capsys, exists):
    """As in a folder that was unpacked from an archive of someone else's."""
    victim = folder.parent / "elsewhere" / "file"
    if exists:
        victim.write_text("mine")
    (folder / "a b.rdc").symlink_to(victim)
    assert main.main(["encode", "--model", str(MODEL), str(folder), "-f", "--quiet"]) == 2
    assert "is a link into another folder" in capsys.readouterr().err
    assert victim.read_text() == "mine" if exists else not victim.exists()
    assert not list(folder.glob("*.rdc.tmp")) and (folder / "a b.rdc").is_symlink()


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    return tmp_path / "model"


def relist(folder, **added):
    """Makes the manifest right again, and adds files to it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["sha256"]:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        manifest["sha256"][name] = digest
    manifest["sha256"] |= added
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/hostname", "..", "a/../../secret"])
def test_a_manifest_that_names_files_outside_is_refused(copy, name):
    arrays = {"x": np.zeros(1)}
    safetensors.numpy.save_file(arrays, copy.parent / "secret.safetensors")
    digest = hashlib.sha256((copy.parent / "secret.safetensors").read_bytes()).hexdigest()
    relist(copy, **{name: digest})
    with pytest.raises(RdcError):
        codec_model.load(copy)


class Exploit:
    """What a pickle would do when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("exploited",)


@pytest.mark.parametrize("name", ["unet.pkl", "unet.npz", "unet.safetensors"])
def test_only_safetensors_are_loaded(copy, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (copy / "unet.safetensors").unlink()
    if name.endswith("npz"):
        np.savez(copy / name, x=np.array([Exploit()], object))
    else:
        (copy / name).write_bytes(pickle.dumps(Exploit()))
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["sha256"]["unet.safetensors"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    relist(copy, **{name: hashlib.sha256((copy / name).read_bytes()).hexdigest()})
    with pytest.raises(RdcError, match=f"{name} is damaged"):
        codec_model.load(copy)
    assert not (tmp_path / "exploited").exists()


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_arrays_are_loaded_strictly(copy, change):
    from rdc_jax.codec import codec

    path = copy / "autoencoder.safetensors"
    arrays = safetensors.numpy.load_file(path)
    key = sorted(arrays)[0]
    if change == "missing":
        del arrays[key]
    elif change == "extra":
        arrays[key + "2"] = arrays[key]
    else:
        arrays[key] = arrays[key][:-1]
    safetensors.numpy.save_file(arrays, path)
    relist(copy)
    with pytest.raises(RdcError, match="weights do not fit their config: autoencoder/"):
        codec.load(copy)


def test_a_file_of_another_model_says_which_it_needs(tmp_path, capsys):
    arguments = ["decode", str(GOLDEN / "zero_context.rdc"), "-o", str(tmp_path / "out.png")]
    assert main.main([*arguments, "--model", str(MODEL)]) == 2
    needed = codec_model.load(GOLDEN / "before_continued_context").model_id.hex()
    error = capsys.readouterr().err
    assert f"the file needs model {needed}, but {MODEL}" in error and "--model" in error
    assert names(tmp_path) == []
