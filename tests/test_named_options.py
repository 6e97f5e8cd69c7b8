"""Messages name what the caller can give: an argument in Python, a flag on the command line."""

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

import rdc_jax
from rdc_jax.bitstream import container
from rdc_jax.cli.main import main
from rdc_jax.errors import naming_flags, option

ROOMS = (
    *("bitstream", "codec", "decoding", "entropy", "images", "importance", "model_folder"),
    *("interop/onnx", "interop/torch"),
)
PACKAGE = Path(rdc_jax.__file__).parent


@pytest.fixture(scope="module")
def coded(smoke_model):
    codec = rdc_jax.load(smoke_model)
    return codec.encode(np.zeros((64, 64, 3), np.uint8), quality=50)


def of_another_model(data: bytes) -> bytes:
    header, sections = container.unpack(data)
    other = dataclasses.replace(header, model_id=bytes(8))
    return container.pack(other, [(section.type, section.payload) for section in sections])


@pytest.mark.parametrize(
    ("change", "options", "flags", "argument", "flag"),
    [
        (None, {"max_pixels": 9}, ["--max-pixels", "9"], "raise max_pixels if", "--max-pixels if"),
        (
            None, {"max_pixels": 4096}, ["--max-pixels", "4096"],
            "an eighth of max_pixels: raise", "an eighth of --max-pixels: raise",
        ),
        (of_another_model, {}, [], "the right one with model=", "the right one with --model"),
    ],
)  # fmt: skip
def test_an_error_names_argument_or_flag(
    coded, smoke_model, tmp_path, capsys, change, options, flags, argument, flag
):
    data = change(coded) if change else coded
    with pytest.raises(rdc_jax.RdcError) as error:
        rdc_jax.decode(data, model=smoke_model, **options)
    assert argument in str(error.value) and "--" not in str(error.value)
    (tmp_path / "a.rdc").write_bytes(data)
    assert main(["decode", str(tmp_path / "a.rdc"), "--model", str(smoke_model), *flags]) == 2
    said = capsys.readouterr().err
    assert flag in said and argument not in said and said.count("\n") == 1
    assert option("--flag", "argument") == "argument"  # again


@pytest.mark.parametrize("limit", [float("nan"), "many", None])
def test_a_limit_that_is_no_number_is_refused(coded, smoke_model, limit):
    with pytest.raises(rdc_jax.RdcError, match="max_pixels must be a number, not"):
        rdc_jax.decode(coded, model=smoke_model, max_pixels=limit)


def test_flags_are_named_until_the_outermost_command_ends():
    with naming_flags():
        with naming_flags():
            pass
        assert option("--flag", "argument") == "--flag"
    assert option("--flag", "argument") == "argument"


def test_no_message_of_the_library_names_a_flag_alone():
    """A flag in a message goes through `option`, except in a command in backquotes."""
    found = []
    for file in (file for room in ROOMS for file in (PACKAGE / room).rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        fine = {
            id(part)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "option"
            for part in ast.walk(call)
        }
        raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
        for node in (part for one in raised for part in ast.walk(one)):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in fine and "--" in node.value and "`" not in node.value:
                found.append(f"{file.name}:{node.lineno}: {node.value}")
    assert not found
