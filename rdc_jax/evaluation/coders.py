"""The codecs that `rdc eval` compares: anything that turns pixels into a file and back.

| name     | codec                                        | through                              |
|----------|----------------------------------------------|--------------------------------------|
| jpeg, jpeg444, webp, avif, jpeg2000 | see `baselines`   | Pillow                               |
| jxl      | JPEG XL, lossy                               | Pillow with pillow-jxl-plugin        |
| heic     | HEVC intra in HEIF (x265)                    | Pillow with pillow-heif              |
| vvc      | H.266 intra (vvenc), 4:2:0                   | ffmpeg with libvvenc                 |
| hevc-roi | HEVC intra (x265) whose quantiser follows a box | ffmpeg with libx265, `addroi`     |

hevc-roi is the classical codec with a region of interest; it knows only the mask's bounding box.
ffmpeg is taken from the PATH, else from imageio-ffmpeg.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines

ALIASES = {"jp2": "jpeg2000"}
PLUGINS = {"jxl": ("pillow_jxl", "pillow-jxl-plugin"), "heic": ("pillow_heif", "pillow-heif")}
PLUGIN_LADDERS = {"jxl": [10, 20, 30, 45, 60, 75, 85, 92], "heic": [10, 20, 30, 40, 50, 60, 75, 85]}
VIDEO_ENCODERS = {"vvc": "libvvenc", "hevc-roi": "libx265"}
VIDEO_LADDERS = {"vvc": [47, 42, 37, 32, 27, 22], "hevc-roi": [46, 42, 38, 34, 30, 26, 22]}
EXTENSIONS = {"jpeg": "jpg", "jpeg444": "jpg", "jpeg2000": "jp2", "vvc": "266", "hevc-roi": "265"}
ROI_OFFSET = 0.25  # of the range of quantisers, finer inside the box and coarser outside
SECONDS = 300


class Coded(NamedTuple):
    """A coded image.

    Attributes:
        data: The file.
        map_bytes: How many of its bytes hold the importance map.
        bits: Bits of each place, float [h',w'] at any resolution; None if the coder cannot tell.
    """

    data: bytes
    map_bytes: int = 0
    bits: np.ndarray | None = None


class Coder(NamedTuple):
    """One codec with its settings. A file may be decoded in several ways, each with its own curve.

    Attributes:
        name: Name of the codec.
        settings: The settings to measure.
        extension: Extension of the files.
        encode: (pixels uint8 [h,w,3], setting, mask float [h,w] in [0,1] or None) -> Coded.
        decodes: Functions (bytes) -> uint8 [h,w,3] by the name of their curve.
        parallel: Whether several images may be coded at the same time.
        identity: Text that changes with everything else that affects the results; files measured
            under another identity are measured again.
    """

    name: str
    settings: Sequence[float]
    extension: str
    encode: Callable[[np.ndarray, float, np.ndarray | None], Coded]
    decodes: dict[str, Callable[[bytes], np.ndarray]]
    parallel: bool = True
    identity: str = f"Pillow {PIL.__version__}"


def names() -> list[str]:
    """The classical codecs by name, installed or not."""
    return [*baselines.SAVE_OPTIONS, *ALIASES, *PLUGINS, *VIDEO_ENCODERS]


def classical(name: str) -> Coder:
    """A codec of the table above.

    Raises:
        RdcError: The name is unknown, or the codec is not installed; the message says how to get
            it.
    """
    name = ALIASES.get(name, name)
    extension = EXTENSIONS.get(name, name)
    if name in baselines.SAVE_OPTIONS:
        if name not in baselines.names():
            raise RdcError(f"this build of Pillow cannot write {name}")
        encode, decode = partial(_pillow_encode, name), partial(baselines.decode, name)
        return Coder(name, baselines.LADDERS[name], extension, encode, {name: decode})
    if name in PLUGINS:
        _import_plugin(name)
        encode, decode = partial(_plugin_encode, name), _plugin_decode
        return Coder(name, PLUGIN_LADDERS[name], extension, encode, {name: decode})
    if name in VIDEO_ENCODERS:
        ffmpeg = find_ffmpeg(VIDEO_ENCODERS[name])
        encode = partial(_video_encode, ffmpeg, name)
        decode = partial(_video_decode, ffmpeg, extension)
        return Coder(name, VIDEO_LADDERS[name], extension, encode, {name: decode})
    raise RdcError(f"unknown codec '{name}'; choose from {', '.join(names())}")


def find_ffmpeg(encoder: str) -> str:
    """Path of an ffmpeg that has the encoder. Raises RdcError with what to install."""
    candidates = [shutil.which("ffmpeg")]
    if importlib.util.find_spec("imageio_ffmpeg"):
        candidates.append(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    for path in filter(None, candidates):
        if encoder in _call([path, "-hide_banner", "-encoders"]).decode(errors="replace"):
            return path
    raise RdcError(f"no ffmpeg with {encoder} is installed: pip install imageio-ffmpeg")


def _pillow_encode(name: str, pixels: np.ndarray, setting: float, mask) -> Coded:
    return Coded(baselines.encode(name, pixels, setting))


def _import_plugin(name: str) -> None:
    module, package = PLUGINS[name]
    if importlib.util.find_spec(module) is None:
        raise RdcError(f"{name} needs {package}: pip install {package}")
    plugin = importlib.import_module(module)
    if name == "heic":
        plugin.register_heif_opener()


def _plugin_encode(name: str, pixels: np.ndarray, setting: float, mask) -> Coded:
    buffer = io.BytesIO()
    kind = {"jxl": "JXL", "heic": "HEIF"}[name]
    Image.fromarray(pixels).save(buffer, format=kind, quality=int(setting))
    return Coded(buffer.getvalue())


def _plugin_decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _video_encode(
    ffmpeg: str, name: str, pixels: np.ndarray, setting: float, mask: np.ndarray | None
) -> Coded:
    """A single intra image as an elementary stream; odd sides are padded by repeating the edge.

    The stream has the even size and no header of ours. A decoder would need one more bit per side
    to restore odd sizes, which is not counted.
    """
    height, width = pixels.shape[:2]
    pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    filters = []
    if name == "hevc-roi" and mask is not None:
        filters = roi_filters(mask)
    filters.append("scale=out_color_matrix=bt709:out_range=tv,format=yuv420p")
    quality = {"vvc": ["-qp", f"{setting:g}"], "hevc-roi": ["-x265-params", _x265(setting)]}[name]
    options = ["-frames:v", "1", "-c:v", VIDEO_ENCODERS[name], "-preset", "medium", *quality]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"image.{EXTENSIONS[name]}"
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "1", "-i", "-"]
        command = [ffmpeg, "-v", "error", "-y", *raw, "-vf", ",".join(filters), *options]
        _call([*command, str(target)], pixels.tobytes())
        return Coded(target.read_bytes())


def _x265(setting: float) -> str:
    return f"crf={setting:g}:aq-mode=1:keyint=1:info=0:log-level=none"


def roi_filters(mask: np.ndarray) -> list[str]:
    """ffmpeg filters for the bounding box of mask > 0.5: finer inside, coarser elsewhere."""
    rows, columns = (np.flatnonzero((mask > 0.5).any(axis)) for axis in (1, 0))
    if not len(rows):
        return []
    x, y = columns[0], rows[0]
    width, height = columns[-1] - x + 1, rows[-1] - y + 1
    # The first region that covers a pixel decides, so the whole image comes last.
    return [
        f"addroi=x={x}:y={y}:w={width}:h={height}:qoffset=-{ROI_OFFSET}:clear=1",
        f"addroi=x=0:y=0:w=iw:h=ih:qoffset={ROI_OFFSET}",
    ]


def _video_decode(ffmpeg: str, extension: str, data: bytes) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / f"image.{extension}", Path(folder) / "image.png"
        source.write_bytes(data)
        matrix = "scale=in_color_matrix=bt709:in_range=tv:out_range=pc,format=rgb24"
        command = [ffmpeg, "-v", "error", "-y", "-i", str(source), "-vf", matrix]
        _call([*command, "-frames:v", "1", str(target)])
        with Image.open(target) as image:
            return np.asarray(image.convert("RGB"))


def _call(command: list[str], data: bytes = b"") -> bytes:
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise RdcError(f"{Path(command[0]).name} failed: {(lines or ['no message'])[-1]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RdcError(f"cannot run {command[0]}: {error}") from error
    return done.stdout
