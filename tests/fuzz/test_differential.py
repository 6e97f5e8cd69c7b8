"""Of changed files, package and independent decoder accept the same ones, and agree on them."""

import random

import pytest

from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.errors import RdcError
from tests.fuzz import mutations, part_targets
from tests.fuzz.targets import GOLDEN, files, model
from tests.independent import decoder
from tests.independent.container import Damaged

SMALL = ("one_pixel", "one_row", "odd", "constant_map", "mean_scale_noise", "zero_context")
MAX_PIXELS = 8 * 4096  # 4096 in one piece
RUNS = 40


TILED = ("tiles_region", "mean_scale_tiles")
TILED_PIXELS = 1 << 15


@pytest.mark.parametrize("name", (*SMALL, *TILED))
def test_both_accept_the_same_files_and_read_the_same_symbols(name):
    generator = random.Random(name)
    data, model_name = files()[name]
    loaded, entropy, _ = model(model_name)
    outcomes = set()
    for _ in range(RUNS):
        changed, max_pixels = mutations.change_file(data, generator, data), MAX_PIXELS
        if name in TILED:
            choice = bytes(part_targets.CHOICE_BYTES)
            changed = part_targets.change_tiles(choice + data, generator, choice + data)
            changed, max_pixels = changed[len(choice) :], 8 * TILED_PIXELS
        try:
            known = file_decoding.decode_latent(changed, loaded, entropy, max_pixels=max_pixels)
            ours = known[1].symbol_hash
        except RdcError as error:
            if "limit" in str(error):
                continue
            ours = None
        try:
            theirs = decoder.decode(changed, GOLDEN / model_name).symbol_hash
        except Damaged:
            theirs = None
        assert ours == theirs, changed.hex()
        outcomes.add(ours is None)
    assert outcomes == {True, False}
