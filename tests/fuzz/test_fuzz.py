"""A few hundred inputs of every fuzz target, and every byte of every golden file."""

import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_jax.bitstream import container
from rdc_jax.errors import RdcError
from tests.fuzz import mutations
from tests.fuzz.part_targets import TARGETS
from tests.fuzz.targets import GOLDEN, MAX_PIXELS, files, whole

RUNS = {"container": 400, "map": 300, "metadata": 200}
FLIPS = (0x01, 0x80, 0xFF)
PEAK = 64 << 20  # bytes that decoding MAX_PIXELS pixels of a golden model may take


def survives(target, data: bytes) -> None:
    """Anything but RdcError is an error of the test."""
    try:
        target.run(data)
    except RdcError:
        pass


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_decode_or_are_refused(name):
    target = TARGETS[name]
    seeds, generator = target.seeds(), random.Random(name)
    for data in seeds:
        target.run(data)  # which all are sound
    for _ in range(RUNS.get(name, 100)):
        survives(target, target.mutate(*pick(seeds, generator)))


def pick(seeds, generator):
    return generator.choice(seeds), generator, generator.choice(seeds)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_bytes_decode_or_are_refused(name, data):
    """Hypothesis finds the smallest input of a failure."""
    seed = data.draw(st.sampled_from(TARGETS[name].seeds()))
    begin = data.draw(st.integers(0, len(seed)))
    put = data.draw(st.binary(max_size=40))
    keep = data.draw(st.integers(begin, len(seed)))
    survives(TARGETS[name], seed[:begin] + put + seed[keep:])


@settings(max_examples=100)
@given(data=st.data())
def test_any_payloads_and_fields_decode_or_are_refused(data):
    """The same behind right checksums."""
    header, sections = mutations.take_apart(files()[data.draw(st.sampled_from(["odd", "grey"]))][0])
    place = data.draw(st.integers(0, 2))
    sections[place] = sections[place][0], data.draw(st.binary(max_size=60))
    mutations.change_field(header, random.Random(data.draw(st.integers(0, 2**32))))
    survives(TARGETS["whole"], mutations.put_together(header, sections))


@pytest.mark.parametrize("name", files())
def test_every_changed_byte_of_a_golden_file_is_detected(name):
    data = (GOLDEN / f"{name}.rdc").read_bytes()
    for place in range(len(data)):
        for flip in FLIPS:
            changed = bytearray(data)
            changed[place] ^= flip
            with pytest.raises(container.BitstreamError):
                container.unpack(bytes(changed))


@pytest.mark.parametrize("name", ["one_pixel", "mean_scale_noise"])
def test_every_truncation_of_a_golden_file_is_detected(name):
    data = (GOLDEN / f"{name}.rdc").read_bytes()
    for size in range(len(data)):
        with pytest.raises(container.BitstreamError):
            container.unpack(data[:size])


def test_memory_is_bounded_by_the_limit_of_pixels():
    """The largest files that MAX_PIXELS lets through, of several shapes."""
    header, sections = mutations.take_apart(files()["tails"][0])
    tracemalloc.start()
    try:
        for width, height in ((256, 256), (MAX_PIXELS, 1), (1, MAX_PIXELS), (64, 1024)):
            header[1:3] = width, height
            with pytest.raises(RdcError):
                whole(mutations.put_together(header, sections))
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()


def test_the_fuzzer_runs_and_reports(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, root / "tests/fuzz/run.py", "--runs", "30", "--target", "container"]
    run = subprocess.run(
        [*command, "--out", tmp_path / "failures"], cwd=root, env={"PYTHONPATH": str(root)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "30 runs" in run.stdout and "failed 0" in run.stdout
    assert not (tmp_path / "failures").exists()
