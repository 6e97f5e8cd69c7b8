"""What is fuzzed: each target takes any bytes and may raise nothing but RdcError.

Targets of the entropy stage run on the golden miniature models, without JAX and the networks, so
that thousands (container, map, symbols) or hundreds (latents, files) of inputs are tried a second.
"""

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.bitstream import container as bitstream
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.cli.commands import info
from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.decoding import opened_file
from rdc_jax.decoding.sampling import SamplingOptions
from rdc_jax.entropy import coded_latent, coder, importance_coding, latent_coding, tables
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.model_folder import codec_model
from tests.fuzz import mutations

GOLDEN = Path(__file__).parents[1] / "golden"
MAX_PIXELS = 1 << 16  # of a file that is decoded here; larger ones must be refused by then


class Target(NamedTuple):
    """run(data): decodes. seeds(): inputs to start from. mutate(data, random, other): a change."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, random.Random, bytes], bytes]


def table_number_in_range(scale_index, phase):
    """As the coder's own, which must never be asked for a table that is not there."""
    number = tables.table_number(scale_index, phase)
    assert not number.size or number.max() < tables.NUM_TABLES, "a table index is out of range"
    return number


coder.table_number = table_number_in_range


@functools.cache
def files() -> dict[str, tuple[bytes, str]]:
    """Golden files: name -> (bytes, model)."""
    listed = json.loads((GOLDEN / "golden.json").read_text())["files"]
    return {k: ((GOLDEN / f"{k}.rdc").read_bytes(), v["model"]) for k, v in listed.items()}


@functools.cache
def model(name: str) -> tuple[codec_model.Model, EntropyModel, int]:
    loaded = codec_model.load(GOLDEN / name)
    entropy = EntropyModel.from_arrays(loaded.entropy)
    return loaded, entropy, loaded.downsampling


@functools.cache
def small_files() -> list[bytes]:
    return [data for data, _ in files().values() if len(data) < 400]


def container(data: bytes) -> None:
    bitstream.unpack(data)


def importance_map(data: bytes) -> None:
    """Three bytes say the number of levels and the size, the others are the payload."""
    levels, height, width = (*data[:3], 0, 0, 0)[:3]
    shape = 1 + height % 24, 1 + width % 24
    grid = importance_coding.decode_importance(data[3:], shape, levels + 1)
    assert grid.shape == shape and grid.max() <= levels


@functools.cache
def map_seeds() -> list[bytes]:
    rng, seeds = np.random.default_rng(1), []
    for levels in (1, 2, 3, 8, 17, 256):
        for height, width in ((1, 1), (3, 7), (12, 20)):
            smooth = np.add.outer(np.arange(height) // 3, np.arange(width) // 4) % levels
            for grid in (smooth, rng.integers(0, levels, (height, width))):
                payload = importance_coding.encode_importance(grid.astype(np.uint8), levels)
                seeds.append(bytes([levels - 1, height - 1, width - 1]) + payload)
    return seeds


def symbols(data: bytes) -> None:
    """Two bytes choose scale indexes and phases of three passes, the others are a stream."""
    decoder = coder.SymbolDecoder(model("model")[1].bank, data[2:])
    for scale_index, phase in passes(data[:2]):
        found = decoder.decode(scale_index, phase)
        assert np.abs(found).max(initial=0) <= tables.MAX_ABS_SYMBOL
    decoder.finish()


def passes(choice: bytes) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(int.from_bytes(choice, "big") % 97)
    low = rng.integers(0, 60)
    sizes = rng.integers(0, 60, 3)
    return [
        (rng.integers(low, 80, n).astype(np.uint8), rng.integers(0, 32, n).astype(np.uint8))
        for n in sizes
    ]


@functools.cache
def symbol_seeds() -> list[bytes]:
    seeds = []
    for number in range(40):
        choice = number.to_bytes(2, "big")
        rng = np.random.default_rng(number)
        encoder = coder.SymbolEncoder(model("model")[1].bank)
        for scale_index, phase in passes(choice):
            spread = tables.relative_scale(scale_index) * rng.standard_t(2, scale_index.size)
            values = np.clip(np.rint(spread), -(2**20) + 1, 2**20 - 1).astype(np.int32)
            encoder.encode(values, scale_index, phase)
        seeds.append(choice + encoder.finish())
    return seeds


LATENTS = ("odd", "mean_scale", "one_row", "nothing_silent", "tails")


@functools.cache
def streams(name: str) -> tuple[EntropyModel, dict[int, bytes], coded_latent.Conditions]:
    data, model_name = files()[name]
    _, entropy, f = model(model_name)
    header, sections = bitstream.unpack(data)
    payloads = {section.type: section.payload for section in sections}
    grid = importance_coding.decode_importance(payloads[1], header.map_shape, header.num_levels)
    return entropy, payloads, conditions_of(header, grid, f)


def latent_stream(data: bytes, kind: SectionType) -> None:
    """The first byte chooses the golden file one of whose streams the others replace."""
    entropy, payloads, known = streams(LATENTS[(*data[:1], 0)[0] % len(LATENTS)])
    payloads = payloads | {kind: data[1:]}
    hyper, body = (
        payloads[SectionType.HYPER_LATENT],
        payloads[SectionType.LATENT],
    )
    coded = latent_coding.decode_latent(entropy, hyper, body, known)
    for array in (coded.yhat, coded.mean, coded.scale):
        assert np.all(np.isfinite(array))


def stream_seeds(kind: SectionType) -> list[bytes]:
    return [bytes([i]) + streams(name)[1][kind] for i, name in enumerate(LATENTS)]


def metadata(data: bytes) -> None:
    """`rdc info`: every field and section as text and as JSON."""
    content = info.contents(data, MAX_PIXELS)
    json.dumps(content)
    info.describe("file", content)


def whole(data: bytes) -> None:
    """The entropy stage of a whole file, by the model that it names, else the first."""
    known = {model(name)[0].model_id: name for name in model_names()}
    header, _ = bitstream.unpack(data, max_pixels=MAX_PIXELS)
    loaded, entropy, _ = model(known.get(header.model_id, "model"))
    header, coded, conditions = file_decoding.decode_latent(
        data, loaded, entropy, max_pixels=opened_file.PIECE_SHARE * MAX_PIXELS
    )
    assert coded.yhat.shape[:2] == (conditions.height, conditions.width)
    assert np.all(np.isfinite(coded.yhat)) and np.all(coded.scale > 0)
    SamplingOptions(steps=1).resolved(header, conditions, loaded)


def model_names() -> list[str]:
    return sorted({name for _, name in files().values()})


def file_or_bytes(data: bytes, random: random.Random, other: bytes) -> bytes:
    """Mostly with checksums made right."""
    if random.random() < 0.1:
        return mutations.change(data, random, other)
    return mutations.change_file(data, random, other)


HYPER, LATENT = SectionType.HYPER_LATENT, SectionType.LATENT
TARGETS = {
    "container": Target(container, small_files, file_or_bytes),
    "map": Target(importance_map, map_seeds, mutations.change),
    "symbols": Target(symbols, symbol_seeds, mutations.change),
    "hyper_latent": Target(
        functools.partial(latent_stream, kind=HYPER),
        functools.partial(stream_seeds, HYPER),
        mutations.change,
    ),
    "latent": Target(
        functools.partial(latent_stream, kind=LATENT),
        functools.partial(stream_seeds, LATENT),
        mutations.change,
    ),
    "metadata": Target(metadata, small_files, file_or_bytes),
    "whole": Target(whole, small_files, file_or_bytes),
}
