"""Every TIFF layout that tifffile can write is read as tifffile reads it, or refused."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image, ImageCms

from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, read_image
from rdc_jax.images.reading import from_pillow
from tests.images.files import WIDE, eight, png, saved, tiff, tiff_file

HEIGHT, WIDTH = 11, 18
SAMPLES = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # by photometric, without alpha
NONE, UNSPECIFIED, ASSOCIATED, UNASSOCIATED = None, 0, 1, 2
TYPES = {
    **{(bits, "u"): "u1" for bits in (1, 2, 4, 8)},
    **{(16, "u"): "u2", (32, "u"): "u4", (8, "i"): "i1", (16, "i"): "i2", (32, "i"): "i4"},
    **{(16, "f"): "f2", (32, "f"): "f4", (64, "f"): "f8"},
}
# (photometric, planes, alpha) that must be read, by bits and kind; anything else may be refused.
GREYS = {(0, 1, NONE), (1, 1, NONE)}
RGB = {(2, 1, alpha) for alpha in (NONE, UNSPECIFIED, ASSOCIATED, UNASSOCIATED)}
RGB |= {(2, 2, NONE), (2, 2, UNASSOCIATED)}
CMYK = {(5, planar, alpha) for planar in (1, 2) for alpha in (NONE, UNSPECIFIED)}
MUST = {
    **{(bits, "u"): GREYS for bits in (1, 2, 4)},
    (8, "u"): GREYS | RGB | CMYK | {(3, 1, NONE), (6, 1, NONE), (8, 1, NONE)}
    | {(1, 1, alpha) for alpha in (UNSPECIFIED, ASSOCIATED, UNASSOCIATED)},
    (16, "u"): GREYS | RGB | {(5, 1, NONE)},
    (32, "f"): GREYS,
}  # fmt: skip
MAY = {(2, 2, UNSPECIFIED), (5, 2, UNSPECIFIED)}  # depends on how the planes are compressed
NOT_BY_PILLOW = {(16, 0, ">")}  # bits, photometric and byte order


def written(bits, kind, photometric, planar, alpha, order, compression):
    """A TIFF file of random samples, the samples [H,W,C], and its palette; None if impossible."""
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    rng = np.random.default_rng([bits, photometric, planar])
    count = SAMPLES[photometric] + (alpha is not NONE)
    shape, dtype = (HEIGHT, WIDTH, count), np.dtype(TYPES[bits, kind])
    if kind == "f":
        samples = rng.random(shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        samples = rng.integers(limits.min, min(limits.max, 2**bits - 1), shape, dtype, True)
    options: dict = {"bitspersample": bits} if bits < 8 else {}
    if photometric == 3:
        options["colormap"] = rng.integers(0, 65536, (3, 2 ** min(bits, 16)), np.uint16)
    if count > 1:
        options["planarconfig"] = planar
    elif planar == 2:
        return None
    laid_out = samples if planar == 1 else np.moveaxis(samples, -1, 0)
    file = io.BytesIO()
    try:
        tifffile.imwrite(
            file, laid_out[..., 0] if count == 1 else laid_out, byteorder=order,
            photometric=photometric, compression=compression, metadata=None,
            extrasamples=None if alpha is NONE else [alpha], **options,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, NotImplementedError):
        return None  # tifffile does not write this
    back = tifffile.imread(io.BytesIO(file.getvalue())).reshape(laid_out.shape)
    np.testing.assert_array_equal(back, laid_out)
    return file.getvalue(), samples, options.get("colormap")


def interpreted(samples, palette, bits, kind, photometric, alpha):
    """Colours float [H,W,1 or 3] and alpha float [H,W] or None, 0 to 255, as TIFF 6.0 says."""
    full = 1.0 if kind == "f" else 2.0**bits - 1
    if photometric == 3:
        return np.moveaxis(palette[:, samples[..., 0]], 0, -1) / 257.0, None
    shares = samples.astype(np.float64) / full
    colours, plane = shares[..., : SAMPLES[photometric]], None
    if alpha in (ASSOCIATED, UNASSOCIATED):
        plane = shares[..., -1]
        if alpha == ASSOCIATED:
            colours = np.clip(colours / np.maximum(plane, 1e-9)[..., None], 0, 1)
    if photometric == 0:
        colours = 1 - colours
    elif photometric == 5:
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    elif photometric == 6:
        y, blue, red = np.moveaxis(255.0 * colours, -1, 0) - [[[0]], [[128]], [[128]]]
        colours = np.stack(
            [y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1
        )
        colours = np.clip(colours, 0, 255) / 255
    return 255 * colours, None if plane is None else 255 * plane


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("bits", "kind"), TYPES)
def test_every_layout(bits, kind, compression):
    read = set()
    for layout in itertools.product(SAMPLES, (1, 2), (NONE, 0, 1, 2), "<>"):
        photometric, planar, alpha, order = layout
        file = written(bits, kind, photometric, planar, alpha, order, compression)
        if file is None:
            continue
        try:
            image = read_image(io.BytesIO(file[0]), keep_alpha=True)
        except RdcError as error:
            assert re.search("not supported|scale them to", str(error)), layout
            assert "\n" not in str(error)
            continue
        read.add((photometric, planar, alpha, order))
        if photometric != 8:  # see test_lab
            assert_equal(image, *interpreted(*file[1:], bits, kind, photometric, alpha), layout)
    wanted = {
        (*layout, order)
        for layout, order in itertools.product(MUST.get((bits, kind), ()), "<>")
        if (bits, layout[0], order) not in NOT_BY_PILLOW
    }
    if bits < 8 and compression:
        wanted = set()  # tifffile does not write these
    either = {layout for layout in read | wanted if layout[:3] in MAY}
    assert read - either == wanted - either


def assert_equal(image: LoadedImage, colours, plane, layout) -> None:
    seen = np.ones((HEIGHT, WIDTH), bool) if image.alpha is None else image.alpha > 0
    within = 2.0 if layout[0] in (5, 6) else 1.01  # products of 8 bits are rounded once more
    assert np.abs(image.pixels - colours)[seen].max() <= within, layout
    assert (plane is None) == (image.alpha is None), layout
    if plane is not None:
        assert np.abs(image.alpha - plane).max() <= 1, layout
    assert image.grey == (layout[0] in (0, 1)), layout


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_lab(compression):
    """The axes a and b are signed, as TIFF 6.0 says."""
    tifffile = pytest.importorskip("tifffile")
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    for colour in (128, 128, 128), (180, 70, 60), (60, 90, 170), (90, 160, 80):
        lab = ImageCms.applyTransform(Image.new("RGB", (5, 4), colour), to_lab)
        samples = np.frombuffer(lab.tobytes(), np.uint8).reshape(4, 5, 3)  # signed, as in TIFF
        file = io.BytesIO()
        tifffile.imwrite(file, samples, photometric=8, compression=compression, metadata=None)
        pixels = read_image(io.BytesIO(file.getvalue())).pixels
        assert np.abs(pixels.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_palettes(bits):
    """tifffile writes palettes of 8 bits only."""
    palette = np.random.default_rng(0).integers(0, 65536, (3, 2**bits))
    indices = np.arange(8 * 5).reshape(5, 8) % 2**bits
    ones = np.unpackbits(indices.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    data = np.packbits(ones.reshape(5, -1), axis=-1).tobytes()
    for order in "<>":
        tags = {258: bits, 259: 1, 262: 3, 277: 1, 320: palette.ravel().tolist()}
        pixels = read_image(io.BytesIO(tiff_file(8, 5, tags, data, order))).pixels
        expected = np.moveaxis(palette[:, indices], 0, -1) / 257
        assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_in_planes_and_tiles(order, alpha):
    tifffile = pytest.importorskip("tifffile")
    samples = np.tile(WIDE, (3, 3, 1))[..., : 4 if alpha else 3]
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.moveaxis(samples, -1, 0), planarconfig=2, photometric=2, tile=(16, 16),
        byteorder=order, extrasamples=[2] if alpha else None, metadata=None,
    )  # fmt: skip
    image = read_image(io.BytesIO(file.getvalue()), keep_alpha=True)
    seen = slice(None) if image.alpha is None else image.alpha > 0
    np.testing.assert_array_equal(image.pixels[seen], eight(samples[..., :3])[seen])


def test_what_other_tags_declare():
    """Tags that Pillow ignores: the file is refused and the reason named."""
    grey = np.zeros((4, 6), np.uint8)
    ycbcr = np.zeros((4, 4, 3), np.uint8)
    for image, mode, tags, words in (
        (ycbcr, "YCbCr", {530: (2, 2)}, "subsampled"),
        (ycbcr, "YCbCr", {530: (1, 1), 532: (16.0, 235.0, 128.0, 240.0, 128.0, 240.0)}, "range"),
        (ycbcr, "YCbCr", {530: (1, 1), 529: (0.2126, 0.7152, 0.0722)}, "coefficients"),
        (np.dstack([ycbcr, grey[:, :4]]), "CMYK", {332: 2}, "inks"),
        (grey, "L", {254: 1, 330: 8}, "small preview"),
    ):
        file = saved(Image.fromarray(image, mode), "TIFF", tiffinfo=tags)
        with pytest.raises(RdcError, match=words):
            read_image(io.BytesIO(file))


def test_an_old_palette_of_eight_bits():
    tifffile = pytest.importorskip("tifffile")
    palette = np.arange(768).reshape(3, 256).astype(np.uint16) % 251
    file = io.BytesIO()
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tifffile.imwrite(file, indices, photometric=3, colormap=palette, metadata=None)
    pixels = read_image(io.BytesIO(file.getvalue())).pixels
    np.testing.assert_array_equal(pixels, np.moveaxis(palette[:, indices], 0, -1))


def test_a_pil_image_of_a_tiff_file():
    """`Image.open` alone reads the same files wrongly; what cannot be repaired is refused."""
    tifffile = pytest.importorskip("tifffile")
    for dtype, full in ((np.uint16, 65535), (np.float32, 1)):
        file = io.BytesIO()
        tifffile.imwrite(file, np.full((4, 4), full, dtype), photometric=0, metadata=None)
        with Image.open(file) as image:
            assert (from_pillow(image).pixels == 0).all()
    file = io.BytesIO()
    samples = np.zeros((3, 4, 4), np.uint16)
    tifffile.imwrite(file, samples, photometric=2, planarconfig=2, metadata=None)
    with Image.open(file) as image, pytest.raises(RdcError, match="give its path instead"):
        from_pillow(image)
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((4, 4), np.int16), photometric=1, metadata=None)
    with Image.open(file) as image, pytest.raises(RdcError, match="16-bit signed grey"):
        from_pillow(image)


def test_the_message_names_the_layout():
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    samples = np.zeros((4, 4, 2), np.uint16)
    tifffile.imwrite(file, samples, photometric=1, extrasamples=[2], metadata=None)
    with pytest.raises(RdcError, match="of 16-bit grey with alpha, which is not supported"):
        read_image(io.BytesIO(file.getvalue()))
    assert read_image(io.BytesIO(tiff(WIDE, "<"))).pixels.shape == WIDE[..., :3].shape
    assert read_image(io.BytesIO(png(WIDE))).pixels.shape == WIDE[..., :3].shape
