"""The `rdc` command: through processes of their own where that is the point, else through main."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from configs import tiny
from rdc_jax import images
from rdc_jax.bitstream import container
from rdc_jax.cli.commands import train as train_command
from rdc_jax.cli.flags.shared import size_in_bytes
from rdc_jax.cli.main import main
from rdc_jax.codec import compilation_cache
from rdc_jax.codec.codec import DEFAULT_ROI_GAIN, Codec
from rdc_jax.errors import RdcError
from rdc_jax.images import formats
from rdc_jax.model_folder import codec_model
from rdc_jax.models.networks import Networks

ROOT = Path(__file__).resolve().parents[2]
LATENT_SIDES = [1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100, 129, 255, 320, 321, 333, 512, 641]


def save_random_model(folder: Path, seed: int) -> Path:
    """A model folder with the networks of `configs/tiny.py:smoke` and random weights."""
    config = tiny.get_config("smoke").model.to_dict()
    networks = Networks.from_config(config)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), networks.hyperprior.latent_unit
    )
    codec_model.save(folder, folder.name, config, params, entropy)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of two models, `first` and `second`."""
    folder = tmp_path_factory.mktemp("models")
    save_random_model(folder / "first", seed=0)
    save_random_model(folder / "second", seed=1)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """The compilation cache of all processes of this file."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_cache_in_this_process(monkeypatch):
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)


@pytest.fixture
def photo(tmp_path, rng) -> Path:
    """A smooth RGB picture of 83 x 61 pixels."""
    return picture(tmp_path / "photo.png", rng, 83, 61)


@pytest.fixture
def coded(models, photo, capsys) -> Path:
    """`photo` as an .rdc file with a map, of the model `first`."""
    path = photo.with_suffix(".rdc")
    box = ["--roi-box", "16,16,32,32"]
    assert main(["encode", str(photo), "--model", str(models / "first"), *box]) == 0
    capsys.readouterr()
    return path


def picture(path: Path, rng, width: int, height: int, mode: str = "RGB") -> Path:
    blocks = rng.integers(0, 256, (1 + height // 16, 1 + width // 16, 3), np.uint8)
    smooth = Image.fromarray(blocks).resize((width, height), Image.Resampling.BILINEAR)
    smooth.convert(mode).save(path)
    return path


def rdc(environment, cache, *arguments, **options) -> subprocess.CompletedProcess:
    """`rdc` in a process of its own, as a user's shell runs it."""
    return subprocess.run(
        [sys.executable, "-m", "rdc_jax", *map(str, arguments)],
        cwd=ROOT,
        env=environment | {"RDC_CACHE_DIR": str(cache)},
        capture_output=True,
        timeout=options.pop("timeout", 100),
        check=False,
        **options,
    )


def opened(path_or_file) -> Image.Image:
    """A whole picture, its file closed again."""
    with Image.open(path_or_file) as image:
        image.load()
        return image


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fails(capsys, folder: Path, *arguments) -> str:
    """The one line of a command that must fail and leave `folder` as it is."""
    before = tree(folder)
    assert main([str(a) for a in arguments]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("rdc: error: ")
    assert error.count("\n") == 1
    assert tree(folder) == before
    return error


# Processes of their own


def test_round_trip_in_two_processes(models, photo, cache, user_environment):
    model = models / "first"
    box = ["--roi-box", "10,10,30,30", "--roi-box", "60,5,9,9", "--roi-gain", "200"]
    encoded = rdc(user_environment, cache, "encode", photo, "--model", model, "--json", *box)
    assert encoded.returncode == 0, encoded.stderr
    assert encoded.stderr == b""
    report = json.loads(encoded.stdout)
    path = photo.with_suffix(".rdc")
    assert report["output"] == str(path)
    assert report["bytes"] == path.stat().st_size
    assert report["bpp"] == pytest.approx(8 * report["bytes"] / (83 * 61))
    assert report["timesteps"][0] - report["timesteps"][1] == 200
    assert sum(report["section_bytes"].values()) < report["bytes"]

    output = photo.with_name("decoded.png")
    decoded = rdc(
        user_environment, cache, "decode", path, "-o", output, "--model", model, "-j",
        "--symbol-hash",
    )  # fmt: skip
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stderr == b""
    assert json.loads(decoded.stdout)["symbol_hash"] == report["symbol_hash"]
    here = Codec(codec_model.load(model)).decode(path.read_bytes())
    difference = np.abs(np.asarray(opened(output)).astype(int) - here)
    assert difference.max() <= 1  # floats of another number of devices round differently


def test_standard_input_to_standard_output(models, photo, cache, user_environment):
    model = ["--model", models / "first"]
    data = photo.read_bytes()
    encoded = rdc(user_environment, cache, "encode", "-", "-q", "80", *model, input=data)
    assert encoded.returncode == 0, encoded.stderr
    assert encoded.stdout.startswith(container.SIGNATURE)
    assert b"standard" not in encoded.stdout and b"83 x 61 pixels" in encoded.stderr
    decoded = rdc(
        user_environment, cache, "decompress", "-", "--quiet", *model, input=encoded.stdout
    )
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stderr == b""
    assert opened(io.BytesIO(decoded.stdout)).size == (83, 61)


WITHOUT_JAX = """
import sys
from rdc_jax.cli.main import main
code = main(sys.argv[1:])
print(",".join(sorted({"jax", "flax", "scipy", "orbax"} & set(sys.modules))), file=sys.stderr)
sys.exit(code)
"""


def test_info_starts_without_jax(coded, user_environment):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, "info", coded],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    assert "importance map: 6 x 4 cells of 16 pixels" in done.stdout


def test_a_reader_that_leaves_is_no_error(coded, user_environment):
    command = [sys.executable, "-m", "rdc_jax", "info", coded]
    with subprocess.Popen(
        command, cwd=ROOT, env=user_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# Pictures


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("L", True), ("1", True), ("LA", True), ("P", False), ("RGBA", False), ("CMYK", False)],
)
def test_every_kind_of_picture(models, tmp_path, rng, capsys, mode, grey):
    name = "in.tif" if mode == "CMYK" else "in.png"
    source = picture(tmp_path / name, rng, 37, 21, mode)
    coded, output = tmp_path / "x.rdc", tmp_path / "out.png"
    model = ["--model", str(models / "first"), "--json"]
    assert main(["encode", str(source), "-o", str(coded), *model]) == 0
    assert json.loads(capsys.readouterr().out)["grey"] == grey
    assert main(["decode", str(coded), "-o", str(output), *model]) == 0
    decoded = opened(output)
    assert (decoded.size, decoded.mode) == ((37, 21), "L" if grey else "RGB")


def test_folders(models, tmp_path, rng, capsys):
    source, coded, decoded = (tmp_path / name for name in ("in", "coded", "decoded"))
    source.mkdir()
    for name, mode in (("a.png", "RGB"), ("b.bmp", "L"), ("c.tif", "RGB")):
        picture(source / name, rng, 40, 24, mode)
    (source / "notes.txt").write_text("not a picture")
    (source / "d.png").write_text("not a picture either")
    model = ["--model", str(models / "first"), "--json"]

    assert main(["compress", str(source), "-o", str(coded), *model]) == 2
    output, error = capsys.readouterr()
    reports = [json.loads(line) for line in output.splitlines()]
    assert [Path(r["input"]).name for r in reports] == ["a.png", "b.bmp", "c.tif", "d.png"]
    assert "error" in reports[3] and "error" not in reports[2]
    assert error == f"rdc: error: '{source}/d.png' is not an image in a known format\n"
    assert sorted(p.name for p in coded.iterdir()) == ["a.rdc", "b.rdc", "c.rdc"]

    assert main(["decode", str(coded), "-o", str(decoded), *model]) == 0
    capsys.readouterr()
    modes = {p.name: opened(p).mode for p in decoded.iterdir()}
    assert modes == {"a.png": "RGB", "b.png": "L", "c.png": "RGB"}

    again = fails(capsys, tmp_path, "decode", coded, "-o", decoded, *model)
    assert "a.png' exists; give -f" in again
    assert main(["decode", str(coded / "a.rdc"), "-o", str(decoded), "-f", *model]) == 0


def test_mask_joins_boxes(models, photo, capsys):
    mask = np.zeros((61, 83), np.uint8)
    mask[:16, :16] = 255
    Image.fromarray(mask).save(photo.with_name("mask.png"))
    arguments = ["--roi", str(photo.with_name("mask.png")), "--roi-box", "64,32,16,16"]
    assert main(["encode", str(photo), "--model", str(models / "first"), *arguments]) == 0
    assert main(["info", "--json", str(photo.with_suffix(".rdc"))]) == 0
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = np.zeros((4, 6), int)
    expected[0, 0] = expected[2, 4] = 7
    assert content["map"]["levels"] == expected.tolist()


def test_target_size(models, photo, capsys):
    model = ["--model", str(models / "first"), "--json", "-f"]
    assert main(["encode", str(photo), "-q", "40", *model]) == 0
    size = json.loads(capsys.readouterr().out)["bytes"]
    assert main(["encode", str(photo), "--target-size", str(size), *model]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0.97 * size <= report["bytes"] <= size
    assert report["bytes"] == photo.with_suffix(".rdc").stat().st_size
    assert main(["encode", str(photo), "--target-bpp", str(8 * size / 83 / 61), *model]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == report["bytes"]
    assert main(["encode", str(photo), "--target-size", "1M", *model]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output)["quality"] == 100 and "% below: quality 100" in error


@pytest.mark.parametrize("target", [["--target-size", "9"], ["--target-bpp", "0.0001"]])
def test_a_size_that_cannot_be_reached(models, photo, capsys, target):
    model = ["--model", str(models / "first")]
    error = fails(capsys, photo.parent, "encode", photo, *target, *model)
    assert "the smallest file this model makes of this picture is" in error
    assert main(["encode", str(photo), *target, "--best-effort", *model]) == 0
    output, error = capsys.readouterr()
    assert "even at quality 0" in error
    size = photo.with_suffix(".rdc").stat().st_size
    assert f"{size} bytes even" in error and f"{size} bytes" in output


def test_a_quality_that_cannot_be_reached(models, photo, capsys):
    model = ["--model", str(models / "first")]
    wish = ["--target-quality", "psnr=90"]
    error = fails(capsys, photo.parent, "encode", photo, *wish, *model)
    assert "at quality 100 psnr is" in error
    assert main(["encode", str(photo), *wish, "--best-effort", "--json", *model]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output)["reached"]["psnr"] < 90
    assert "the best of this model, short of 90" in error


def test_several_steps_and_a_clock(models, coded, tmp_path):
    """Steps given on the command line win over the file's; both clocks run."""
    common = [str(coded), "--model", str(models / "first"), "--quiet", "--steps", "3", "-o"]
    assert main(["decode", *common, str(tmp_path / "a.webp")]) == 0
    assert main(["decode", *common, str(tmp_path / "b.png"), "--clock", "clamped"]) == 0
    assert opened(tmp_path / "a.webp").size == opened(tmp_path / "b.png").size


# info


def test_info_accounts_for_every_byte(coded, capsys):
    assert main(["info", str(coded), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    position = content["header_bytes"]
    for section in content["sections"]:
        assert section["offset"] == position
        position += section["bytes"]
    assert position == content["bytes"] == coded.stat().st_size
    header = container.unpack(coded.read_bytes())[0]
    assert content["header"]["model_id"] == header.model_id.hex()
    assert set(content["header"]) == set(vars(header))
    assert np.shape(content["map"]["levels"]) == header.map_shape
    assert sum(content["map"]["cells_per_level"]) == 24


def test_info_for_people(coded, capsys):
    assert main(["info", str(coded)]) == 0
    text = capsys.readouterr().out
    size = coded.stat().st_size
    assert f"{coded}: rdc format version 1, {size} bytes" in text
    rows = [line.split() for line in text.splitlines()]
    parts = {row[0]: row for row in rows if row and row[-1].endswith("%")}
    names = ("header", "importance", "hyper_latent", "latent")
    assert sum(int(parts[name][2]) for name in names) == size == int(parts["total"][1])
    drawn = [line for line in text.splitlines() if line.startswith("  |")]
    assert any("@@" in line for line in drawn)


@pytest.mark.parametrize("tau", ["0", "0.004", "0.3", "0.5", "0.996", "1"])
def test_info_shows_tau_as_it_was_given(models, photo, capsys, tau):
    model = ["--model", str(models / "first"), "--quiet"]
    assert main(["encode", str(photo), "--tau", tau, *model]) == 0
    assert main(["info", str(photo.with_suffix(".rdc"))]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["default_tau", tau] in rows
    assert main(["info", "--json", str(photo.with_suffix(".rdc"))]) == 0
    assert json.loads(capsys.readouterr().out)["header"]["default_tau"] == float(tau)


def test_info_without_a_map(models, photo, capsys):
    assert main(["encode", str(photo), "--model", str(models / "first"), "--quiet"]) == 0
    assert main(["info", str(photo.with_suffix(".rdc"))]) == 0
    assert "importance map: none, all 6 x 4 cells alike" in capsys.readouterr().out


# Files that are not what they should be


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


# Wrong arguments: one line, code 2, nothing written


def test_existing_output_is_kept(models, photo, coded, capsys):
    model = ["--model", models / "first"]
    assert "give -f" in fails(capsys, photo.parent, "encode", photo, *model)
    assert "give -f" in fails(capsys, photo.parent, "decode", coded, *model)
    before = coded.read_bytes()
    assert main(["encode", str(photo), "-f", "-q", "10", "--quiet", *map(str, model)]) == 0
    assert coded.read_bytes() != before


def test_an_input_is_never_its_own_output(models, photo, capsys):
    arguments = ["encode", photo, "-o", photo, "-f", "--model", models / "first"]
    assert "is the input itself" in fails(capsys, photo.parent, *arguments)


def test_mask_of_another_size(models, photo, rng, capsys):
    mask = picture(photo.with_name("mask.png"), rng, 61, 83)
    arguments = ["encode", photo, "--model", models / "first", "--roi"]
    error = fails(capsys, photo.parent, *arguments, mask)
    assert "61 x 83" in error and "83 x 61" in error
    assert "no mask" in fails(capsys, photo.parent, *arguments, photo.with_name("no.png"))


def test_model_missing_wrong_or_damaged(models, photo, coded, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    error = fails(capsys, photo.parent, "encode", photo, "--model", "nobody", "-f")
    assert "no model 'nobody'" in error
    assert error.endswith("the name of a model that comes with the package: first, second\n")
    error = fails(capsys, photo.parent, "decode", coded, "--model", models / "second", "-f")
    assert "needs model" in error and "--model" in error and str(coded) in error
    broken = shutil.copytree(models / "first", tmp_path / "broken")
    weights = broken / "unet.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    error = fails(capsys, photo.parent, "encode", photo, "--model", broken, "-f")
    assert "unet.safetensors does not match" in error
    weights.unlink()
    error = fails(capsys, photo.parent, "encode", photo, "--model", broken, "-f")
    assert "unet.safetensors" in error


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("nowhere/x.rdc", "does not exist"),
        ("photo.png/x.rdc", "does not exist"),
        ("nowhere/at/all/", "does not exist"),
    ],
)
def test_output_that_cannot_be_written(models, photo, capsys, monkeypatch, output, words):
    monkeypatch.chdir(photo.parent)
    arguments = ["encode", photo, "-o", output, "--model", models / "first"]
    assert words in fails(capsys, photo.parent, *arguments)


def test_a_full_disk_leaves_nothing(models, photo, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images.os, "replace", full)
    error = fails(capsys, photo.parent, "encode", photo, "--model", models / "first")
    assert "No space left on device" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["encoed"], "invalid choice"),
        (["encode"], "INPUT"),
        (["encode", "PHOTO", "-q", "101"], "not in the range 0 to 100"),
        (["encode", "PHOTO", "-q", "nan"], "not in the range"),
        (["encode", "PHOTO", "-q", "good"], "'good' is not a number"),
        (["encode", "PHOTO", "-q", "5", "--target-bpp", "1"], "not allowed with"),
        (["encode", "PHOTO", "--target-bpp", "-1"], "0 or more"),
        (["encode", "PHOTO", "--target-size", "80q"], "'80q' is not a size"),
        (["encode", "PHOTO", "--target-size", "0.4"], "less than one byte"),
        (["encode", "PHOTO", "--target-size", "80k", "--target-bpp", "1"], "not allowed with"),
        (["encode", "PHOTO", "--target-quality", "psnr"], "no quality target"),
        (["encode", "PHOTO", "--target-quality", "ms-ssim=1"], "below 1"),
        (["encode", "PHOTO", "--best-effort"], "--best-effort needs a target"),
        (["encode", "PHOTO", "--seed", "4294967296"], "range 0 to 4294967295"),
        (["encode", "PHOTO", "--steps", "0"], "range 1 to 255"),
        (["encode", "PHOTO", "--roi-gain", "9"], "--roi-gain has no region"),
        (["encode", "PHOTO", "--roi-only"], "--roi-only has no region"),
        (["encode", "PHOTO", "--roi-only", "--roi", "auto", "--roi-gain", "9"], "exclude"),
        (["encode", "PHOTO", "--roi-box", "1,2,3"], "cannot read box"),
        (["encode", "PHOTO", "--roi-box", "900,0,5,5"], "outside the image"),
        (["encode", "missing.png"], "no such image"),
        (["encode", "PHOTO", "-", "-o", "x"], "one picture"),
        (["encode", "PHOTO", "PHOTO", "-o", "PHOTO"], "is a file"),
        (["encode", "EMPTY"], "no files ending in"),
        (["decode", "PHOTO", "-o", "x.png"], "not an rdc file"),
        (["decode", "PHOTO", "-o", "x.xyz"], "cannot tell the image format"),
        (["decode", "missing.rdc"], "No such file"),
        (["info", "missing.rdc"], "No such file"),
    ],
)
def test_wrong_arguments(models, photo, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    monkeypatch.setattr(codec_model, "DEFAULT_MODEL", "first")
    empty = photo.parent / "empty"
    empty.mkdir()
    names = {"PHOTO": photo, "EMPTY": empty}
    assert words in fails(capsys, photo.parent, *(names.get(a, a) for a in arguments))


def test_two_inputs_of_one_output(models, photo, capsys):
    shutil.copy(photo, photo.with_suffix(".bmp"))
    arguments = ["encode", photo, photo.with_suffix(".bmp"), "--model", models / "first"]
    error = fails(capsys, photo.parent, *arguments)
    assert "would both become" in error and "name files instead of a folder" in error


def test_folders_in_a_folder_are_left_out_with_a_note(models, photo, capsys):
    folder = photo.parent
    command = ["encode", str(folder), "-o", str(folder / "out"), "-f", "--model"]
    command += [str(models / "first")]
    for name, said in (("out", ""), ("a", "1 folder, which is"), ("b", "2 folders, which are")):
        (folder / name).mkdir()
        assert main([*command]) == 0
        notes = [line for line in capsys.readouterr().err.splitlines() if "ignored" in line]
        assert notes == ([f"rdc: note: '{folder}' contains {said} ignored"] if said else [])
    assert main([*command, "--quiet"]) == 0 and capsys.readouterr().err == ""


def test_no_binary_on_a_terminal(photo, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "terminal" in fails(capsys, photo.parent, "encode", photo, "-o", "-")


def test_every_listed_format_is_written(tmp_path):
    """What a folder is searched for is also what decode writes, less animations."""
    assert set(formats.IMAGE_EXTENSIONS) - set(formats.WRITABLE) == {".gif"}
    for extension, how in formats.FORMATS.items():
        if how.plugin and importlib.util.find_spec(how.plugin[0]) is None:
            continue
        images.write_image(tmp_path / f"x{extension}", np.zeros((2, 3, 3), np.uint8))
        assert images.read_image(tmp_path / f"x{extension}").pixels.shape == (2, 3, 3)


def test_a_name_that_is_not_unicode(coded, user_environment):
    name = b"\xff\n.rdc"
    (coded.parent / name.decode(errors="surrogateescape")).write_bytes(coded.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "rdc_jax", "info", name],
        cwd=coded.parent, capture_output=True, timeout=60, check=False,
        env=user_environment | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\\udcff")


def test_a_bug_keeps_its_traceback(photo, monkeypatch):
    def bug(*_):
        raise ValueError("a bug")

    monkeypatch.setattr("rdc_jax.cli.commands.info.contents", bug)
    with pytest.raises(ValueError, match="a bug"):
        main(["info", str(photo)])


# The other commands


@pytest.mark.parametrize("command", ["encode", "eval"])
def test_help_says_the_default_of_the_gain(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"important parts, 0 to 1000; default {DEFAULT_ROI_GAIN:g}" in said


@pytest.mark.parametrize(
    ("text", "size"),
    [("80000", 80000), ("80k", 80000), ("80kB", 80000), ("1.2M", 1200000), ("0.29k", 290),
     ("64KiB", 65536), ("64ki", 65536), ("1.5MiB", 1572864), ("7B", 7)],
)  # fmt: skip
def test_sizes_in_words(text, size):
    assert size_in_bytes(text) == size


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("rdc 0.")


def test_models(models, capsys, monkeypatch):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    monkeypatch.setattr(codec_model, "DEFAULT_MODEL", "second")
    assert main(["models", "--json"]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["name"], r["default"]) for r in reports] == [("first", False), ("second", True)]
    manifest = (models / "first" / "manifest.json").read_bytes()
    assert reports[0]["model_id"] == hashlib.sha256(manifest).hexdigest()[:16]
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("MB  default")


def test_train_takes_config_and_settings(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("rdc_jax.training.train.train", lambda config: seen.append(config) or "m")
    settings = [
        "workdir=a=b", "training.total_steps=7", "training.muon_learning_rate=1",
        "model.prior_conditioning=false", "model.unet.channels=8,8,16", "data.path=",
    ]  # fmt: skip
    config = f"{ROOT}/configs/tiny.py:smoke"
    assert main(["train", "--config", config, *settings]) == 0
    assert capsys.readouterr().out == "m\n"
    assert seen[0].name == "tiny-smoke"
    assert seen[0].workdir == "a=b"
    assert seen[0].training.total_steps == 7
    assert seen[0].training.muon_learning_rate == 1.0
    assert isinstance(seen[0].training.muon_learning_rate, float)
    assert seen[0].model.prior_conditioning is False
    assert seen[0].model.unet.channels == (8, 8, 16)


@pytest.mark.parametrize(
    ("config", "setting", "words"),
    [
        ("configs/tiny.py", "data.pth=x", "no setting 'data.pth'; did you mean data.path?"),
        ("configs/tiny.py", "name.first=x", "no setting 'name.first'"),
        ("configs/tiny.py", "data=3", "'data' is a section"),
        ("configs/tiny.py", "data.path", "write key=value"),
        ("configs/tiny.py", "data.batch_size=2.5", "'data.batch_size' must be a whole number"),
        ("configs/tiny.py", "data.batch_size=True", "must be a whole number"),
        ("configs/tiny.py", "training.ema_half_life=x", "'training.ema_half_life' must be a"),
        ("configs/tiny.py", "model.prior_conditioning=1", "must be true or false"),
        ("configs/tiny.py", "model.unet.channels=8", "must be a tuple"),
        ("configs/tiny.py:big", "seed=1", "unknown variant 'big'"),
        ("configs/none.py", "seed=1", "no config file 'configs/none.py'"),
        ("README.md", "seed=1", "must be Python"),
        ("tests/conftest.py", "seed=1", "no function get_config"),
    ],
)
def test_train_refuses(tmp_path, capsys, monkeypatch, config, setting, words):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("rdc_jax.training.train.train", lambda config: pytest.fail("it trains"))
    assert words in fails(capsys, tmp_path, "train", "--config", config, setting)


def test_interrupted_training_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rdc_jax.training.train.train", interrupted)
    assert main(["train", "--config", f"{ROOT}/configs/tiny.py", "workdir=there"]) == 130
    assert "same command goes on from the last checkpoint in there" in capsys.readouterr().err


def test_empty_lists_take_any_elements():
    assert train_command.parse_value("x", "(1, 2)", ()) == (1, 2)
    assert train_command.parse_value("x", "[1.5]", None) == [1.5]
    with pytest.raises(RdcError, match="'x' must be a tuple"):
        train_command.parse_value("x", "(1, 'a')", (1, 2))


def test_demo_is_told_where(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("rdc_jax.demo.run", lambda out, overwrite: seen.append((out, overwrite)))
    assert main(["demo", "-o", str(tmp_path)]) == 0
    assert main(["demo", "-o", str(tmp_path), "-f"]) == 0
    assert seen == [(str(tmp_path), False), (str(tmp_path), True)]


def test_demo_replaces_nothing_unasked(monkeypatch, tmp_path, capsys):
    class Started(Exception):
        pass

    def load():
        raise Started

    def starts(*arguments):
        with pytest.raises(Started):
            main(["demo", "-o", str(tmp_path), *arguments])
        capsys.readouterr()

    monkeypatch.setattr("rdc_jax.codec.codec.load", load)
    (tmp_path / "notes.txt").write_text("no demo's")
    starts()
    for name in ("demo.png", "flower_uniform.rdc"):
        (tmp_path / name).write_text("of an earlier demo")
        error = fails(capsys, tmp_path, "demo", "-o", tmp_path)
        assert f"{name}' exists; give -f to replace it" in error
        starts("-f")
        (tmp_path / name).unlink()
    assert "cannot make the folder" in fails(capsys, tmp_path, "demo", "-o", tmp_path / "notes.txt")


# The compilation cache


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("RDC_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert compilation_cache.folder() == Path("/a")
    monkeypatch.delenv("RDC_CACHE_DIR")
    assert compilation_cache.folder() == Path("/b/rdc_jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compilation_cache.folder() == Path("/c/.cache/rdc_jax")


def test_folder_that_is_not_writable_means_no_cache(tmp_path, monkeypatch, user_environment):
    (tmp_path / "file").touch()
    script = "from rdc_jax.codec import compilation_cache as c; print(c.enable())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, env=user_environment | {"RDC_CACHE_DIR": str(tmp_path / "file" / "below")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("None\n", "")


# Sizes


@pytest.mark.slow
def test_thirty_sizes_in_two_processes(models, tmp_path, rng, cache, user_environment):
    sizes = [(side, 1 + (7 * side) % 97) for side in LATENT_SIDES]
    sizes += [(1, 1), (1, 700), (900, 1), (3, 5), (8, 8), (97, 1001), (640, 480), (751, 499)]
    sizes += [(1024, 319), (1500, 900)]
    assert len(sizes) == 30
    source, coded, decoded = (tmp_path / name for name in ("in", "coded", "decoded"))
    source.mkdir()
    modes = ("RGB", "L", "P")
    for i, (width, height) in enumerate(sizes):
        picture(source / f"{i}.png", rng, width, height, modes[i % 3])
    model = ["--model", models / "first"]
    for arguments in (["encode", source, "-o", coded], ["decode", coded, "-o", decoded]):
        done = rdc(user_environment, cache, *arguments, *model, "--quiet", timeout=600)
        assert done.returncode == 0, done.stderr
    codec = Codec(codec_model.load(models / "first"))
    for i, (width, height) in enumerate(sizes):
        there = images.read_image(decoded / f"{i}.png")
        here = codec.decode((coded / f"{i}.rdc").read_bytes())
        assert there.pixels.shape == (height, width, 3)
        assert there.grey == images.read_image(source / f"{i}.png").grey
        assert np.abs(there.pixels.astype(int) - here).max() <= 1


@pytest.mark.parametrize("command", [["encode", ""], ["encode", "a.png", "-o", ""]])
def test_an_empty_name_is_no_folder(command, capsys):
    assert main(command) == 2
    assert "a file name is empty" in capsys.readouterr().err
