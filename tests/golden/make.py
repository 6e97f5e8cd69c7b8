"""Adds golden files: `PYTHONPATH=. python tests/golden/make.py`. What is there is never changed.

A golden file is made once, by the version that brought its feature, and every later version must
decode it to the same symbols, and to the same picture up to rounding. To add one, append an entry
to ENTRIES (and a model to miniature.MODELS if it needs one) and run this: it makes what golden.json
does not list yet, refuses to touch anything else, and fails if a file is there that is not listed.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

HERE = Path(__file__).parent
LIST = HERE / "golden.json"
sys.path.insert(0, str(HERE))

import miniature  # noqa: E402

from rdc_jax.bitstream import container  # noqa: E402
from rdc_jax.bitstream.sections import SectionType  # noqa: E402
from rdc_jax.codec import codec as codecs  # noqa: E402
from rdc_jax.codec import metadata_sections  # noqa: E402
from rdc_jax.entropy import importance_coding, latent_coding  # noqa: E402
from rdc_jax.images.image import LoadedImage  # noqa: E402
from rdc_jax.importance.conditions import conditions_of  # noqa: E402


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Waves, a bright disc, and some noise; uint8 [H,W,3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / rng.uniform(3, 14) + y / rng.uniform(3, 14)) for _ in range(3)]
    pixels = np.stack(planes, axis=-1) + rng.normal(0, 12, (height, width, 3))
    disc = (x - 0.4 * width) ** 2 + (y - 0.6 * height) ** 2 < (0.2 * min(height, width)) ** 2
    return np.clip(np.where(disc[..., None], 235, pixels), 0, 255).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 2, (height, width, 3), np.uint8) * np.uint8(255)


def blob(height: int, width: int) -> np.ndarray:
    """A soft region of interest, float in 0..1."""
    y, x = np.mgrid[0:height, 0:width]
    return np.exp(-(((x - 0.3 * width) / 12) ** 2) - (((y - 0.5 * height) / 10) ** 2))


def checks(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return ((y // 16 + x // 16) % 2).astype(bool)


def encoded(pixels: np.ndarray, **options) -> Callable:
    return lambda codec: codec.encode(pixels, **options)


def from_latent(height: int, width: int, timesteps: tuple[int, int], scale: float) -> Callable:
    """A file of a random latent with heavy tails, as no picture has it."""

    def make(codec) -> bytes:
        grid = np.random.default_rng(4).integers(0, 5, (-(-height // 8), -(-width // 8)), np.uint8)
        header = container.Header(
            width=width,
            height=height,
            model_id=codec.model.model_id,
            num_levels=5,
            timestep_background=timesteps[0],
            timestep_roi=timesteps[1],
            cell_size=8,
            dither_seed=2**32 - 1,
            default_steps=1,
            default_tau=255,
        )
        known = conditions_of(header, grid, 8)
        shape = known.height, known.width, codec.entropy.network.latent_channels
        latent = scale * np.random.default_rng(5).standard_cauchy(shape)
        hyper, body, _ = latent_coding.encode_latent(codec.entropy, latent, known)
        coded_map = importance_coding.encode_importance(grid, 5)
        kinds = SectionType.LATENT, SectionType.IMPORTANCE, SectionType.HYPER_LATENT
        return container.pack(header, zip(kinds, (body, coded_map, hyper), strict=True))

    return make


def with_extras(pixels: np.ndarray, **options) -> Callable:
    """A file with all optional sections: a soft alpha plane, sRGB, an EXIF block and XMP."""
    height, width = pixels.shape[:2]
    exif = Image.Exif()
    exif[0x010E] = "golden"
    picture = LoadedImage(
        pixels=pixels,
        alpha=np.uint8(np.rint(255 * blob(height, width))),
        icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    )
    return encoded(pixels, extras=metadata_sections.extras_of(picture), **options)


def digests_of_extras(data: bytes) -> dict[str, str]:
    """SHA-256 of the alpha plane and of each kind of metadata that a file has."""
    parts = metadata_sections.parts_of(data)
    return {
        name: hashlib.sha256(bytes(parts[name])).hexdigest()
        for name in ("alpha", "icc", "exif", "xmp")
        if parts[name] is not None
    }


# Name -> (model, what it is there for, function of a Codec that gives the file's bytes).
ENTRIES: dict[str, tuple[str, str, Callable]] = {
    "plain": ("model", "no options", encoded(picture(64, 64), quality=70)),
    "grey": ("model", "colour mode 1", encoded(picture(40, 48, 1)[..., 1], quality=80)),
    "region": (
        "model",
        "a soft map of eight levels, several timesteps in one picture",
        encoded(picture(64, 96, 2), quality=60, importance=blob(64, 96), roi_gain=500),
    ),
    "checks": (
        "model",
        "a map that changes at every cell; another dither seed",
        encoded(
            picture(80, 64, 3), quality=75, importance=checks(80, 64), roi_gain=300, seed=123456789
        ),
    ),
    "constant_map": (
        "model",
        "eight levels, all cells alike",
        encoded(picture(32, 32, 4), quality=70, levels=np.full((2, 2), 5, np.uint8)),
    ),
    "one_pixel": ("model", "1 x 1: two passes without pixels", encoded(picture(1, 1), quality=90)),
    "one_row": ("model", "a latent of one row", encoded(picture(5, 70, 5), quality=85)),
    "odd": ("model", "33 x 17: the context goes on past both sides",
            encoded(picture(33, 17, 6), quality=80)),
    "continued": ("model", "72 x 40: sides within a hyper-latent's cell, with a map",
                  encoded(picture(72, 40, 7), quality=75, importance=blob(72, 40))),
    "silent": ("model", "most elements silent", encoded(picture(64, 64, 8), quality=35)),
    "all_silent": ("model", "timestep 1000", encoded(picture(48, 48, 9), quality=0)),
    "timestep_0": ("model", "timestep 0, noise: many escapes", encoded(noise(32, 32), quality=100)),
    "both_timesteps": (
        "model",
        "timesteps 1000 and 0 in one file",
        encoded(picture(64, 64, 10), quality=0, importance=checks(64, 64), roi_gain=1000),
    ),
    "tails": (
        "model",
        "escapes up to the largest symbol, cells of 8 pixels, five levels, sections in "
        "another order",
        from_latent(50, 61, (900, 0), 300.0),
    ),
    "mean_scale": ("mean_scale", "one pass, plain rounding", encoded(picture(64, 64), quality=70)),
    "mean_scale_region": (
        "mean_scale",
        "the same with a map, odd sides",
        encoded(picture(83, 97, 2), quality=60, importance=blob(83, 97), roi_gain=400),
    ),
    "mean_scale_noise": (
        "mean_scale",
        "timestep 0, noise",
        encoded(noise(48, 48), quality=100),
    ),
    "zero_context": (
        "before_continued_context",
        "a model without schedule/continued_context, where it matters",
        encoded(picture(72, 40, 7), quality=75, importance=blob(72, 40)),
    ),
    "nothing_silent": (
        "before_silent_scales",
        "a model without schedule/silent_scales, of one step for all channels",
        encoded(picture(44, 60, 11), quality=50, importance=blob(44, 60)),
    ),
    "tiles": (
        "model",
        "2 x 2 tiles of 256 pixels, the last of 38 x 13; tau 0",
        encoded(picture(294, 269, 12), quality=20, tile=256, tau=0.0),
    ),
    "tiles_region": (
        "model",
        "1 x 3 tiles with a map; odd sides within and at the end of the tiles",
        encoded(picture(37, 523, 13), quality=60, importance=blob(37, 523), roi_gain=400,
                tile=256, seed=99),
    ),
    "mean_scale_tiles": (
        "mean_scale",
        "2 x 1 tiles of 512 pixels, the least of a latent of 16 pixels each, with a map",
        encoded(picture(547, 51, 14), quality=60, importance=checks(547, 51), roi_gain=300,
                tile=512),
    ),
    "extras": (
        "model",
        "sections ALPHA, ICC, EXIF, XMP",
        with_extras(picture(33, 41, 15), quality=60),
    ),
    "hyper_latent": (
        "hyper_latent",
        "a learnt step and context for the hyper-latent, with a map",
        encoded(picture(150, 108, 16), quality=60, importance=blob(150, 108), roi_gain=400),
    ),
    "hyper_latent_one_cell": (
        "hyper_latent",
        "the same with one cell: two passes of the hyper-latent without any",
        encoded(picture(23, 9, 17), quality=90),
    ),
    "hyper_latent_tails": (
        "hyper_latent",
        "the same with a latent of heavy tails: many escapes, values of thousands of steps",
        from_latent(70, 61, (900, 0), 300.0),
    ),
    "hyper_latent_tiles": (
        "hyper_latent",
        "the same with 1 x 2 tiles and a map",
        encoded(picture(69, 328, 18), quality=40, importance=blob(69, 328), roi_gain=300,
                tile=256, seed=5),
    ),
}  # fmt: skip


def main() -> None:
    known = json.loads(LIST.read_text()) if LIST.exists() else {"models": {}, "files": {}}
    for name in miniature.MODELS.keys() - known["models"].keys():
        if (HERE / name).exists():
            raise SystemExit(f"{name}/ is there but not in {LIST.name}: nothing is replaced")
        known["models"][name] = miniature.make(HERE / name, name).hex()
        print("model", name)
    for name, (model, reason, make) in ENTRIES.items():
        if name in known["files"]:
            continue
        file, shown = HERE / f"{name}.rdc", HERE / f"{name}.png"
        if file.exists() or shown.exists():
            raise SystemExit(f"{file.name} is there but not in {LIST.name}: nothing is replaced")
        codec = codecs.load(HERE / model)
        data = make(codec)
        _, coded, _ = codec.decode_latent(data)
        pixels = codec.decode(data)
        file.write_bytes(data)
        Image.fromarray(pixels).save(shown, optimize=True)
        known["files"][name] = {
            "for": reason,
            "model": model,
            "format_version": data[4],
            "sha256": hashlib.sha256(data).hexdigest(),
            "symbol_hash": coded.symbol_hash,
        }
        if extras := digests_of_extras(data):
            known["files"][name]["extras"] = extras
        print(f"{name}: {len(data)} bytes")
    LIST.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
