"""`rdc decode --tau` and `--fusion`."""

import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.model_folder import fusion_module
from tests.codec.cases import HEIGHT, WIDTH, right_part, smooth


@pytest.fixture
def coded(data, tmp_path, monkeypatch):
    """The example as a file in a folder of its own."""
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)
    path = tmp_path / "file.rdc"
    path.write_bytes(data)
    return path


@pytest.fixture
def decode(coded, smoke_model, module_folder, capsys):
    """Runs `rdc decode` with more arguments; (exit code, pixels or None, stdout, stderr)."""

    def run(*arguments, fusion=module_folder):
        target = coded.with_suffix(".png")
        target.unlink(missing_ok=True)
        command = ["decode", coded, "--model", smoke_model, *arguments]
        command += [] if fusion is None else ["--fusion", fusion]
        code = main([str(part) for part in command])
        output, error = capsys.readouterr()
        pixels = None
        if target.exists():
            with Image.open(target) as image:
                pixels = np.asarray(image)
        return code, pixels, output, error

    return run


@pytest.mark.parametrize("tau", ["0", "0.25", "1", "roi"])
def test_command_decodes_at_a_tau(decode, codec, data, tau):
    code, pixels, _, error = decode("--tau", tau, "--steps", "2", "--quiet")
    assert (code, error) == (0, "")
    expected = codec.decode(data, tau=tau if tau == "roi" else float(tau), steps=2)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_command_decodes_with_a_map(decode, codec, data, tmp_path, mode):
    mask = right_part(HEIGHT, WIDTH, 48)
    Image.fromarray(mask).convert("L").convert(mode).save(tmp_path / "map.png")
    code, pixels, _, error = decode("--tau", tmp_path / "map.png")
    assert (code, error) == (0, "")
    np.testing.assert_array_equal(pixels, codec.decode(data, tau=mask))


def test_command_decodes_without_a_module(decode, base, data):
    for fusion in ("none", None):
        code, pixels, _, error = decode("--steps", "3", fusion=fusion)
        assert (code, error) == (0, "")
        np.testing.assert_array_equal(pixels, base.decode(data, steps=3))


def test_command_reports_tau(decode):
    assert json.loads(decode("--json")[2])["tau"] == 1.0
    assert json.loads(decode("--json", "--tau", "roi")[2])["tau"] == "roi"


def test_command_reports_a_number_as_a_number(decode):
    assert json.loads(decode("--json", "--tau", "0.25")[2])["tau"] == 0.25


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        ("2", "--tau 2 must be between 0 (faithful) and 1 (realistic)"),
        ("-0.5", "--tau"),
        ("nan", "--tau nan must be between"),
        ("missing.png", "--tau missing.png is neither a number from 0 to 1 nor roi"),
        ("ROI", "did you mean --tau roi?"),
        ("", "rdc: error"),
    ],
)
def test_command_refuses_a_tau_in_one_line(decode, tau, message):
    code, pixels, output, error = decode("--tau", tau)
    assert (code, pixels, output) == (2, None, "")
    assert error.startswith("rdc: error: ") and error.count("\n") == 1
    assert message in error


def test_command_refuses_a_map_of_another_size(decode, tmp_path):
    Image.new("L", (HEIGHT, WIDTH)).save(tmp_path / "map.png")
    code, pixels, output, error = decode("--tau", tmp_path / "map.png")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert "tau map" in error and "resize" in error


def test_command_refuses_a_folder_without_a_module(decode, tmp_path):
    code, pixels, output, error = decode(fusion=tmp_path / "nothing")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert error.startswith("rdc: error: no fusion module in")


def test_command_refuses_a_module_of_another_base(decode, module_folder, tmp_path):
    module = fusion_module.load(module_folder, model_folder_id(module_folder))
    fusion_module.save(tmp_path / "other", "other", module.config, bytes(8), module.params)
    code, pixels, output, error = decode(fusion=tmp_path / "other")
    assert (code, pixels, output, error.count("\n")) == (2, None, "", 1)
    assert "was made for model 0000000000000000" in error and "--fusion" in error


def model_folder_id(folder):
    return bytes.fromhex(json.loads((folder / "config.json").read_text())["base"])


def test_command_writes_the_hint_that_info_shows(coded, smoke_model, capsys, tmp_path):
    Image.fromarray(smooth(24, 40)).save(tmp_path / "photo.png")
    command = ["encode", tmp_path / "photo.png", "--model", smoke_model, "--tau", ".3", "--quiet"]
    assert main([str(part) for part in command]) == 0
    assert main(["info", str(tmp_path / "photo.rdc"), "--json"]) == 0
    header = json.loads(capsys.readouterr().out)["header"]
    assert header["default_tau"] == 0.3
    assert header["default_steps"] == 1
