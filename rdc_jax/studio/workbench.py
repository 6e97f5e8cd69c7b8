"""What the studio does with photos and files: the page's requests, answered by one codec.

    bench = Workbench(lambda: rdc_jax.load())
    photo = bench.add_photo(data)["photo"]
    coded = bench.encode({"photo": photo, "quality": 40, "mask": None})
    png, figures = bench.decode({"file": coded["file"], "tau": 0.5, "steps": 1})

A decode never encodes again: files are kept with their symbols. Requests that need the codec wait
for each other. Whatever is wrong with a request or a file is an RdcError of one line.
"""

import dataclasses
import io
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.codec import DEFAULT_QUALITY, DEFAULT_ROI_GAIN, Codec
from rdc_jax.demo import FOLDER as DEMO_FOLDER
from rdc_jax.entropy import bitstream
from rdc_jax.entropy.bitstream import TAU_UNITS
from rdc_jax.entropy.sections import SectionType, section_name
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import masked_psnr, psnr
from rdc_jax.file_decoding import downsampling_of
from rdc_jax.image_io import read_image
from rdc_jax.picture_sections import extras_of, parts_of
from rdc_jax.regions import auto
from rdc_jax.regions.shapes import centre
from rdc_jax.studio import pictures, requests
from rdc_jax.studio.shelf import Shelf

MAX_PIXELS = 24_000_000  # of a photo or a file: about a minute of two CPU cores
PHOTOS_KEPT, FILES_KEPT = 3, 8


@dataclasses.dataclass(frozen=True)
class Photo:
    """pixels: uint8 [H,W,3], laid on white. extras: profile and metadata, for its files."""

    pixels: np.ndarray
    grey: bool
    extras: Mapping[int, bytes]


@dataclasses.dataclass(frozen=True)
class File:
    """An `.rdc` file; photo, mask: what it was made of, None where that is not known.

    mask: uint8, as painted, of any size.
    """

    data: bytes
    photo: Photo | None = None
    mask: np.ndarray | None = None


class Workbench:
    """One codec, and the photos and files that pages have opened.

    open_codec: makes the codec, when it is first needed. max_pixels: of photos and files.
    """

    def __init__(self, open_codec: Callable[[], Codec], max_pixels: int = MAX_PIXELS):
        self._open_codec, self._opened = open_codec, None
        self.max_pixels = max_pixels
        self._photos: Shelf[Photo] = Shelf("photo", PHOTOS_KEPT)
        self._files: Shelf[File] = Shelf("file", FILES_KEPT)
        self._turn = threading.Lock()  # held while the codec works
        self._received: tuple[str, Any] = ("", None)  # the file decoded last, with its symbols

    @property
    def _codec(self) -> Codec:
        """Only to be used by whoever has the turn."""
        if self._opened is None:
            self._opened = self._open_codec()
        return self._opened

    def warm_up(self) -> None:
        """Loads and compiles before the first picture is there."""
        with self._turn:
            data = self._codec.encode(np.zeros((64, 64, 3), np.uint8))
            self._codec.decode(data)

    def is_busy(self) -> bool:
        """Whether a request has the codec."""
        return self._turn.locked()

    def state(self) -> dict[str, Any]:
        """What a page has to know first; waits until the codec is loaded."""
        with self._turn:
            model, module = self._codec.model, self._codec.module
        return {
            "model": model.name,
            "model_id": model.model_id.hex(),
            "quality": DEFAULT_QUALITY,
            "roi_gain": DEFAULT_ROI_GAIN,
            "tau": module.default_tau if module else 1.0,
            "steps": module.default_steps if module else 1,
            "max_pixels": self.max_pixels,
        }

    # Photos and what is painted on them

    def add_photo(self, data: bytes) -> dict[str, Any]:
        """Keeps a picture file's bytes. Raises RdcError as `read_image`."""
        upload = io.BytesIO(data)
        upload.name = "the photo"  # for messages
        return self._keep(read_image(upload, max_pixels=self.max_pixels))

    def demo_photo(self) -> dict[str, Any]:
        """Keeps the photograph that comes with the package."""
        return self._keep(read_image(DEMO_FOLDER / "flower.png"))

    def _keep(self, picture: Any) -> dict[str, Any]:
        height, width = picture.pixels.shape[:2]
        key = self._photos.put(Photo(picture.pixels, picture.grey, extras_of(picture)))
        return {"photo": key, "width": width, "height": height, "grey": picture.grey}

    def photo_png(self, key: str) -> bytes:
        """A kept photo as the codec sees it: upright RGB."""
        photo = self._photos.get(key)
        return pictures.png(photo.pixels, photo.extras.get(SectionType.ICC))

    def suggested_mask(self, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
        """A mask of `columns` x `rows` bytes, row by row, 255 = important; kind auto or center.

        Also "found": what was found and by which finder.
        """
        pixels = self._photos.get(asked.get("photo")).pixels
        most = requests.MAX_MASK_SIDE
        rows, columns = (
            requests.number(asked, n, 1, most, whole=True) for n in ("rows", "columns")
        )
        kind = asked.get("kind")
        if kind not in ("auto", "center"):
            raise RdcError("a mask can be found by auto or center")
        if kind == "auto":
            mask, found = auto.find(pixels)
        else:
            mask, found = centre(*pixels.shape[:2]), "the middle of the picture"
        small = Image.fromarray(mask).resize((columns, rows), Image.Resampling.BOX)
        levels = np.rint(255 * np.clip(np.asarray(small), 0, 1)).astype(np.uint8)
        return levels.tobytes(), {"found": found}

    # The codec

    def encode(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Figures of a new file, and its key. Raises RdcError for unusable settings.

        asked: photo; quality, or target_kb (1000 bytes); roi_gain; mask, see `requests.mask`.
        """
        photo = self._photos.get(asked.get("photo"))
        height, width = photo.pixels.shape[:2]
        mask = requests.mask(asked.get("mask"))
        target = None
        if asked.get("target_kb") is not None:
            target = 1000 * requests.number(asked, "target_kb", 0.01, 100_000)
            rate = {"target_bytes": target, "best_effort": True}
        else:
            rate = {"quality": requests.number(asked, "quality", 0, 100, DEFAULT_QUALITY)}
        gain = requests.number(asked, "roi_gain", 0, 1000, DEFAULT_ROI_GAIN)
        with self._turn:
            codec, started = self._codec, time.perf_counter()
            data, report = codec.encode(
                photo.pixels,
                importance=None if mask is None else pictures.resized(mask, height, width),
                roi_gain=gain,
                grey=photo.grey,
                extras=photo.extras,
                return_report=True,
                **rate,
            )
            seconds = time.perf_counter() - started
        note = ""
        if target is not None and len(data) > target:
            note = f"even quality 0 takes {len(data)} bytes, more than the {target:.0f} asked for"
        return {
            "file": self._files.put(File(data, photo, mask)),
            "quality": report.quality,
            "seconds": seconds,
            "note": note,
            "bits": pictures.data_url(pictures.heat(report.bits_map)),
            **self._contents(data, report.levels),
        }

    def open_file(self, data: bytes) -> dict[str, Any]:
        """Keeps an `.rdc` file's bytes. Raises RdcError for one that cannot be decoded."""
        header, _ = bitstream.unpack(data)
        if header.width * header.height > self.max_pixels:
            raise RdcError(
                f"the file's picture has {header.width} x {header.height} pixels, more than the "
                f"studio's limit of {self.max_pixels}; use `rdc decode`"
            )
        with self._turn:
            received = self._codec.decode_latent(data)
            key = self._files.put(File(data))
            self._received = key, received
        known = received[2]
        levels = known.levels[: known.height, : known.width]
        return {"file": key, **self._contents(data, levels)}

    def decode(self, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """PNG of a file's picture, and figures. asked: file; tau, a number or "roi"; steps.

        psnr, and psnr_inside and psnr_outside of the mask, are None where they are not known.
        """
        key = asked.get("file")
        file = self._files.get(key)
        tau = "roi" if asked.get("tau") == "roi" else requests.number(asked, "tau", 0, 1)
        steps = requests.number(asked, "steps", 1, 255, whole=True)
        with self._turn:
            started = time.perf_counter()
            if self._received[0] != key:
                self._received = key, self._codec.decode_latent(file.data)
            pixels = self._codec.reconstruct(*self._received[1], steps=steps, tau=tau)
            seconds = time.perf_counter() - started
        figures = {"seconds": seconds, "psnr": None, "psnr_inside": None, "psnr_outside": None}
        if file.photo is not None:
            figures["psnr"] = pictures.finite(psnr(file.photo.pixels, pixels))
            if file.mask is not None:
                region = pictures.resized(file.mask, *pixels.shape[:2]) / np.float32(255)
                for name, part in (("psnr_inside", region), ("psnr_outside", 1 - region)):
                    if part.any():
                        figures[name] = pictures.finite(
                            masked_psnr(file.photo.pixels, pixels, part)
                        )
        return pictures.png(pixels, parts_of(file.data, metadata=("icc",))["icc"]), figures

    def file_bytes(self, asked: Mapping[str, Any]) -> bytes:
        """A kept file that suggests the given tau (a number) and steps; both change no symbol."""
        header, sections = bitstream.unpack(self._files.get(asked.get("file")).data)
        tau = requests.number(asked, "tau", 0, 1, header.default_tau / TAU_UNITS)
        steps = requests.number(asked, "steps", 1, 255, header.default_steps, whole=True)
        header = dataclasses.replace(
            header, default_tau=round(TAU_UNITS * tau), default_steps=int(steps)
        )
        return bitstream.pack(header, [(s.type, s.payload) for s in sections])

    def _contents(self, data: bytes, levels: np.ndarray) -> dict[str, Any]:
        """Size, header and parts of a file, and its map as a picture, None for an even one.

        levels: uint8 [h,w] of the latent; its pixels cover `extent`, [width, height] in pixels.
        """
        header, sections = bitstream.unpack(data)
        fields = dataclasses.asdict(header) | {
            "model_id": header.model_id.hex(),
            "colour_mode": header.colour_mode.name.lower(),
            "default_tau": round(header.default_tau / TAU_UNITS, 3),
        }
        parts = {"header": sections[0].offset if sections else len(data)}
        parts |= {section_name(s.type).lower(): s.total_bytes for s in sections}
        shown = None
        if header.num_levels > 1:
            grey = np.rint(255.0 / (header.num_levels - 1) * levels).astype(np.uint8)
            shown = pictures.data_url(grey)
        side = downsampling_of(self._codec.model.config)
        return {
            "bytes": len(data),
            "bpp": 8 * len(data) / (header.width * header.height),
            "width": header.width,
            "height": header.height,
            "fields": fields,
            "parts": parts,
            "importance": shown,
            "extent": [side * n for n in levels.shape[::-1]],
        }
