"""Folders like those of Stable Diffusion, the command that imports them, and its refusals."""

import json

from configs import sd21
from rdc_jax.cli import main

CONFIG = "configs/sd21.py:smoke"
WEIGHTS = "diffusion_pytorch_model.safetensors"
MODEL = sd21.get_config("smoke").model.to_dict()


def run(folder, out, *more, config=CONFIG):
    options = ["--config", config] if config else []
    return main.main(["import", "--from", "diffusers", str(folder), str(out), *options, *more])


def refused(capsys, *arguments, **options):
    """The single line of a command's error."""
    assert run(*arguments, **options) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    return line


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
