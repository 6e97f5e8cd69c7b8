"""The work of the studio: one codec answers the requests of its pages.

    bench = Workbench(lambda: rdc_jax.load())
    photo = bench.add_photo(data)["photo"]
    coded = bench.encode({"photo": photo, "quality": 40, "mask": None})
    png, figures = bench.decode({"file": coded["file"], "tau": 0.5, "steps": 1})

Files are kept with their symbols, so decoding never encodes again. Requests that need the codec
wait for each other. A wrong request or file raises an RdcError of one line.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.codec.codec import DEFAULT_QUALITY, DEFAULT_ROI_GAIN, Codec
from rdc_jax.codec.report import Report
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.web.studio import (
    figures,
    images,
    other_codecs,
    photos,
    request_fields,
    suggestions,
)
from rdc_jax.web.studio.decoded_file import DecodedFile, decode_symbols
from rdc_jax.web.studio.jobs import Job, Jobs, taking_turns
from rdc_jax.web.studio.photos import Photo
from rdc_jax.web.studio.recent_items import RecentItems

MAX_PIXELS = 24_000_000  # largest photo or file: about a minute on two CPU cores
PHOTOS_KEPT, FILES_KEPT = 3, 8
SYMBOLS_SHARE = 0.15  # of decoding, for progress; the rest are the networks


@dataclasses.dataclass(frozen=True)
class File:
    """An `.rdc` file.

    Attributes:
        data: Its bytes.
        photo: The photo that it was made from; None if it is not known.
        mask: The painted mask, uint8 of any size; None if there is none.
    """

    data: bytes
    photo: Photo | None = None
    mask: np.ndarray | None = None


class Workbench:
    """One codec, and the photos and files that pages have opened."""

    def __init__(self, open_codec: Callable[[], Codec], max_pixels: int = MAX_PIXELS):
        """Makes an empty workbench.

        Args:
            open_codec: Makes the codec when it is first needed.
            max_pixels: Largest number of pixels of photos and files.
        """
        self._open_codec, self._opened = open_codec, None
        self.max_pixels = max_pixels
        self._photos: RecentItems[Photo] = RecentItems("photo", PHOTOS_KEPT)
        self._files: RecentItems[File] = RecentItems("file", FILES_KEPT)
        self._jobs = Jobs()
        self._turn = threading.Lock()  # held while the codec works
        self._last: tuple[str, DecodedFile | None] = ("", None)  # key and symbols of the last file

    @property
    def _codec(self) -> Codec:
        """The codec, only for the thread that holds the turn."""
        if self._opened is None:
            self._opened = self._open_codec()
        return self._opened

    def warm_up(self) -> None:
        """Loads and compiles before the first image arrives."""
        with self._turn:
            data = self._codec.encode(np.zeros((64, 64, 3), np.uint8))
            self._codec.decode(data)

    def is_busy(self) -> bool:
        """Whether a request is using the codec."""
        return self._turn.locked()

    def state(self) -> dict[str, Any]:
        """What a page needs at its start; waits until the codec is loaded."""
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
            "others": other_codecs.available(),
        }

    # Photos and their masks

    def add_photo(self, data: bytes, name: str = "") -> dict[str, Any]:
        """Keeps the image of a file's bytes; `name` is for messages. Raises as `read_image`."""
        return self._keep(photos.read(data, name, self.max_pixels))

    def demo_photo(self) -> dict[str, Any]:
        """Keeps the photograph that comes with the package."""
        return self._keep(photos.demo())

    def _keep(self, photo: Photo) -> dict[str, Any]:
        return {"photo": self._photos.put(photo), **photo.described()}

    def photo_png(self, key: str) -> bytes:
        """A photo as the codec sees it: upright, 8 bits, with its alpha and profile."""
        return images.png(self._photos.get(key).image)

    def suggested_mask(self, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
        """See `suggestions.mask_of`; asked has "photo" too."""
        return suggestions.mask_of(self._photos.get(asked.get("photo")), asked)

    def faces(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """See `suggestions.faces_of`; asked has "photo"."""
        return suggestions.faces_of(self._photos.get(asked.get("photo")))

    # The codec

    def encode(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Encodes a photo; returns the key and the contents of the file.

        asked: photo; quality, or target_kb (1000 bytes); roi_gain; mask, see `request_fields.mask`;
        keep_size, whether a mask leaves the size as it is without one, so that the quality follows;
        job. Raises RdcError for settings out of range, and Stopped.
        """
        photo = self._photos.get(asked.get("photo"))
        mask = request_fields.mask(asked.get("mask"))
        importance = None
        if mask is not None:
            importance = photo.where_visible(images.resized(mask, *photo.image.pixels.shape[:2]))
            if not importance.any():  # painted only where the image is transparent
                mask = importance = None
        target, quality = None, DEFAULT_QUALITY
        if asked.get("target_kb") is not None:
            target = 1000 * request_fields.number(asked, "target_kb", 0.01, 100_000)
        else:
            quality = request_fields.number(asked, "quality", 0, 100, DEFAULT_QUALITY)
        gain = request_fields.number(asked, "roi_gain", 0, 1000, DEFAULT_ROI_GAIN)
        keep = target is None and mask is not None and asked.get("keep_size") is True
        job, begin = self._jobs.get(asked.get("job")), 0.0
        with taking_turns(self._turn, job):
            started = time.perf_counter()
            if keep and quality not in photo.plain_sizes:
                begin = 0.4
                with job.part("encoding", 0.0, begin):
                    self._encoded(photo, job, quality=quality)
            target = photo.plain_sizes[quality] if keep else target
            rate = {"quality": quality} if target is None else _within(target)
            with job.part("encoding", begin, 1.0):
                data, report = self._encoded(
                    photo, job, importance=importance, roi_gain=gain, **rate
                )
            seconds = time.perf_counter() - started
            side = self._codec.model.downsampling
        return {
            "file": self._files.put(File(data, photo, mask)),
            "quality": report.quality,
            "seconds": seconds,
            "note": _missed(len(data), target),
            "bits": images.data_url(images.heat(report.bits_map)),
            **figures.contents(FileReader(data), report.levels, side),
        }

    def _encoded(self, photo: Photo, job: Job, **settings: Any) -> tuple[bytes, Report]:
        """The file of a photo, and what encoding did; `settings` are those of `Codec.encode`."""
        data, report = self._codec.encode(
            photo.image.pixels,
            grey=photo.image.grey,
            extras=photo.extras,
            return_report=True,
            progress=job.report,
            **settings,
        )
        if settings.get("importance") is None and "quality" in settings:
            photo.plain_sizes[settings["quality"]] = len(data)
        return data, report

    def open_file(self, data: bytes, name: str = "") -> dict[str, Any]:
        """Keeps an `.rdc` file; "note" says what is missing in a damaged one.

        name is for messages. Raises RdcError for a file that cannot be decoded at all.
        """
        try:
            header = FileReader(data, max_pixels=container.MAX_SIDE**2, cut_off=True).header
            if header.width * header.height > self.max_pixels:
                raise RdcError(
                    f"its image has {header.width} x {header.height} pixels, more than the "
                    f"studio's limit of {self.max_pixels}; use `rdc decode`"
                )
            with self._turn:
                decoded = decode_symbols(self._codec, data)
                side = self._codec.model.downsampling
                key = self._files.put(File(data))
                self._last = key, decoded
        except RdcError as error:
            raise RdcError(f"'{name or 'the file'}' cannot be opened: {error}") from error
        contents = figures.contents(decoded.opened.reader, decoded.levels, side)
        return {"file": key, "note": decoded.note, **contents}

    def decode(self, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """Decodes a file; returns a PNG, and the seconds with the values of `figures.distances`.

        asked: file; tau, a number or "roi"; steps; job. Raises RdcError for settings out of range,
        and Stopped.
        """
        key = asked.get("file")
        file = self._files.get(key)
        tau = "roi" if asked.get("tau") == "roi" else request_fields.number(asked, "tau", 0, 1)
        steps = request_fields.number(asked, "steps", 1, 255, whole=True)
        job = self._jobs.get(asked.get("job"))
        with taking_turns(self._turn, job):
            started = time.perf_counter()
            with job.part("decoding", 0.0, SYMBOLS_SHARE):
                if self._last[0] != key:
                    self._last = key, decode_symbols(self._codec, file.data)
            with job.part("decoding", SYMBOLS_SHARE, 1.0):
                image = self._last[1].image(self._codec, steps, tau, job.report)
            seconds = time.perf_counter() - started
        original = None if file.photo is None else file.photo.image
        distances = figures.distances(original, image.pixels, file.mask)
        return images.png(image), {"seconds": seconds, **distances}

    def compare(self, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """The photo of a file in another codec at the same size; a PNG, and its figures.

        asked: file; codec, see `other_codecs.at_size`. Alpha, profile and metadata are not counted.
        """
        file = self._files.get(asked.get("file"))
        if file.photo is None:
            raise RdcError("the original is not known; open the photo instead of its .rdc file")
        size = len(file.data) - sum(map(len, file.photo.extras.values()))
        image, found = other_codecs.at_size(file.photo.image, asked.get("codec"), size)
        return images.png(image), found | figures.distances(
            file.photo.image, image.pixels, file.mask
        )

    def progress(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The "stage" and the "share" (0 to 1) of a job."""
        job = self._jobs.get(asked.get("job"))
        return {"stage": job.stage, "share": job.share}

    def stop(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Stops a job at the next opportunity."""
        self._jobs.get(asked.get("job")).stop()
        return {}

    def file_bytes(self, asked: Mapping[str, Any]) -> bytes:
        """A file that suggests the given tau (a number) and steps; neither changes its symbols."""
        header, sections = container.unpack(self._files.get(asked.get("file")).data)
        tau = request_fields.number(asked, "tau", 0, 1, header.default_tau / TAU_UNITS)
        steps = request_fields.number(asked, "steps", 1, 255, header.default_steps, whole=True)
        header = dataclasses.replace(
            header, default_tau=round(TAU_UNITS * tau), default_steps=int(steps)
        )
        return container.pack(header, [(s.type, s.payload) for s in sections])


def _within(target: float) -> dict[str, Any]:
    """The settings that code as well as possible within a size in bytes."""
    return {"target_bytes": target, "best_effort": True}


def _missed(size: int, target: float | None) -> str:
    """A note if a file is larger than its target; sizes in bytes."""
    if target is None or size <= target:
        return ""
    return (
        f"The smallest file of this photo takes {size_text(size)}, more than the "
        f"{size_text(target)} asked for."
    )
