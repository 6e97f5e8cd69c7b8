"""What tests of the `rdc` command share: images, processes, and commands that must fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


def picture(path: Path, rng, width: int, height: int, mode: str = "RGB") -> Path:
    """Writes a smooth random image; returns its path."""
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
    """A whole image; its file is closed."""
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
