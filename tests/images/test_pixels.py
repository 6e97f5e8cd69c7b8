import errno
import io
import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write, read_image, reading, write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
GREY = np.repeat(PIXELS[..., :1], 3, axis=-1)


def file_of(image, file_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    file.seek(0)
    return file


def one_line(error):
    return "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".TIFF", ".bmp", ".ppm"])
@pytest.mark.parametrize("grey", [False, True])
def test_lossless_round_trip(tmp_path, suffix, grey):
    pixels = GREY if grey else PIXELS
    path = tmp_path / f"image{suffix}"
    write_image(path, pixels, grey=grey)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.writeable
    assert image.grey == (grey and suffix not in (".webp", ".ppm"))
    assert image.icc is None and image.exif is None and image.xmp is None


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
@pytest.mark.parametrize("grey", [False, True])
def test_jpeg_keeps_size_and_channels(tmp_path, suffix, grey):
    write_image(tmp_path / f"image{suffix}", GREY, grey=grey)
    image = read_image(str(tmp_path / f"image{suffix}"))
    assert image.pixels.shape == PIXELS.shape and image.grey == grey
    assert np.abs(image.pixels.astype(int) - GREY).mean() < 8


def test_orientation_is_applied_and_removed_and_metadata_kept():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    source = Image.fromarray(PIXELS)
    file = file_of(source, exif=exif.tobytes(), icc_profile=b"profile")
    image = read_image(file)
    np.testing.assert_array_equal(image.pixels, np.rot90(PIXELS, -1))
    kept = Image.Exif()
    kept.load(image.exif)
    assert kept[0x010E] == "a description" and kept[0x0112] == 1
    assert image.icc == b"profile" and image.source_mode == "RGB"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
    assert read_image(file_of(source, "JPEG", xmp=xmp)).xmp == xmp


def test_sixteen_bit_grey_is_scaled_to_eight():
    wide = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    image = read_image(file_of(Image.fromarray(wide)))
    assert image.pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert image.grey and image.pixels.shape == (1, 6, 3)


@pytest.mark.parametrize("background", [0, 255])
def test_alpha_is_composited(background):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0], rgba[0, :, 3] = 200, [0, 255, 51]
    image = read_image(file_of(Image.fromarray(rgba)), background=background)
    expected = [background, 200, round(0.2 * 200 + 0.8 * background)]
    assert image.pixels[0, :, 0].tolist() == expected and not image.grey
    grey = read_image(file_of(Image.fromarray(rgba).convert("LA")), background=background)
    assert grey.grey and grey.pixels[0, 0].tolist() == [background] * 3


def test_other_modes():
    source = Image.fromarray(PIXELS)
    palette = read_image(file_of(source.convert("P")))
    assert palette.source_mode == "P" and not palette.grey
    assert read_image(file_of(Image.fromarray(GREY).convert("L").convert("P"))).grey
    bits = read_image(file_of(source.convert("1")))
    assert bits.grey and set(np.unique(bits.pixels)) <= {0, 255}
    cmyk = read_image(file_of(source.convert("CMYK"), "TIFF", icc_profile=b"cmyk"))
    assert cmyk.pixels.shape == PIXELS.shape and cmyk.icc is None and cmyk.source_mode == "CMYK"


def test_transparent_palette_and_key_colour():
    source = Image.new("P", (2, 1))
    source.putpalette([10, 20, 30, 40, 50, 60])
    source.putdata([0, 1])
    image = read_image(file_of(source, transparency=0))
    assert image.pixels[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    key = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    image = read_image(file_of(key, transparency=(1, 2, 3)), background=0)
    assert image.pixels[0].tolist() == [[0, 0, 0], [4, 5, 6]]


def test_first_frame_of_an_animation():
    frames = [Image.new("L", (4, 4), v) for v in (10, 200)]
    image = read_image(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (image.pixels == 10).all()


def test_standard_input(monkeypatch):
    file = file_of(Image.fromarray(PIXELS))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
    np.testing.assert_array_equal(read_image("-").pixels, PIXELS)


def test_read_errors_are_one_line_and_name_the_file(tmp_path):
    with pytest.raises(RdcError, match=r"missing\.png") as error:
        read_image(tmp_path / "missing.png")
    assert one_line(error)
    with pytest.raises(RdcError, match=str(tmp_path)):
        read_image(tmp_path)
    text = tmp_path / "text.png"
    text.write_text("hello")
    with pytest.raises(RdcError, match=r"text\.png.* not an image"):
        read_image(text)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(file_of(Image.fromarray(PIXELS), "JPEG").getvalue()[:-40])
    with pytest.raises(RdcError, match=r"cut\.jpg.*damaged") as error:
        read_image(cut)
    assert one_line(error)


def test_too_many_pixels(tmp_path, monkeypatch):
    write_image(tmp_path / "image.png", PIXELS)
    with pytest.raises(RdcError, match=r"image\.png.*17 x 13"):
        read_image(tmp_path / "image.png", max_pixels=220)
    assert read_image(tmp_path / "image.png", max_pixels=221).pixels.shape == PIXELS.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(RdcError, match="too many pixels"):
        read_image(tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    read_image(tmp_path / "image.png")  # between Pillow's warning and its limit: no warning


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]),
    st.integers(0, 700),
    st.integers(0, 255),
    st.booleans(),
)
def test_damaged_files_fail_only_with_one_line(file_format, position, value, cut):
    data = bytearray(file_of(Image.fromarray(PIXELS), file_format).getvalue())
    position %= len(data)
    data[position] = value
    if cut:
        del data[position:]
    try:
        image = read_image(io.BytesIO(data), max_pixels=10**6)
    except RdcError as error:
        assert "\n" not in str(error)
    else:
        assert image.pixels.dtype == np.uint8 and image.pixels.shape[2] == 3


def test_write_errors(tmp_path):
    with pytest.raises(RdcError, match=r"\.png"):
        write_image(tmp_path / "image.xyz", PIXELS)
    with pytest.raises(ValueError, match="uint8"):
        write_image(tmp_path / "image.png", PIXELS.astype(np.float32))
    with pytest.raises(RdcError, match="WEBP"):
        write_image(tmp_path / "image.webp", np.zeros((1, 16384, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_replaces_only_when_allowed(tmp_path):
    path = tmp_path / "out.rdc"
    atomic_write(path, b"one", overwrite=False)
    with pytest.raises(RdcError, match="exists"):
        atomic_write(path, b"two", overwrite=False)
    assert path.read_bytes() == b"one"
    atomic_write(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    with pytest.raises(RdcError, match="folder"):
        atomic_write(tmp_path, b"", overwrite=True)
    with pytest.raises(RdcError, match="create it"):
        atomic_write(tmp_path / "missing" / "out.rdc", b"", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out.rdc"]


def test_a_file_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
    path, seen = tmp_path / "out.rdc", []
    path.write_bytes(b"old")
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor):
        (temporary,) = (p for p in tmp_path.iterdir() if p != path)
        seen.append(("sync", temporary.read_bytes(), path.read_bytes()))
        sync(descriptor)

    def noted_replace(source, target):
        seen.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    atomic_write(path, b"new", overwrite=True)
    assert seen == [("sync", b"new", b"old"), "replace"] and path.read_bytes() == b"new"
    atomic_write("/dev/null", b"data", overwrite=True)
    assert len(seen) == 2

    def failing(code):
        def fail(descriptor):
            raise OSError(code, os.strerror(code))

        return fail

    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(RdcError, match="cannot write"):
        atomic_write(path, b"newer", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out.rdc"] and path.read_bytes() == b"new"
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))  # a file system without fsync
    atomic_write(path, b"newer", overwrite=True)
    assert path.read_bytes() == b"newer"


def test_atomic_write_follows_links(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"new", overwrite=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    path = tmp_path / "out.rdc"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RdcError if isinstance(error, OSError) else KeyboardInterrupt):
        atomic_write(path, b"new", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out.rdc"] and path.read_bytes() == b"old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_devices_are_written_to_directly():
    atomic_write("/dev/null", b"data", overwrite=False)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(RdcError, match="No space"):
        atomic_write("/dev/full", b"data", overwrite=False)


def test_standard_output(capfdbinary):
    atomic_write("-", b"\x00bytes", overwrite=False)
    assert capfdbinary.readouterr().out == b"\x00bytes"


def test_pillows_limit_is_restored_in_any_order_of_reads(monkeypatch):
    limit, larger = Image.MAX_IMAGE_PIXELS, reading.MAX_PIXELS + 1
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # restored even if the test fails
    for sizes in ((larger, reading.MAX_PIXELS), (larger, larger)):
        first, second = (reading._pillows_limit_lifted(size) for size in sizes)
        first.__enter__()
        second.__enter__()
        assert Image.MAX_IMAGE_PIXELS is None
        first.__exit__(None, None, None)
        assert Image.MAX_IMAGE_PIXELS == (None if sizes[1] == larger else limit)
        second.__exit__(None, None, None)
        assert Image.MAX_IMAGE_PIXELS == limit
