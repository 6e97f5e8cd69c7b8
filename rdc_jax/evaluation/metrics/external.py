"""Metrics of optional external tools: SSIMULACRA2, butteraugli, VMAF.

| name              | better | tool                                                              |
|-------------------|--------|-------------------------------------------------------------------|
| ssimulacra2       | higher | `ssimulacra2` of libjxl on PATH, else PyPI's ssimulacra2 (NumPy)  |
| butteraugli       | lower  | `butteraugli_main` of libjxl on PATH: largest difference          |
| butteraugli-3norm | lower  | the same: 3-norm of the difference                                |
| vmaf              | higher | ffmpeg with libvmaf, on PATH or in PyPI's imageio-ffmpeg          |

SSIMULACRA2 is 100 for equal images, 90 for visually lossless, 70 for high and 50 for medium
quality; it is negative for bad images. The two tools agree at high quality and differ at low
quality, so name the tool (`available`) with the value. butteraugli is 0 for equal images and about
1 where a difference becomes visible, at the tool's default of 80 cd/m^2. VMAF, 0 to 100, is made
for video: a still image has no motion, and equal images get somewhat less than 100. It is measured
with its default model vmaf_v0.6.1 (a 1080p screen from three screen heights) on the BT.709 luma in
limited range, rounded to 8 bits, computed here.

Nothing is downloaded. A tool runs without a shell in a temporary folder and is stopped after
TIMEOUT seconds.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError

TIMEOUT = 300.0  # seconds for one image

# ITU-R BT.709, limited range: black is 16, white 235.
LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])

NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"


class Tool(NamedTuple):
    """How a metric is found and measured."""

    find: Callable[[], str | None]  # tool and version, None if it is missing
    install: str  # how to install it
    measure: Callable[[np.ndarray, np.ndarray], float]


def available() -> dict[str, str]:
    """The tool and its version for each metric that can be measured here."""
    found = {name: tool.find() for name, tool in TOOLS.items()}
    return {name: description for name, description in found.items() if description}


def require(name: str) -> str:
    """The tool and version that measure a metric.

    Raises RdcError when the name is unknown or no tool for it is installed.
    """
    if name not in TOOLS:
        raise RdcError(f"no external metric is called {name!r}: use {', '.join(TOOLS)}")
    found = TOOLS[name].find()
    if found is None:
        raise RdcError(f"{name} needs {TOOLS[name].install}")
    return found


def measure(name: str, reference: np.ndarray, decoded: np.ndarray) -> float:
    """One metric of two 8-bit sRGB images.

    Args:
        name: A name of the table above.
        reference: uint8 [h,w,3].
        decoded: uint8, the same shape.

    Raises:
        RdcError: The name is unknown, its tool is missing, fails or takes too long, or the images
            are not such arrays.
    """
    require(name)
    reference, decoded = np.asarray(reference), np.asarray(decoded)
    for image in (reference, decoded):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise RdcError(f"{name} needs uint8 [h,w,3], not {image.dtype} {image.shape}")
    if reference.shape != decoded.shape:
        raise RdcError(f"images differ in shape: {reference.shape} and {decoded.shape}")
    return TOOLS[name].measure(reference, decoded)


def _run(command: list[str], folder: str) -> str:
    """The standard output of a tool."""
    tool = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RdcError(f"{tool} took more than {TIMEOUT:g} s: use a smaller image") from error
    except OSError as error:
        raise RdcError(f"{tool} does not start ({error.strerror}): reinstall it") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise RdcError(f"{tool} failed with exit status {done.returncode}: {lines[-1]}")
    return done.stdout.decode(errors="replace")


def _on_images(tool: list[str], reference: np.ndarray, decoded: np.ndarray, pattern: str) -> float:
    """Runs `tool reference.png decoded.png`; returns the number that `pattern` captures."""
    with tempfile.TemporaryDirectory() as folder:
        for name, image in (("reference", reference), ("decoded", decoded)):
            Image.fromarray(image).save(Path(folder) / f"{name}.png", compress_level=1)
        output = _run([*tool, "reference.png", "decoded.png"], folder)
    match = re.search(pattern, output, re.MULTILINE)
    if match is None:
        raise RdcError(f"{Path(tool[0]).name} printed no value: use the program of libjxl")
    return float(match.group(1))


def _program(name: str) -> str | None:
    """A program on PATH that prints no version; the start of its sha256 replaces the version."""
    file = shutil.which(name)
    if file is None:
        return None
    try:
        return f"{name} (program {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:8]})"
    except OSError:
        return f"{name} (unreadable program)"


# SSIMULACRA2


def _find_ssimulacra2() -> str | None:
    program = _program("ssimulacra2")
    if program:
        return program
    if importlib.util.find_spec("ssimulacra2") is None:
        return None
    try:
        return f"ssimulacra2 {importlib.metadata.version('ssimulacra2')} (PyPI, NumPy)"
    except importlib.metadata.PackageNotFoundError:
        return None


def _measure_ssimulacra2(reference: np.ndarray, decoded: np.ndarray) -> float:
    binary = shutil.which("ssimulacra2")
    if binary:
        return _on_images([binary], reference, decoded, rf"^({NUMBER})\s*$")
    from ssimulacra2 import compute_ssimulacra2

    if min(reference.shape[:2]) < 8:
        raise RdcError("SSIMULACRA2 needs 8 pixels or more on each side")
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{name}.png") for name in ("reference", "decoded")]
        for file, image in zip(files, (reference, decoded), strict=True):
            Image.fromarray(image).save(file, compress_level=1)
        return float(compute_ssimulacra2(*files))


# butteraugli prints a line with the largest difference, then a line with the norm.


def _find_butteraugli() -> str | None:
    return _program("butteraugli_main")


def _measure_butteraugli(reference: np.ndarray, decoded: np.ndarray) -> float:
    tool = [shutil.which("butteraugli_main") or ""]
    return _on_images(tool, reference, decoded, rf"^({NUMBER})\s*$")


def _measure_butteraugli_norm(reference: np.ndarray, decoded: np.ndarray) -> float:
    tool = [shutil.which("butteraugli_main") or ""]
    return _on_images(tool, reference, decoded, rf"^3-norm: ({NUMBER})\s*$")


# VMAF


def _ffmpeg_with_vmaf() -> str | None:
    """The first ffmpeg with the filter; PATH comes before PyPI."""
    candidates = [shutil.which("ffmpeg")]
    try:
        import imageio_ffmpeg

        candidates.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # not installed, or a build without its program
        pass
    for program in filter(None, candidates):
        try:
            filters = _run([program, "-hide_banner", "-filters"], tempfile.gettempdir())
        except RdcError:
            continue
        if re.search(r"^\s*\S+\s+libvmaf\s", filters, re.MULTILINE):
            return program
    return None


def _find_vmaf() -> str | None:
    program = _ffmpeg_with_vmaf()
    if program is None:
        return None
    version = re.match(r"ffmpeg version (\S+)", _run([program, "-version"], tempfile.gettempdir()))
    return f"ffmpeg {version.group(1) if version else '(unknown version)'} with libvmaf"


def _measure_vmaf(reference: np.ndarray, decoded: np.ndarray) -> float:
    height, width = reference.shape[:2]
    command = [_ffmpeg_with_vmaf() or "", "-hide_banner", "-nostdin", "-loglevel", "error"]
    raw = ["-f", "rawvideo", "-pixel_format", "yuv444p", "-video_size", f"{width}x{height}"]
    command += [*raw, "-i", "decoded.yuv", *raw, "-i", "reference.yuv"]
    command += ["-lavfi", "[0:v][1:v]libvmaf=log_fmt=json:log_path=vmaf.json", "-f", "null", "-"]
    with tempfile.TemporaryDirectory() as folder:
        for name, image in (("reference", reference), ("decoded", decoded)):
            (Path(folder) / f"{name}.yuv").write_bytes(_luma_frame(image))
        _run(command, folder)
        try:
            log = json.loads((Path(folder) / "vmaf.json").read_text(encoding="utf-8"))
            return float(log["frames"][0]["metrics"]["vmaf"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RdcError("ffmpeg wrote no VMAF value: use imageio-ffmpeg 0.8.1") from error


def _luma_frame(image: np.ndarray) -> bytes:
    """A yuv444p frame of the luma with neutral chroma, which VMAF ignores."""
    luma = 16.0 + 219.0 / 255.0 * (image.astype(np.float64) @ LUMA_WEIGHTS)
    luma = np.round(luma).astype(np.uint8)
    return luma.tobytes() + np.full((2, *luma.shape), 128, np.uint8).tobytes()


_LIBJXL = "`butteraugli_main` on PATH: install libjxl's development tools (libjxl-devtools)"

TOOLS: dict[str, Tool] = {
    "ssimulacra2": Tool(
        _find_ssimulacra2, "a tool: pip install ssimulacra2==0.3.0", _measure_ssimulacra2
    ),
    "butteraugli": Tool(_find_butteraugli, _LIBJXL, _measure_butteraugli),
    "butteraugli-3norm": Tool(_find_butteraugli, _LIBJXL, _measure_butteraugli_norm),
    "vmaf": Tool(
        _find_vmaf, "an ffmpeg with libvmaf: pip install imageio-ffmpeg==0.8.1", _measure_vmaf
    ),
}
