"""A small file that says it is a large picture costs next to nothing until that is allowed."""

import time
import tracemalloc

import numpy as np
import pytest

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.cli import main
from rdc_jax.cli.commands import encode, info
from rdc_jax.decoding import decoder
from rdc_jax.entropy import latent_coding
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.model_folder import codec_model

REFUSAL_BYTES, REFUSAL_SECONDS = 1 << 20, 2.0
BYTES_PER_PIXEL = 230  # of the entropy stage with the shipped model; about 180 were measured
SIDE = 256


@pytest.fixture(scope="module")
def model():
    return codec_model.load()


def file_of(model, width, height, cell_size=16, payloads=(b"", b"", b"")) -> bytes:
    header = container.Header(
        width=width,
        height=height,
        model_id=model.model_id,
        num_levels=1,
        timestep_background=400,
        timestep_roi=400,
        cell_size=cell_size,
        dither_seed=0,
        default_steps=1,
        default_tau=0,
    )
    kinds = SectionType.IMPORTANCE, SectionType.HYPER_LATENT, SectionType.LATENT
    return container.pack(header, zip(kinds, payloads, strict=True))


@pytest.fixture(scope="module")
def entropy(model):
    return EntropyModel.from_arrays(model.entropy)


@pytest.mark.parametrize(
    ("width", "height", "cell", "message"),
    [
        (2**20, 2**20, 16, "1048576 x 1048576 pixels, more than the limit of 268435456"),
        (2**20, 257, 2**15, "more than the limit of 268435456"),
        (2**14, 2**14, 1, "268435456 cells, more than the limit of 16777216"),
    ],
)
def test_what_is_too_large_is_refused_before_anything_is_allocated(
    model, entropy, width, height, cell, message
):
    data = file_of(model, width, height, cell)
    assert len(data) < 70
    for decode in (
        lambda: container.unpack(data),
        lambda: decoder.decode_latent(data, model, entropy),
        lambda: info.contents(data, container.DEFAULT_MAX_PIXELS),
    ):
        started = time.process_time()
        tracemalloc.start()
        try:
            with pytest.raises(RdcError, match=message):
                decode()
            assert tracemalloc.get_traced_memory()[1] < REFUSAL_BYTES
        finally:
            tracemalloc.stop()
        assert time.process_time() - started < REFUSAL_SECONDS


def tiled(model, width, height, side, count):
    """A file of empty tiles, its index right."""
    whole = container.unpack(file_of(model, width, height))[0]
    payload = tile_index.pack(side, [(b"", b"")] * count)
    return container.pack(whole, [(SectionType.IMPORTANCE, b""), (SectionType.TILES, payload)])


@pytest.mark.parametrize(
    ("width", "height", "side", "message"),
    [
        (2**14, 2**12, None, "16384 x 4096 pixels, more than the limit of 33554432 without tiles"),
        (2**20, 2**5 + 1, None, "more than the limit of 33554432 without tiles"),
        (2**13, 2**13, 2**13, "8192 x 8192 pixels, more than the limit of 33554432 for a tile"),
    ],
)
def test_a_piece_that_is_too_large_is_refused_before_anything_is_allocated(
    model, entropy, width, height, side, message
):
    data = file_of(model, width, height) if side is None else tiled(model, width, height, side, 1)
    assert len(data) < 100
    info.contents(data, container.DEFAULT_MAX_PIXELS)
    limit = 8 * width * height
    tracemalloc.start()
    try:
        with pytest.raises(RdcError, match=f"{message}.*raise that to {limit} if you trust"):
            decoder.decode_latent(data, model, entropy)
        assert tracemalloc.get_traced_memory()[1] < (16 << 20 if side else REFUSAL_BYTES)
    finally:
        tracemalloc.stop()


def test_the_limit_of_a_piece_is_an_eighth(model, entropy):
    for data, size in ((file_of(model, 300, 200), 60_000), (tiled(model, 300, 256, 256, 2), 65536)):
        with pytest.raises(RdcError, match="more than the limit"):
            decoder.decode_latent(data, model, entropy, 8 * size - 1)
        with pytest.raises(RdcError, match="damaged"):  # which the streams are
            decoder.decode_latent(data, model, entropy, 8 * size)
    sound = dict(height=2**13, width=2**12)
    assert encode.pieces_note(**sound, tile=0) == encode.pieces_note(**sound, tile=2**13) == ""
    assert encode.pieces_note(2**14, 2**14, None) == encode.pieces_note(2**14, 2**14, 4096) == ""
    assert "needs --max-pixels 536870912;" in encode.pieces_note(2**13, 2**13, 0)
    assert "needs --max-pixels 536870912;" in encode.pieces_note(2**14, 2**14, 2**13)


def test_the_limit_is_the_callers(model):
    data = file_of(model, 300, 200)
    assert container.unpack(data, max_pixels=60_000)[0].width == 300
    with pytest.raises(RdcError, match="raise max_pixels if"):
        container.unpack(data, max_pixels=59_999)


@pytest.mark.parametrize("command", ["decode", "info"])
def test_the_commands_refuse_in_one_line_and_write_nothing(model, tmp_path, capsys, command):
    (tmp_path / "bomb.rdc").write_bytes(file_of(model, 2**20, 2**20))
    assert main.main([command, str(tmp_path / "bomb.rdc")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--max-pixels" in error
    (tmp_path / "small.rdc").write_bytes(file_of(model, 300, 200))
    assert main.main([command, str(tmp_path / "small.rdc"), "--max-pixels", "59999"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb.rdc", "small.rdc"]


def test_memory_of_the_entropy_stage_is_linear_in_the_declared_pixels(model, entropy):
    known = conditions_of(
        container.unpack(file_of(model, SIDE, SIDE))[0], np.zeros((16, 16), np.uint8), 8
    )
    shape = known.height, known.width, entropy.network.latent_channels
    latent = np.random.default_rng(0).normal(0, 30, shape)
    hyper, body, _ = latent_coding.encode_latent(entropy, latent, known)
    sound = file_of(model, SIDE, SIDE, payloads=(b"", hyper, body))
    damaged = file_of(model, SIDE, SIDE, payloads=(b"", hyper, bytes([255] * 40)))
    decoder.decode_latent(sound, model, entropy)  # tables are kept from here on
    for data, outcome in ((sound, None), (damaged, RdcError)):
        tracemalloc.start()
        try:
            if outcome is None:
                decoder.decode_latent(data, model, entropy)
            else:
                with pytest.raises(outcome):
                    decoder.decode_latent(data, model, entropy)
            assert tracemalloc.get_traced_memory()[1] < BYTES_PER_PIXEL * SIDE * SIDE
        finally:
            tracemalloc.stop()
