"""`rdc decode`: image formats, steps, and damaged files."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from rdc_jax import images
from rdc_jax.bitstream import container
from rdc_jax.cli.main import main
from rdc_jax.images import formats
from tests.cli.runs import fails, opened, picture

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("L", True), ("1", True), ("LA", True), ("P", False), ("RGBA", False), ("CMYK", False)],
)
def test_every_kind_of_image(models, tmp_path, rng, capsys, mode, grey):
    name = "in.tif" if mode == "CMYK" else "in.png"
    source = picture(tmp_path / name, rng, 37, 21, mode)
    coded, output = tmp_path / "x.rdc", tmp_path / "out.png"
    model = ["--model", str(models / "first"), "--json"]
    assert main(["encode", str(source), "-o", str(coded), *model]) == 0
    assert json.loads(capsys.readouterr().out)["grey"] == grey
    assert main(["decode", str(coded), "-o", str(output), *model]) == 0
    decoded = opened(output)
    assert (decoded.size, decoded.mode) == ((37, 21), "L" if grey else "RGB")


def test_several_steps_and_a_clock(models, coded, tmp_path):
    """Steps given on the command line win over the file's; both clocks run."""
    common = [str(coded), "--model", str(models / "first"), "--quiet", "--steps", "3", "-o"]
    assert main(["decode", *common, str(tmp_path / "a.webp")]) == 0
    assert main(["decode", *common, str(tmp_path / "b.png"), "--clock", "clamped"]) == 0
    assert opened(tmp_path / "a.webp").size == opened(tmp_path / "b.png").size


def test_every_listed_format_is_written(tmp_path):
    """What a folder is searched for is also what decode writes, less animations and other names."""
    assert set(formats.IMAGE_EXTENSIONS) - set(formats.WRITABLE) == {".gif", ".jfif", ".jpe"}
    for extension, how in formats.FORMATS.items():
        if how.plugin and importlib.util.find_spec(how.plugin[0]) is None:
            continue
        images.write_image(tmp_path / f"x{extension}", np.zeros((2, 3, 3), np.uint8))
        assert images.read_image(tmp_path / f"x{extension}").pixels.shape == (2, 3, 3)


def flip_middle_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGE = {
    "corrupt": (flip_middle_bit, "damaged"),
    "truncated": (lambda data: data[:-5], "truncated"),
    "short": (lambda data: data[:20], "truncated"),
    "empty": (lambda data: b"", "truncated"),
    "foreign": (lambda data: b"PK" + data, "not an rdc file"),
    "newer": (lambda data: data[:4] + b"\x07" + data[5:], "format version 7"),
    "joined": (lambda data: data + data, "follow the last section"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("command", ["decode", "info"])
def test_a_file_that_is_no_good(models, coded, tmp_path, capsys, command, kind):
    damage, words = DAMAGE[kind]
    path = tmp_path / "bad.rdc"
    path.write_bytes(damage(coded.read_bytes()))
    model = ["--model", models / "first"] if command == "decode" else []
    error = fails(capsys, tmp_path, command, path, *model)
    assert words in error and str(path) in error


def test_payload_that_does_not_decode(models, coded, tmp_path, capsys):
    """A file whose checksums hold and whose contents do not."""
    header, sections = container.unpack(coded.read_bytes())
    noise = [(s.type, s.payload[: len(s.payload) // 2]) for s in sections]
    path = tmp_path / "bad.rdc"
    path.write_bytes(container.pack(header, noise))
    assert "damaged" in fails(capsys, tmp_path, "decode", path, "--model", models / "first")


def test_too_many_pixels(models, coded, tmp_path, capsys):
    limit = ["--max-pixels", "5000"]
    model = ["--model", models / "first"]
    assert "--max-pixels" in fails(capsys, tmp_path, "decode", coded, *limit, *model, "-f")
    assert "--max-pixels" in fails(capsys, tmp_path, "info", coded, *limit)
